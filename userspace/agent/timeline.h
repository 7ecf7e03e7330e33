// SPDX-License-Identifier: Apache-2.0
//
// The stamps of one takeover, for the status, the log and the demo. Filled by the instance as
// things happen.
#pragma once

#include <optional>
#include <string>

#include "base/instant.h"
#include "core/types.h"

namespace cb::agent {

struct Timeline {
  Instant peer_heard;    // newest fresh frame of the peer before the silence; zero: not a matter of
                         // silence
  Instant began;         // silence proved, or the move asked for
  Instant arbitrated;    // zero: not asked
  Instant lease_closed;  // zero: no lease to wait for
  Instant address_up;
  Instant open;  // guard open
  Instant announced;
  Instant complete;  // top of the ladder
  core::Reason reason = core::Reason::None;
  std::string wall;  // RFC 3339, when it was complete
};

// "silent after 1.05 ms, arbitrated 0.08 ms, lease over 0.00 ms, address up 0.12 ms, announced 0.04
// ms: 1.29 ms in all"
std::string text_of(const Timeline& timeline);

// Now as RFC 3339 in UTC with milliseconds.
std::string wall_now();
std::string wall_at(Instant at);  // what the wall clock said then

}  // namespace cb::agent
