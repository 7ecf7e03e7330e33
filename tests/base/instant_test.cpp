// SPDX-License-Identifier: Apache-2.0
#include "base/instant.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "base/clock.h"
#include "base/text.h"

namespace cb {
namespace {

static_assert(std::is_trivially_copyable_v<Instant> && sizeof(Instant) == 8);
static_assert(std::is_trivially_copyable_v<Duration> && sizeof(Duration) == 8);
static_assert(1_s == 1'000_ms && 1_ms == 1'000_us && 1_us == 1'000_ns);
static_assert(Duration::from_ms(3) == 3_ms);

TEST(Duration, CountsWholeUnitsTowardsZero) {
  EXPECT_EQ((1'999_us).as_ms(), 1);
  EXPECT_EQ((-1'999_us).as_ms(), -1);
  EXPECT_EQ((2_s).as_ns(), 2'000'000'000);
}

TEST(Duration, AddsScalesAndDivides) {
  EXPECT_EQ(3_ms + 500_us, 3'500_us);
  EXPECT_EQ(3_ms - 4_ms, -1_ms);
  EXPECT_EQ(3 * 4_ms, 12_ms);
  EXPECT_EQ(10_ms / 4, 2'500_us);
  EXPECT_EQ(10_ms / 3_ms, 3);
  EXPECT_EQ(10_ms % 3_ms, 1_ms);
}

TEST(Duration, StopsAtItsLimitsInPlaceOfWrappingRound) {
  EXPECT_EQ(Duration::forever() + 1_ns, Duration::forever());
  EXPECT_EQ(Duration::forever() * 2, Duration::forever());
  EXPECT_LT(Duration::forever() * -2, 0_ns);
  EXPECT_EQ(Duration::from_s(INT64_MAX), Duration::forever());
  EXPECT_LT(-Duration::forever() - 5_s, 0_ns);
}

TEST(Instant, DifferenceAndSumAgree) {
  const Instant start = Instant::from_ns(1'000);
  const Instant end = start + 250_us;
  EXPECT_EQ(end - start, 250_us);
  EXPECT_EQ(end - 250_us, start);
  EXPECT_LT(start, end);
}

TEST(Instant, NeverIsLaterThanAllAndStaysNever) {
  EXPECT_GT(Instant::never(), Instant::from_ns(INT64_MAX - 1));
  EXPECT_TRUE((Instant::never() + 1_s).is_never());
  EXPECT_TRUE((Instant::never() - 1_s).is_never());
  EXPECT_TRUE((Instant::from_ns(5) + Duration::forever()).is_never());
}

TEST(InstantDeath, DividingByNothingIsABug) {
  EXPECT_DEATH((void)(1_s / (0_ns)), "b.nanoseconds > 0");
  EXPECT_DEATH((void)(1_s / 0), "divisor > 0");
}

TEST(Clock, MovesForwardAndAgreesWithTheKernelsOwnUptime) {
  const Instant first = boottime_now();
  const Instant second = boottime_now();
  EXPECT_GE(second, first);
  timespec boot{};
  ASSERT_EQ(::clock_gettime(CLOCK_BOOTTIME, &boot), 0);
  EXPECT_LT(Duration::from_s(boot.tv_sec) - (first - Instant{}), 60_s);
}

TEST(DurationText, ShowsTheUnitThatAPersonWouldUse) {
  EXPECT_EQ(to_text(850_ns), "850 ns");
  EXPECT_EQ(to_text(1'400_us), "1.4 ms");
  EXPECT_EQ(to_text(250_us), "250 us");
  EXPECT_EQ(to_text(12_s), "12.0 s");
  EXPECT_EQ(to_text(-1'400_us), "-1.4 ms");
  EXPECT_EQ(to_text(0_ns), "0 ns");
  EXPECT_EQ(to_text(Duration::forever()), "never");
}

}  // namespace
}  // namespace cb
