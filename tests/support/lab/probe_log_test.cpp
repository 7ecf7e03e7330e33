// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/probe_log.h"

#include <gtest/gtest.h>

namespace cb::lab {
namespace {

constexpr Mac kA{2, 0, 0, 0, 0, 0xa};
constexpr Mac kB{2, 0, 0, 0, 0, 0xb};
constexpr int64_t kInterval = 250'000;
constexpr int64_t kTrip = 10'000;
constexpr int64_t kBegin = 1'000'000'000;

int64_t sent_at(size_t number) { return kBegin + static_cast<int64_t>(number) * kInterval; }

// Sends `count` probes; the first `from` are answered by A, those from `to` on by B.
ProbeLog run(size_t count, size_t from, size_t to) {
  ProbeLog log(kInterval, 50'000'000, count);
  for (size_t i = 0; i < count; ++i) {
    const size_t number = log.sent(sent_at(i));
    if (i < from || i >= to) {
      log.answered(number, sent_at(i) + kTrip, i < from ? kA : kB);
    }
  }
  return log;
}

TEST(ProbeLog, AnOutageIsTheTimeBetweenTwoAnswers) {
  const ProbeLog log = run(20, 5, 9);
  const auto outages = log.outages();
  ASSERT_EQ(outages.size(), 1U);
  EXPECT_EQ(outages[0].lost, 4);
  EXPECT_EQ(outages[0].first_lost_ns, sent_at(5));
  EXPECT_EQ(outages[0].first_answer_ns - outages[0].last_answer_ns, 5 * kInterval);
  EXPECT_EQ(log.macs()[static_cast<size_t>(outages[0].mac_before)], kA);
  EXPECT_EQ(log.macs()[static_cast<size_t>(outages[0].mac_after)], kB);
  EXPECT_EQ(outages[0].own_stall_ns, 0);
}

TEST(ProbeLog, AnUnbrokenRunHasNoOutage) { EXPECT_TRUE(run(20, 20, 20).outages().empty()); }

TEST(ProbeLog, AnOutageThatDoesNotEndSaysSo) {
  const auto outages = run(20, 5, 20).outages();
  ASSERT_EQ(outages.size(), 1U);
  EXPECT_EQ(outages[0].first_answer_ns, 0);
  EXPECT_EQ(outages[0].mac_after, -1);
}

TEST(ProbeLog, ALateAnswerIsNoAnswer) {
  ProbeLog log(kInterval, 1'000'000, 4);
  for (size_t i = 0; i < 4; ++i) {
    const size_t number = log.sent(sent_at(i));
    log.answered(number, sent_at(i) + (i == 2 ? 1'000'001 : kTrip), kA);
  }
  ASSERT_EQ(log.outages().size(), 1U);
  EXPECT_EQ(log.outages()[0].lost, 1);
}

TEST(ProbeLog, TheProbersOwnStallIsNamedInTheOutage) {
  ProbeLog log(kInterval, 50'000'000, 3);
  log.answered(log.sent(sent_at(0)), sent_at(0) + kTrip, kA);
  log.sent(sent_at(9));  // eight periods late
  log.answered(log.sent(sent_at(10)), sent_at(10) + kTrip, kA);
  ASSERT_EQ(log.outages().size(), 1U);
  EXPECT_EQ(log.outages()[0].own_stall_ns, 8 * kInterval);
}

TEST(ProbeLog, KnowsWhenItHasRecovered) {
  ProbeLog log(kInterval, 50'000'000, 10);
  int64_t since = 0;
  log.answered(log.sent(sent_at(0)), sent_at(0) + kTrip, kA);
  for (size_t i = 1; i < 4; ++i) {
    log.sent(sent_at(i));
  }
  EXPECT_FALSE(log.recovered(2, &since));
  log.answered(log.sent(sent_at(4)), sent_at(4) + kTrip, kB);
  EXPECT_TRUE(log.recovered(3, &since));
  EXPECT_FALSE(log.recovered(4, &since));
  EXPECT_EQ(since, sent_at(4) + kTrip);
}

TEST(ProbeLog, AStallOfTheSameMachineIsNoMove) {
  ProbeLog log(kInterval, 50'000'000, 10);
  log.mean_moves();
  int64_t since = 0;
  log.answered(log.sent(sent_at(0)), sent_at(0) + kTrip, kA);
  for (size_t i = 1; i < 4; ++i) {
    log.sent(sent_at(i));
  }
  log.answered(log.sent(sent_at(4)), sent_at(4) + kTrip, kA);
  EXPECT_FALSE(log.recovered(2, &since));
  log.sent(sent_at(5));
  log.sent(sent_at(6));
  log.answered(log.sent(sent_at(7)), sent_at(7) + kTrip, kB);
  EXPECT_TRUE(log.recovered(2, &since));
  EXPECT_EQ(since, sent_at(7) + kTrip);
}

TEST(ProbeLog, HasNotRecoveredFromWhatWasLostBeforeTheFirstAnswer) {
  ProbeLog log(kInterval, 50'000'000, 10);
  int64_t since = 0;
  for (size_t i = 0; i < 4; ++i) {
    log.sent(sent_at(i));
  }
  log.answered(log.sent(sent_at(4)), sent_at(4) + kTrip, kA);
  EXPECT_FALSE(log.recovered(1, &since));
}

TEST(ProbeLog, ASecondAnswerToOneProbeIsADuplicate) {
  ProbeLog log(kInterval, 50'000'000, 1);
  const size_t number = log.sent(sent_at(0));
  log.answered(number, sent_at(0) + kTrip, kA);
  log.answered(number, sent_at(0) + 2 * kTrip, kB);
  EXPECT_EQ(log.duplicates(), 1U);
  EXPECT_EQ(log.macs().size(), 1U);
}

TEST(ProbeLog, ForgetsAProbeThatCouldNotBeSent) {
  ProbeLog log(kInterval, 50'000'000, 1);
  log.sent(sent_at(0));
  log.forget_last();
  EXPECT_TRUE(log.outages().empty());
}

}  // namespace
}  // namespace cb::lab
