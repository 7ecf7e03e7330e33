// SPDX-License-Identifier: Apache-2.0
//
// Which place in the pinned maps a pairing has, over restarts of the monitor.
#include <algorithm>

#include "agent/monitor.h"

namespace cb::agent {

unsigned Monitor::slot_for(uint64_t pairing, bool& found) const {
  const auto pairs = world_.kernel->pairs();
  for (unsigned slot = 0; slot < pairs.size(); ++slot) {
    if (pairs[slot].pairing == pairing) {
      found = true;
      return slot;
    }
  }
  found = false;
  for (unsigned slot = 0; slot < pairs.size(); ++slot) {
    const bool taken = std::any_of(units_.begin(), units_.end(), [&](const auto& unit) {
      return unit->instance().slot() == slot;
    });
    if (!taken && (pairs[slot].pairing == 0 || !maps_kept_)) {
      return slot;
    }
  }
  return CB_PAIRINGS_MAX;
}

}  // namespace cb::agent
