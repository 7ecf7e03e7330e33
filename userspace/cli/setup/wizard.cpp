// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/wizard.h"

#include <istream>
#include <optional>
#include <ostream>

#include "base/text.h"
#include "cli/json.h"
#include "cli/setup/check.h"

namespace cb::cli::setup {
namespace {

constexpr std::size_t kLineMax = 1024;

// Where an answer was given, and what was known before it.
struct Asked {
  std::size_t at;
  Draft before;
};

class Dialogue {
 public:
  Dialogue(Draft& draft, const std::vector<Question>& list, const Terminal& terminal,
           const std::function<Result<std::string>(const Draft&)>& what_changes)
      : draft_(draft), list_(list), terminal_(terminal), what_changes_(what_changes) {}

  Ending run() {
    while (true) {
      while (at_ < list_.size()) {
        if (!step()) {
          return Ending::Ended;
        }
      }
      const auto verdict = review();
      if (!verdict) {
        return Ending::Ended;
      }
      if (*verdict) {
        return Ending::Agreed;
      }
    }
  }

 private:
  // One question; false when the input is over.
  bool step() {
    const Question& question = list_[at_];
    if (question.applies && !question.applies(draft_)) {
      ++at_;
      return true;
    }
    const std::string fallback = question.fallback(draft_);
    const auto chosen = draft_.choices.find(question.section());
    if (!question.opens && !fallback.empty() && chosen != draft_.choices.end() &&
        chosen->second == Choice::Default) {
      Draft tried = draft_;
      if (question.take(tried, fallback).kind != Opinion::Kind::Wrong) {
        draft_ = tried;
        ++at_;
        return true;
      }
    }
    const std::string intro = question.intro ? question.intro(draft_) : "";
    terminal_.out << "\n" << (intro.empty() ? "" : harmless_lines(intro) + "\n");
    return ask(question, fallback);
  }

  bool ask(const Question& question, const std::string& fallback) {
    std::string doubted;
    while (true) {
      terminal_.out << question.prompt << (fallback.empty() ? "" : " [" + harmless(fallback) + "]")
                    << ": ";
      const auto line = read_line();
      if (!line) {
        return false;
      }
      if (*line == "^" || (question.id == "time.zone" && *line == "12")) {
        back();
        return true;
      }
      const std::string& answer = line->empty() ? fallback : *line;
      if (answer.empty()) {
        terminal_.out << "This question needs an answer.\n";
        continue;
      }
      Draft tried = draft_;
      const Opinion opinion = question.take(tried, answer);
      if (opinion.kind == Opinion::Kind::Good ||
          (opinion.kind == Opinion::Kind::Doubt && doubted == answer)) {
        history_.push_back({at_, draft_});
        draft_ = tried;
        ++at_;
        return true;
      }
      terminal_.out << harmless(opinion.text) << ".\n";
      doubted.clear();
      if (opinion.kind == Opinion::Kind::Doubt) {
        doubted = answer;
        terminal_.out << "Give the same answer once more to keep it.\n";
      }
    }
  }

  // To the last question that somebody answered.
  void back() {
    if (history_.empty()) {
      terminal_.out << "This is the first question.\n";
      return;
    }
    at_ = history_.back().at;
    draft_ = history_.back().before;
    history_.pop_back();
  }

  // true: agreed; false: go on at at_; nothing: the input is over.
  std::optional<bool> review() {
    const auto changes = what_changes_(draft_);
    terminal_.out << "\nPlease look over what you have answered.\n-----BEGIN-----\n\n"
                  << harmless_lines(summary(draft_)) << "\n-----END-----\n\n"
                  << (changes ? harmless_lines(*changes)
                              : "This cannot be applied: " + to_text(changes.error()) + "\n")
                  << "\nyes applies it, no goes through the questions again, ^ goes back one "
                     "question.\n";
    while (true) {
      terminal_.out << "Is this right (yes, no, or ^): ";
      const auto line = read_line();
      if (!line) {
        return std::nullopt;
      }
      if (*line == "^") {
        back();
        return false;
      }
      const auto answer = line->empty() ? std::nullopt : yes_or_no(*line);
      if (answer == false) {
        at_ = 0;
        draft_.choices.clear();
        history_.clear();
        return false;
      }
      if (answer == true && changes) {
        return true;
      }
      terminal_.out << (answer == true ? "This cannot be applied: " + to_text(changes.error()) +
                                             ".\nGo back with ^, or start again with no.\n"
                                       : "Please answer yes, no or ^.\n");
    }
  }

  std::optional<std::string> read_line() {
    terminal_.out << std::flush;
    std::string line;
    if (!std::getline(terminal_.in, line)) {
      return std::nullopt;
    }
    if (!terminal_.in_is_terminal) {
      terminal_.out << "\n";
    }
    line.resize(std::min(line.size(), kLineMax));
    return std::string(trim(line));
  }

  static std::string harmless_lines(const std::string& text) {
    std::string result;
    for (const std::string_view line : split(text, '\n')) {
      result += (result.empty() ? "" : "\n") + harmless(line);
    }
    return result;
  }

  Draft& draft_;
  const std::vector<Question>& list_;
  const Terminal& terminal_;
  const std::function<Result<std::string>(const Draft&)>& what_changes_;
  std::vector<Asked> history_;
  std::size_t at_ = 0;
};

}  // namespace

Ending ask_all(Draft& draft, const std::vector<Question>& list, const Terminal& terminal,
               const std::function<Result<std::string>(const Draft&)>& what_changes) {
  return Dialogue(draft, list, terminal, what_changes).run();
}

std::string summary(const Draft& draft) {
  const Answers& answers = draft.answers;
  std::string text;
  const auto given = [&](const std::string& section) {
    return !is_skipped(draft.choices, section);
  };
  if (given("host")) {
    text += "Host name=" + answers.host_name + "\n";
  }
  if (given("domain")) {
    text += "Domain=" + answers.domain + "\n";
  }
  if (given("ha")) {
    text += std::string("    Role=") + (answers.secondary ? "2" : "1") +
            ", Health Monitor Interface=" + answers.hm_interface +
            ", Direct connect interface=" + answers.direct_interface + "\n";
    if (!answers.secondary) {
      text += "    Virtual IP Address=" + answers.virtual_address +
              ", Virtual IP Netmask=" + answers.virtual_mask + "\n";
    }
    if (answers.recovery) {
      text += "    HA recovery mode=yes\n";
    }
  }
  for (std::size_t i = 0; i < answers.ports.size(); ++i) {
    const Port& port = answers.ports[i];
    if (!given(port.name)) {
      continue;
    }
    std::string name = port.name;
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    text +=
        name + " IP address=" + port.address + ", " + name + " network mask=" + port.mask + "\n";
    if (i == 0) {
      text += "Default gateway=" + (answers.gateway.empty() ? "none" : answers.gateway) + "\n";
    }
  }
  if (given("dns")) {
    text += "DNS servers=" + (answers.dns.empty() ? "none" : joined(answers.dns)) + "\n";
  }
  if (given("time")) {
    text += "Time zone=" + answers.timezone + "\n";
  }
  if (given("ntp")) {
    text += std::string("Enable NTP=") + (answers.ntp ? "yes" : "no") +
            (answers.ntp ? ", NTP servers=" + joined(answers.ntp_servers) : "") + "\n";
  }
  return text;
}

}  // namespace cb::cli::setup
