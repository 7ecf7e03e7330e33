// SPDX-License-Identifier: Apache-2.0
#include "core/lease.h"

#include <algorithm>

namespace cb::core {

Duration drift_margin(Duration grant) noexcept {
  constexpr Duration kFloor = Duration::from_us(20);  // two clock reads and their rounding
  return grant / 2000 + kFloor;                       // 500 ppm
}

Instant lease_closed_at(Instant granted_until, Duration longest_grant) noexcept {
  return granted_until + drift_margin(longest_grant);
}

Duration grant_for(Duration detection) noexcept {
  const Duration shorter = std::max(detection / 20, drift_margin(detection) * 2);
  return std::max(detection - shorter, Duration{});
}

}  // namespace cb::core
