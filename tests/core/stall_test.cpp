// SPDX-License-Identifier: Apache-2.0
#include "core/stall.h"

#include <gtest/gtest.h>

#include <vector>

namespace cb::core {
namespace {

constexpr Instant at(std::int64_t s) { return Instant{} + Duration::from_s(s); }

TEST(StallWatch, SaysNothingWhileItMoves) {
  StallWatch watch;
  EXPECT_EQ(watch.judge(at(10'000)), StallVerdict::Moves) << "nothing runs";
  watch.begin(0, at(0));
  for (int s = 0; s < 10'000; s += 100) {
    watch.progress(static_cast<std::uint64_t>(s), at(s));
    EXPECT_EQ(watch.judge(at(s + 99)), StallVerdict::Moves) << s;
  }
}

TEST(StallWatch, RestartsWhatIsStuckEverMoreRarely) {
  StallWatch watch;
  watch.begin(5, at(0));
  std::vector<int> restarts;
  for (int s = 0; s < 9000; ++s) {
    if (watch.judge(at(s)) == StallVerdict::Restart) {
      restarts.push_back(s);
    }
  }
  EXPECT_EQ(restarts, (std::vector<int>{120, 150, 210, 330, 570, 1050, 2010, 3810, 5610, 7410}));
  EXPECT_TRUE(watch.is_alarming());
}

TEST(StallWatch, ProgressEndsTheAlarmAndTheBackOff) {
  StallWatch watch;
  watch.begin(5, at(0));
  for (int s = 0; s < 1000; ++s) {
    (void)watch.judge(at(s));
  }
  ASSERT_TRUE(watch.is_alarming());
  watch.progress(5, at(1000));
  EXPECT_TRUE(watch.is_alarming()) << "the same position is no progress";
  watch.progress(6, at(1000));
  EXPECT_FALSE(watch.is_alarming());
  EXPECT_EQ(watch.judge(at(1119)), StallVerdict::Moves);
  EXPECT_EQ(watch.judge(at(1120)), StallVerdict::Restart);
  EXPECT_EQ(watch.judge(at(1149)), StallVerdict::Stuck);
  EXPECT_EQ(watch.judge(at(1150)), StallVerdict::Restart);
}

TEST(StallWatch, ANewBeginningCountsAsMovement) {
  StallWatch watch;
  watch.begin(900, at(0));
  watch.progress(0, at(100));
  EXPECT_EQ(watch.judge(at(219)), StallVerdict::Moves);
  EXPECT_EQ(watch.judge(at(220)), StallVerdict::Restart);
  watch.end();
  EXPECT_EQ(watch.judge(at(100'000)), StallVerdict::Moves);
  EXPECT_TRUE(watch.next_deadline().is_never());
}

TEST(StallWatch, ItsDeadlineIsWhenItsJudgementMayChange) {
  StallWatch watch;
  watch.begin(1, at(0));
  Instant now = at(0);
  int restarts = 0;
  for (int i = 0; i < 20; ++i) {
    const Instant next = watch.next_deadline();
    ASSERT_GT(next, now);
    EXPECT_NE(watch.judge(next - Duration::from_ms(1)), StallVerdict::Restart);
    EXPECT_EQ(watch.judge(next), StallVerdict::Restart);
    now = next;
    ++restarts;
  }
  EXPECT_EQ(watch.restarts(), restarts);
}

}  // namespace
}  // namespace cb::core
