// SPDX-License-Identifier: Apache-2.0
//
// Runs another program and waits for it, with a deadline: no shell, no input, its words captured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace cb::cli {

struct CommandOutput {
  int code = 0;      // 128 + the signal when it was killed
  std::string text;  // standard output and error, mixed as they came; at most the limit
};

// Errors: ENOENT and its like when it cannot be started, ETIMEDOUT when it was killed at the
// deadline. A name without '/' is looked for in PATH. What is printed beyond the limit is dropped.
Result<CommandOutput> run_command(const std::vector<std::string>& arguments, Duration within,
                                  std::size_t limit = 64u << 10);

}  // namespace cb::cli
