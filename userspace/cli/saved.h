// SPDX-License-Identifier: Apache-2.0
//
// What is known when no monitor can be asked.
#pragma once

#include <optional>
#include <string>

#include "cli/json.h"

namespace cb::cli {

// The status that the monitor saved last, or nothing.
std::optional<Json> saved_status(const std::string& root);

// As much of a status as the configuration files tell: no state, no peer's version. Nothing when
// there is no configuration either.
std::optional<Json> configured_status(const std::string& root);

// [instance] prefix of the configuration; its default when there is none.
std::string instance_prefix(const std::string& root);

}  // namespace cb::cli
