// SPDX-License-Identifier: Apache-2.0
//
// One health probe of a service. Of the service edge's own use.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/ir.h"
#include "drivers/service/service.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

// Answered once, in a later turn or at once. text: why not. The driver answers for kinds None,
// Process and Unit. Tcp and Http targets are addresses or "localhost": no name is looked up, since
// that may block for long.
void probe(loop::Loop& loop, loop::Hands& hands, const config::HealthProbe& health,
           service::Driver& driver, const std::vector<std::string>& environment, Instant deadline,
           std::function<void(bool good, const std::string& text)> done);

// Whether a probe of this kind can say more than that the start command succeeded.
bool tells_readiness(config::HealthProbe::Kind kind);

}  // namespace cb::edge
