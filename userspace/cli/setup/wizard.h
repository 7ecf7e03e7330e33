// SPDX-License-Identifier: Apache-2.0
//
// The dialogue. It changes nothing but the draft: whoever is interrupted has lost only words.
#pragma once

#include <functional>

#include "cli/setup/question.h"
#include "cli/terminal.h"

namespace cb::cli::setup {

enum class Ending : unsigned char { Agreed, Ended };  // Ended: the input is over

// Asks from the first question to the review; "^" goes back one question, "no" at the review to
// the first. what_changes: of a finished draft, for the review; an error when it cannot be applied.
Ending ask_all(Draft& draft, const std::vector<Question>& list, const Terminal& terminal,
               const std::function<Result<std::string>(const Draft&)>& what_changes);

// The lines between BEGIN and END.
std::string summary(const Draft& draft);

}  // namespace cb::cli::setup
