// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <ctime>

namespace cb {
namespace {

std::int64_t now_ns(clockid_t clock) noexcept {
  timespec now{};
  CB_CHECK(::clock_gettime(clock, &now) == 0);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Instant boottime_now() noexcept { return Instant{now_ns(CLOCK_BOOTTIME)}; }

std::int64_t wall_offset_ns() noexcept { return now_ns(CLOCK_REALTIME) - now_ns(CLOCK_BOOTTIME); }

}  // namespace cb
