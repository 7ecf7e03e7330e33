// SPDX-License-Identifier: Apache-2.0
//
// Answers without a dialogue: a TOML file with a table for each section and a key for each
// question, taken in the same order and by the same rules. A section without any key is skipped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/setup/question.h"

namespace cb::cli::setup {

struct Answered {
  std::vector<std::string> problems;  // all of them; nothing may be applied while there is one
  std::vector<std::string> doubts;    // to be told, and gone on with
};

// text: the file's content; file: its name, for the problems.
Answered answer_from(const std::string& text, const std::string& file,
                     const std::vector<Question>& list, Draft& draft);

// What was answered as such a file; sections that were skipped are left out.
std::string answers_to_toml(const Draft& draft);

// The answers of the last run, or nothing.
std::optional<Answers> read_saved_answers(const std::string& root);

}  // namespace cb::cli::setup
