// SPDX-License-Identifier: Apache-2.0
//
// The machine's time zone.
#pragma once

#include <string>

namespace cb::cli {

// The name of the zone of the tree at root, such as "Europe/Brussels"; "UTC" when nothing says.
// For the running machine ("") the environment's TZ comes first, as for every other program.
std::string zone_name(const std::string& root);

}  // namespace cb::cli
