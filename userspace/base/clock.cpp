// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <ctime>

namespace cb {

Instant boottime_now() noexcept {
  timespec now{};
  CB_CHECK(::clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return Instant{now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec};
}

}  // namespace cb
