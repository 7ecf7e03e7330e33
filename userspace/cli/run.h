// SPDX-License-Identifier: Apache-2.0
//
// The whole command line. argv[0] matters: as `gethainfo` it is that verb.
#pragma once

#include "cli/terminal.h"

namespace cb::cli {

// Returns what the process exits with. Never throws.
int run(int argc, const char* const* argv, const Terminal& terminal);

}  // namespace cb::cli
