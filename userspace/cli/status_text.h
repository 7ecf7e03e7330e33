// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/terminal.h"
#include "cli/view.h"

namespace cb::cli {

// The page of `crossbeat status`: verdicts first, then one small table an instance, then what to
// do. A saved status is called so before anything else, and shows no ages.
std::string status_text(const StatusView& status, const Terminal& terminal);

}  // namespace cb::cli
