// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/question.h"

#include <cctype>

#include "cli/setup/check.h"

namespace cb::cli::setup {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

// An abbreviation of `word`, down to its first letter.
bool is_short_for(const std::string& text, std::string_view word) {
  return !text.empty() && word.starts_with(text);
}

}  // namespace

Opinion good() { return {}; }
Opinion doubt(std::string text) { return {Opinion::Kind::Doubt, std::move(text)}; }
Opinion wrong(std::string text) { return {Opinion::Kind::Wrong, std::move(text)}; }
Opinion judged(std::string problem) { return problem.empty() ? good() : wrong(std::move(problem)); }

std::function<std::string(const Draft&)> said(std::string text) {
  return [text = std::move(text)](const Draft&) { return text; };
}

std::function<bool(const Draft&)> asked(const std::string& section) {
  return [section](const Draft& draft) {
    const auto found = draft.choices.find(section);
    return found != draft.choices.end() && found->second != Choice::Skip;
  };
}

std::optional<bool> yes_or_no(const std::string& text) {
  const std::string word = lower(text);
  if (is_short_for(word, "yes") || word == "true") {
    return true;
  }
  if (is_short_for(word, "no") || word == "false") {
    return false;
  }
  return std::nullopt;
}

Question opening(const std::string& section, const std::string& prompt,
                 std::function<std::string(const Draft&)> intro) {
  Question question;
  question.id = section;
  question.opens = true;
  question.intro = std::move(intro);
  question.prompt = prompt + " (Y)es/(S)kip/(U)se default";
  question.fallback = said("Yes");
  question.take = [section](Draft& draft, const std::string& text) {
    const std::string word = lower(text);
    if (is_short_for(word, "yes")) {
      draft.choices[section] = Choice::Yes;
    } else if (is_short_for(word, "skip")) {
      draft.choices[section] = Choice::Skip;
    } else if (is_short_for(word, "use default") || word == "default") {
      draft.choices[section] = Choice::Default;
    } else {
      return wrong("please answer yes, skip or use default (y, s, u), or ^ to go back");
    }
    return good();
  };
  return question;
}

std::string paired_problem(const Draft& draft, const std::string& what, const std::string& before,
                           const std::string& after) {
  const Current& current = *draft.current;
  if (before == after || (current.peers.empty() && !current.pairings_unknown)) {
    return "";
  }
  if (current.pairings_unknown) {
    return what +
           " cannot be changed: the pairings of this node cannot be read. See: crossbeat "
           "config check";
  }
  return what + " cannot be changed from '" + before + "' to '" + after +
         "' while this node is paired with " + joined(current.peers, " and ") +
         ": the pair would break. Dissolve the pairing first (crossbeat unpair, on either node), "
         "run the set-up again, and pair again";
}

std::vector<Question> questions(const Current& current) {
  std::vector<Question> list;
  ask_host(list);
  ask_high_availability(list, current);
  ask_ports(list, current);
  ask_dns(list);
  ask_time(list);
  return list;
}

void ask_host(std::vector<Question>& list) {
  list.push_back(opening("host", "Configure the host name?", [](const Draft& draft) {
    return "Current hostname=[" + draft.answers.host_name + "]";
  }));
  Question host;
  host.id = "host.name";
  host.applies = asked("host");
  host.intro = said(
      "The name by which this machine is known on the network; no other may have it. Letters,\n"
      "digits and dashes; it begins with a letter and ends with a letter or a digit.");
  host.prompt = "Host name";
  host.fallback = [](const Draft& draft) {
    return draft.answers.host_name.empty() ? "mse" : draft.answers.host_name;
  };
  host.take = [](Draft& draft, const std::string& text) {
    draft.answers.host_name = text;
    return judged(host_name_problem(text));
  };
  list.push_back(std::move(host));

  list.push_back(opening("domain", "Configure the domain name?", [](const Draft& draft) {
    return "Current domain=[" + draft.answers.domain + "]";
  }));
  Question domain;
  domain.id = "domain.name";
  domain.applies = asked("domain");
  domain.intro = said("The domain that this machine belongs to; none for no domain.");
  domain.prompt = "Domain name";
  domain.fallback = [](const Draft& draft) {
    return draft.answers.domain.empty() ? "none" : draft.answers.domain;
  };
  domain.take = [](Draft& draft, const std::string& text) {
    draft.answers.domain = text == "none" ? "" : text;
    return judged(domain_problem(draft.answers.domain));
  };
  list.push_back(std::move(domain));
}

}  // namespace cb::cli::setup
