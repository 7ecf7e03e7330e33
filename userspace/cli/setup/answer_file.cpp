// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/answer_file.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "cli/setup/check.h"
#include "config/quote.h"
#include "config/value.h"

namespace cb::cli::setup {
namespace {

using config::Value;

// A value as somebody would have typed it.
std::optional<std::string> typed(const Value& value) {
  switch (value.kind) {
    case Value::Kind::Text: return value.text;
    case Value::Kind::Number: return std::to_string(value.number);
    case Value::Kind::Flag: return value.flag ? "yes" : "no";
    case Value::Kind::List: {
      std::vector<std::string> words;
      for (const Value& item : value.items) {
        if (item.kind != Value::Kind::Text) {
          return std::nullopt;
        }
        words.push_back(item.text);
      }
      return words.empty() ? "none" : joined(words);
    }
    case Value::Kind::Real:
    case Value::Kind::Time:
    case Value::Kind::Table: break;
  }
  return std::nullopt;
}

class Filler {
 public:
  Filler(const Value& document, std::string file, const std::vector<Question>& list, Draft& draft)
      : document_(document), file_(std::move(file)), list_(list), draft_(draft) {}

  Answered run() {
    for (const Question& question : list_) {
      const Value* table = document_.find(question.section());
      if (question.opens) {
        draft_.choices[question.id] = table == nullptr ? Choice::Skip : Choice::Yes;
      } else if (table != nullptr) {
        fill_in(question, *table);
      }
    }
    for (const config::Member& table : document_.members) {
      look_for_strangers(table);
    }
    return std::move(answered_);
  }

 private:
  void fill_in(const Question& question, const Value& table) {
    const std::string key = question.id.substr(question.id.find('.') + 1);
    const Value* value = table.find(key);
    if (question.applies && !question.applies(draft_)) {
      if (value != nullptr) {
        problem(value->line, question.id + " is not asked for with these answers; remove it");
      }
      return;
    }
    const auto given = value == nullptr ? std::optional(question.fallback(draft_)) : typed(*value);
    const int line = value == nullptr ? table.line : value->line;
    if (!given) {
      return problem(line, question.id + ": write a text in quotes");
    }
    if (given->empty()) {
      return problem(line, question.id + " is missing, and has no default");
    }
    const Opinion opinion = question.take(draft_, *given);
    if (opinion.kind == Opinion::Kind::Wrong) {
      problem(line, question.id + ": " + opinion.text);
    } else if (opinion.kind == Opinion::Kind::Doubt) {
      answered_.doubts.push_back(where(line) + question.id + ": " + opinion.text);
    }
  }

  void look_for_strangers(const config::Member& table) {
    const auto is_section = [&](const Question& q) { return q.opens && q.id == table.key; };
    if (std::none_of(list_.begin(), list_.end(), is_section)) {
      return problem(table.value.line, "there is no section [" + table.key + "]");
    }
    for (const config::Member& member : table.value.members) {
      const std::string id = table.key + "." + member.key;
      if (std::none_of(list_.begin(), list_.end(), [&](const Question& q) { return q.id == id; })) {
        problem(member.value.line, "there is no question " + id);
      }
    }
  }

  std::string where(int line) const { return file_ + ":" + std::to_string(line) + ": "; }
  void problem(int line, const std::string& what) {
    answered_.problems.push_back(where(line) + what);
  }

  const Value& document_;
  std::string file_;
  const std::vector<Question>& list_;
  Draft& draft_;
  Answered answered_;
};

std::string line(const char* key, const std::string& value) {
  return std::string(key) + " = " + config::quoted(value) + "\n";
}

}  // namespace

Answered answer_from(const std::string& text, const std::string& file,
                     const std::vector<Question>& list, Draft& draft) {
  const auto document = config::parse_document(text, file);
  if (!document.ok()) {
    Answered answered;
    for (const config::Problem& problem : document.problems) {
      answered.problems.push_back(problem.text());
    }
    return answered;
  }
  return Filler(document.value, file, list, draft).run();
}

std::string answers_to_toml(const Draft& draft) {
  const Answers& answers = draft.answers;
  const auto given = [&](const std::string& section) {
    return !is_skipped(draft.choices, section);
  };
  std::string text =
      "# The answers of the last crossbeat setup; crossbeat setup --answers takes them.\n";
  if (given("host")) {
    text += "[host]\n" + line("name", answers.host_name);
  }
  if (given("domain")) {
    text += "[domain]\n" + line("name", answers.domain.empty() ? "none" : answers.domain);
  }
  if (given("ha")) {
    text += "[ha]\n" + line("role", answers.secondary ? "2" : "1") +
            line("health_monitor_interface", answers.hm_interface) +
            line("direct_interface", answers.direct_interface);
    if (!answers.secondary) {
      text += line("virtual_address", answers.virtual_address) +
              line("virtual_mask", answers.virtual_mask);
    }
  }
  for (std::size_t i = 0; i < answers.ports.size(); ++i) {
    const Port& port = answers.ports[i];
    if (given(port.name)) {
      text += "[" + config::quoted(port.name) + "]\n" + line("address", port.address) +
              line("mask", port.mask);
      if (i == 0) {
        text += line("gateway", answers.gateway.empty() ? "none" : answers.gateway);
      }
    }
  }
  if (given("dns")) {
    text += "[dns]\n" + line("servers", answers.dns.empty() ? "none" : joined(answers.dns));
  }
  if (given("time")) {
    text += "[time]\n" + line("zone", answers.timezone);
  }
  if (given("ntp")) {
    text += "[ntp]\n" + line("enabled", answers.ntp ? "yes" : "no");
    if (answers.ntp) {
      text += line("servers", joined(answers.ntp_servers));
    }
  }
  return text;
}

std::optional<Answers> read_saved_answers(const std::string& root) {
  const std::string path = root + kSavedAnswers;
  const auto text = read_all(path, config::kDocumentBytesMax);
  const auto document = config::parse_document(text.value_or(""), path);
  if (!text || !document.ok()) {
    return std::nullopt;
  }
  const auto told = [&](const std::string& section, const char* key) -> std::string {
    const Value* table = document.value.find(section);
    const Value* value = table == nullptr ? nullptr : table->find(key);
    return value == nullptr ? "" : typed(*value).value_or("");
  };
  const auto but_none = [](const std::string& given) {
    return given == "none" ? std::string() : given;
  };
  Answers answers;
  answers.host_name = told("host", "name");
  answers.domain = but_none(told("domain", "name"));
  answers.secondary = told("ha", "role") == "2";
  answers.hm_interface = told("ha", "health_monitor_interface");
  answers.virtual_address = told("ha", "virtual_address");
  answers.virtual_mask = told("ha", "virtual_mask");
  answers.dns = words_of(but_none(told("dns", "servers")));
  answers.ntp = told("ntp", "enabled") == "yes";
  answers.ntp_servers = words_of(told("ntp", "servers"));
  for (const config::Member& table : document.value.members) {
    if (table.value.find("address") != nullptr) {
      answers.ports.push_back({table.key, told(table.key, "address"), told(table.key, "mask")});
      const std::string gateway = told(table.key, "gateway");
      answers.gateway = gateway.empty() ? answers.gateway : but_none(gateway);
    }
  }
  return answers;
}

}  // namespace cb::cli::setup
