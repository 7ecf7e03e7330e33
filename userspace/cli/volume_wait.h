// SPDX-License-Identifier: Apache-2.0
//
// Waiting for something that the monitor does with a volume.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/instant.h"
#include "cli/context.h"
#include "cli/view.h"

namespace cb::cli {

// Shows the volume that is meant, status after status, to `look`, until that has an exit code; null
// while there is none. At `give_up` it is said that the matter goes on, and what to do then.
int wait_for_volume(
    const Context& context, Instant give_up, const std::string& then,
    const std::function<std::optional<int>(const StatusView&, const PairView*)>& look);

}  // namespace cb::cli
