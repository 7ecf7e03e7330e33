// SPDX-License-Identifier: Apache-2.0
#include "core/lease.h"

#include <gtest/gtest.h>

namespace cb::core {
namespace {

TEST(Lease, TheMarginCoversFiveHundredPartsPerMillionAndTwoClockReads) {
  EXPECT_GE(drift_margin(10_s), 5_ms);
  EXPECT_GT(drift_margin(0_ms), 0_us);
  EXPECT_LE(drift_margin(1_ms), 21_us);
}

TEST(Lease, TheGrantorWaitsPastTheHolderOfASlowClock) {
  // The holder counts the grant on a clock that is 500 ppm slow, the grantor on an exact one.
  for (const Duration grant : {1_ms, 9_ms, 400_ms, 10_s}) {
    const Instant granted_until = Instant::from_ns(0) + 1_s + grant;
    const Duration held = grant + grant / 2000;
    EXPECT_GT(lease_closed_at(granted_until, grant), Instant::from_ns(0) + 1_s + held);
  }
}

TEST(Lease, TheGrantIsShorterThanDetectionSoThatWaitingItOutCostsNothing) {
  for (const Duration interval : {100_us, 250_us, 2_ms, 100_ms, 1_s}) {
    for (int lost = 2; lost <= 32; ++lost) {
      const Duration detection = interval * (lost - 1) + interval;
      const Duration grant = grant_for(detection);
      EXPECT_LT(grant + drift_margin(grant), detection) << interval.as_us() << " us x " << lost;
      EXPECT_GT(grant, detection * 7 / 10) << interval.as_us() << " us x " << lost;
    }
  }
}

}  // namespace
}  // namespace cb::core
