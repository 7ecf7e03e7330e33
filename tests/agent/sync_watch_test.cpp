// SPDX-License-Identifier: Apache-2.0
#include "agent/sync_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cb::agent::test {
namespace {

using testing::HasSubstr;

constexpr Instant at(std::int64_t s) { return Instant{} + Duration::from_s(s); }

volume::Status behind(std::uint64_t done) {
  volume::Status status;
  status.position = 1000;
  status.bytes_done = done;
  return status;
}

int restarts(SyncWatch& watch, const volume::Status& status, int from, int to,
             bool follows = true) {
  int count = 0;
  for (int s = from; s < to; ++s) {
    count += watch.look(status, follows, at(s)) ? 1 : 0;
  }
  return count;
}

TEST(SyncWatch, BeginsWhatStandsStillAgainEverMoreRarely) {
  SyncWatch watch(Duration::from_s(120));
  EXPECT_EQ(restarts(watch, behind(7), 0, 120), 0);
  EXPECT_EQ(restarts(watch, behind(7), 120, 1000), 5);  // at 120, 150, 210, 330, 570
  EXPECT_EQ(restarts(watch, behind(7), 1000, 1100), 1);
}

TEST(SyncWatch, LeavesAloneWhatMovesHoweverSlowly) {
  SyncWatch watch(Duration::from_s(120));
  for (int s = 0; s < 10'000; s += 100) {
    EXPECT_FALSE(watch.look(behind(static_cast<std::uint64_t>(s)), true, at(s))) << s;
  }
}

TEST(SyncWatch, LeavesAloneWhoHasNobodyToFollowOrIsInStep) {
  SyncWatch watch(Duration::from_s(120));
  EXPECT_EQ(restarts(watch, behind(7), 0, 2000, false), 0);
  volume::Status in_step = behind(7);
  in_step.in_step = true;
  EXPECT_EQ(restarts(watch, in_step, 2000, 4000), 0);
  EXPECT_EQ(restarts(watch, behind(7), 4000, 4120), 0) << "it counts from when it fell behind";
  volume::Status failed = behind(7);
  failed.failure.emplace();
  EXPECT_EQ(restarts(watch, failed, 5000, 7000), 0) << "that has a way of its own";
  volume::Status serving = behind(7);
  serving.serving = true;
  EXPECT_EQ(restarts(watch, serving, 4120, 6000), 0);
}

TEST(SyncWatch, SaysForHowLongAndWhy) {
  SyncWatch watch(Duration::from_s(2));
  volume::Status status = behind(7);
  status.stall_text = "the disk is full";
  EXPECT_FALSE(watch.look(status, true, at(0)));
  const auto text = watch.look(status, true, at(3));
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("no progress for 3 s, begun again for the 1. time"));
  EXPECT_THAT(*text, HasSubstr("the disk is full"));
}

}  // namespace
}  // namespace cb::agent::test
