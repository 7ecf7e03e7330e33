// SPDX-License-Identifier: Apache-2.0
//
// The one place that reads the clock. Not for core/: time arrives there as an argument.
#pragma once

#include "base/instant.h"

namespace cb {

// CLOCK_BOOTTIME: does not stop in suspend, is never set. The clock of every Instant.
Instant boottime_now() noexcept;

}  // namespace cb
