// SPDX-License-Identifier: Apache-2.0
//
// The one place that reads the clock. Not for core/: time arrives there as an argument.
#pragma once

#include "base/instant.h"

namespace cb {

// CLOCK_BOOTTIME: does not stop in suspend, is never set. The clock of every Instant.
Instant boottime_now() noexcept;

// What the wall clock (CLOCK_REALTIME, ns since 1970) is ahead of it, now. Added to an Instant:
// what the wall clock says of that moment.
std::int64_t wall_offset_ns() noexcept;

}  // namespace cb
