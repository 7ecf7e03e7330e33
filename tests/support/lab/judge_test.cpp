// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/judge.h"

#include <gtest/gtest.h>

namespace cb::lab {
namespace {

constexpr Mac kA{2, 0, 0, 0, 0, 0xa};
constexpr Mac kB{2, 0, 0, 0, 0, 0xb};
constexpr int64_t kMs = 1'000'000;

TEST(Judge, AcceptsAMoveThatBeginsWithAnAnnouncement) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 3 * kMs, Claim::Announce);
  judge.claim(kB, 4 * kMs, Claim::Traffic);
  judge.finish();
  EXPECT_TRUE(judge.violations().empty());
  ASSERT_EQ(judge.tenures().size(), 2U);
  EXPECT_EQ(judge.tenures()[1].mac, kB);
}

TEST(Judge, AcceptsAnAnswerJustBeforeTheAnnouncement) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 3 * kMs, Claim::Answer);
  judge.claim(kB, 4 * kMs, Claim::Announce);
  judge.finish();
  EXPECT_TRUE(judge.violations().empty());
}

TEST(Judge, AcceptsAMoveThereAndBack) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 2 * kMs, Claim::Announce);
  judge.claim(kB, 3 * kMs, Claim::Traffic);
  judge.claim(kA, 4 * kMs, Claim::Announce);
  judge.claim(kA, 5 * kMs, Claim::Traffic);
  judge.finish();
  EXPECT_TRUE(judge.violations().empty());
  EXPECT_EQ(judge.tenures().size(), 3U);
}

TEST(Judge, FindsOneFrameOfTheFormerOwner) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 2 * kMs, Claim::Announce);
  judge.claim(kA, 3 * kMs, Claim::Traffic);
  judge.claim(kB, 4 * kMs, Claim::Traffic);
  judge.finish();
  ASSERT_EQ(judge.violations().size(), 1U);
  EXPECT_EQ(judge.violations()[0].stray, kA);
  EXPECT_EQ(judge.violations()[0].frames, 1U);
  ASSERT_EQ(judge.tenures().size(), 2U);
  EXPECT_EQ(judge.tenures()[1].frames, 2U);
}

TEST(Judge, FindsAStrayFrameAlsoAtTheVeryEnd) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 2 * kMs, Claim::Announce);
  judge.claim(kA, 3 * kMs, Claim::Answer);
  judge.finish();
  EXPECT_EQ(judge.violations().size(), 1U);
}

TEST(Judge, FindsAnAnnouncementOfAMachineThatDoesNotServe) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 2 * kMs, Claim::Announce);
  judge.claim(kA, 3 * kMs, Claim::Traffic);  // the owner goes on as if nothing were
  judge.finish();
  EXPECT_EQ(judge.violations().size(), 1U);
}

TEST(Judge, FindsAMoveThatIsAnnouncedTooLate) {
  Judge judge;
  judge.claim(kA, 1 * kMs, Claim::Traffic);
  judge.claim(kB, 2 * kMs, Claim::Traffic);
  judge.claim(kB, 200 * kMs, Claim::Announce);
  judge.finish();
  EXPECT_EQ(judge.violations().size(), 1U);
}

TEST(Judge, FindsTwoMachinesThatBothAnswerForGood) {
  Judge judge;
  for (int64_t i = 0; i < 10; ++i) {
    judge.claim(i % 2 == 0 ? kA : kB, i * kMs, Claim::Answer);
  }
  judge.finish();
  EXPECT_EQ(judge.violations().size(), 5U);
}

}  // namespace
}  // namespace cb::lab
