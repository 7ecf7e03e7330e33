// SPDX-License-Identifier: Apache-2.0
//
// The one-time code: asked for without an echo, or read from a file or standard input.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/verbs.h"

namespace cb::cli {

Result<std::string> code_from(const Context& context, const CodeSource& source);
// One trimmed line of what is typed.
std::string read_line(const Context& context);

}  // namespace cb::cli
