// SPDX-License-Identifier: Apache-2.0
//
// The questions of the wizard as data, in their order. The dialogue (wizard.h) and the answer file
// (answer_file.h) walk the same list, so that both are held to the same rules.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/setup/current.h"

namespace cb::cli::setup {

// The answers as they grow.
struct Draft {
  Answers answers;
  Choices choices;
  const Current* current = nullptr;
  Machine* machine = nullptr;
};

// What came of an answer: nothing to say, a doubt (the same answer once more is taken), or wrong.
struct Opinion {
  enum class Kind : unsigned char { Good, Doubt, Wrong } kind = Kind::Good;
  std::string text;
};

Opinion good();
Opinion doubt(std::string text);
Opinion wrong(std::string text);
Opinion judged(std::string problem);  // wrong, unless the problem is ""

struct Question {
  std::string id;      // "ha.role": section and key, as in an answer file; "ha" opens the section
  bool opens = false;  // (Y)es/(S)kip/(U)se default
  std::function<bool(const Draft&)> applies;          // empty: always
  std::function<std::string(const Draft&)> intro;     // lines before the prompt; may be empty
  std::string prompt;                                 // without the default and the colon
  std::function<std::string(const Draft&)> fallback;  // what an empty line means; "" is none
  std::function<Opinion(Draft&, const std::string&)> take;

  std::string section() const { return id.substr(0, id.find('.')); }
};

// For the interfaces of this machine.
std::vector<Question> questions(const Current& current);

// Its parts, in their order.
void ask_host(std::vector<Question>& list);
void ask_high_availability(std::vector<Question>& list, const Current& current);
void ask_ports(std::vector<Question>& list, const Current& current);
void ask_dns(std::vector<Question>& list);
void ask_time(std::vector<Question>& list);

// Shared by them. asked(): is the section to be filled in, by answers or by defaults?
Question opening(const std::string& section, const std::string& prompt,
                 std::function<std::string(const Draft&)> intro);
std::function<bool(const Draft&)> asked(const std::string& section);
std::function<std::string(const Draft&)> said(std::string text);
// yes, y, no, n; nothing for anything else.
std::optional<bool> yes_or_no(const std::string& text);

// Why this setting must not change now: "" when it may. What a pairing relies on stays as it is.
std::string paired_problem(const Draft& draft, const std::string& what, const std::string& before,
                           const std::string& after);

}  // namespace cb::cli::setup
