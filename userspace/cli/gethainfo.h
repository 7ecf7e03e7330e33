// SPDX-License-Identifier: Apache-2.0
//
// gethainfo: an interface to other people's scripts. Fields, their order and their spelling are
// fixed, also where they are uneven.
#pragma once

#include <string>

#include "cli/view.h"

namespace cb::cli {

// running: of the monitor; when not, `status` is what it saved last.
std::string gethainfo_text(const StatusView& status, bool running);

}  // namespace cb::cli
