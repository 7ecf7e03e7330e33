// SPDX-License-Identifier: Apache-2.0
#include "base/awake.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "tests/base/temporary_folder.h"

namespace cb {
namespace {

TEST(AwakeTest, WishesNothingUntilItHoldsAndNothingAfterwards) {
  const test::TemporaryFolder folder;
  const std::string device = folder.path() + "/cpu_dma_latency";
  ASSERT_TRUE(write_atomically(device, "", 0600).has_value());
  Awake awake = Awake::open(device.c_str());
  ASSERT_TRUE(awake.can());
  const Instant now = boottime_now();
  awake.release_when_over(now);
  awake.hold_until(now + 10_ms);
  awake.hold_until(now + 20_ms);
  awake.release_when_over(now + 15_ms);
  EXPECT_TRUE(awake.holds());
  awake.release_when_over(now + 20_ms);
  EXPECT_FALSE(awake.holds());

  const auto written = read_all(device, 4096);
  ASSERT_TRUE(written.has_value());
  const int32_t wishes[] = {2'000'000'000, 0, 2'000'000'000};
  EXPECT_EQ(*written, std::string(reinterpret_cast<const char*>(wishes), sizeof wishes));
}

TEST(AwakeTest, DoesNothingWithoutTheDevice) {
  Awake awake = Awake::open("/nonexistent/cpu_dma_latency");
  EXPECT_FALSE(awake.can());
  awake.hold_until(boottime_now());
  EXPECT_FALSE(awake.holds());
}

}  // namespace
}  // namespace cb
