// SPDX-License-Identifier: Apache-2.0
#include "base/prng.h"

#include <gtest/gtest.h>

#include <array>

namespace cb {
namespace {

TEST(Prng, TheSameSeedGivesTheSameDraws) {
  Prng a(42);
  Prng b(42);
  Prng other(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto draw = a.next();
    EXPECT_EQ(draw, b.next());
    differs = differs || draw != other.next();
  }
  EXPECT_TRUE(differs);
}

// The published algorithms, run once by hand from seed 0: a change here would make every recorded
// seed of the simulator mean something else.
TEST(Prng, DrawsStayTheSameFromReleaseToRelease) {
  Prng prng(0);
  EXPECT_EQ(prng.next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(prng.next(), 0xbf6e1f784956452au);
}

TEST(Prng, BelowIsEvenOverItsRange) {
  Prng prng(7);
  std::array<int, 10> counts{};
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[prng.below(counts.size())];
  }
  for (const int count : counts) {
    EXPECT_NEAR(count, kDraws / 10, 500);  // five standard deviations
  }
}

TEST(Prng, BetweenReachesBothEndsAndNothingBeyond) {
  Prng prng(7);
  std::array<int, 5> counts{};
  for (int i = 0; i < 1'000; ++i) {
    const auto draw = prng.between(-2, 2);
    ASSERT_GE(draw, -2);
    ASSERT_LE(draw, 2);
    ++counts[static_cast<std::size_t>(draw + 2)];
  }
  for (const int count : counts) {
    EXPECT_GT(count, 0);
  }
  EXPECT_EQ(prng.between(9, 9), 9);
  (void)prng.between(INT64_MIN, INT64_MAX);  // the whole range must not divide by zero
  const Duration wait = prng.between(1_ms, 2_ms);
  EXPECT_GE(wait, 1_ms);
  EXPECT_LE(wait, 2_ms);
}

TEST(Prng, ChanceHonoursNeverAndAlways) {
  Prng prng(3);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(prng.chance(0, 7));
    EXPECT_TRUE(prng.chance(7, 7));
    hits += prng.chance(1, 4) ? 1 : 0;
  }
  EXPECT_NEAR(hits, 2'500, 220);
}

TEST(Prng, AForkDoesNotDisturbItsParent) {
  Prng parent(5);
  Prng twin(5);
  Prng child = parent.fork();
  (void)twin.next();
  (void)child.next();
  (void)child.next();
  EXPECT_EQ(parent.next(), twin.next());
}

TEST(PrngDeath, AnEmptyRangeIsABug) {
  Prng prng(1);
  EXPECT_DEATH((void)prng.below(0), "n > 0");
  EXPECT_DEATH((void)prng.between(2, 1), "low <= high");
}

}  // namespace
}  // namespace cb
