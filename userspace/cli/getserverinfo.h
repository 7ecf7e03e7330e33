// SPDX-License-Identifier: Apache-2.0
//
// getserverinfo: like gethainfo an interface to other people's scripts. Fields, their order and
// their spelling are fixed, also where they are uneven.
#pragma once

#include <string>

#include "cli/json.h"
#include "cli/server_facts.h"
#include "cli/view.h"

namespace cb::cli {

// Of a running monitor. Times are in the process's time zone.
std::string getserverinfo_text(const StatusView& status, const ServerFacts& facts);

// The same as JSON: a member for each section, the fields' names in lower case with underscores.
Json getserverinfo_json(const StatusView& status, const ServerFacts& facts);

// No instance is served here: its services are asleep.
bool is_dormant(const StatusView& status);

}  // namespace cb::cli
