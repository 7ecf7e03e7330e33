// SPDX-License-Identifier: Apache-2.0
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

TEST(Engine, WritesAloneAndReadsWhatItWrote) {
  Pair pair;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  const auto data = random_bytes(pair.prng, 4096);
  EXPECT_EQ(pair.a().write(8192, data), 0);
  EXPECT_EQ(pair.a().read(8192, 4096), data);
  EXPECT_EQ(pair.a().flush(), 0);
  EXPECT_EQ(pair.a().read(8192, 4096), data);
  EXPECT_EQ(pair.a().read(0, 4096), filled(4096, 0));
}

TEST(Engine, ASecondaryThatHoldsNothingCannotBePromoted) {
  Pair pair;
  pair.b().start();
  EXPECT_EQ(pair.b().promote(), ESTALE);
}

TEST(Engine, TwoNodesComeIntoStepAndAFlushIsOnBoth) {
  Pair pair;
  pair.bring_into_step();
  EXPECT_EQ(pair.registered.value.kind, core::Kind::Together);
  const auto data = random_bytes(pair.prng, 64u << 10);
  EXPECT_EQ(pair.a().write(1u << 20, data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  pair.a().kill();
  pair.b().kill();
  const auto content = pair.b().content_on_disk();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), content.begin() + (1 << 20)));
}

TEST(Engine, AFlushWaitsForThePeerUntilTheRightToBeAloneIsGiven) {
  Pair pair;
  pair.bring_into_step();
  pair.wire->cut(true);
  EXPECT_EQ(pair.a().write(0, filled(4096, 1)), 0);
  std::optional<int> flushed;
  pair.a().flush([&](int error) { flushed = error; });
  ASSERT_TRUE(pair.until([&] { return pair.a().stall == core::Stall::NoPeer; }));
  EXPECT_FALSE(flushed.has_value());
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return flushed.has_value(); }));
  EXPECT_EQ(*flushed, 0);
  EXPECT_EQ(pair.registered.value.kind, core::Kind::Alone);
  EXPECT_TRUE(core::acknowledges_alone(pair.a().state()));
}

TEST(Engine, TakesOverWithEverythingThatWasFlushed) {
  Pair pair;
  pair.bring_into_step();
  const auto data = random_bytes(pair.prng, 1u << 20);
  EXPECT_EQ(pair.a().write(512, data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  pair.a().kill();
  ASSERT_EQ(pair.b().promote(), 0);
  EXPECT_EQ(pair.b().read(512, data.size()), data);
  EXPECT_EQ(pair.registered.value.holder, 1);
  // And the other follows when it is back, and gets it all the other way round.
  const auto more = random_bytes(pair.prng, 4096);
  EXPECT_EQ(pair.b().write(0, more), 0);
  pair.a().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_EQ(pair.b().flush(), 0);
  EXPECT_EQ(pair.b().demote(true), 0);
  ASSERT_EQ(pair.a().promote(), 0);
  EXPECT_EQ(pair.a().read(0, 4096), more);
}

// The monitor told it to go alone for the moment in which the peer was unsure, and that moment is
// over: the wish is never granted, and must not stand in the way of a hand-over.
TEST(Engine, HandsOverWhileAWishToBeAloneWaits) {
  for (const bool silent : {true, false}) {
    Pair pair;
    pair.bring_into_step();
    ASSERT_EQ(pair.a().write(0, filled(4096, 1)), 0);
    ASSERT_EQ(pair.a().flush(), 0);
    pair.registered.silent = silent;
    pair.registered.no_alone = !silent;
    pair.a().engine().go_alone();
    ASSERT_TRUE(
        pair.until([&] { return pair.a().state().claim.step == core::Claim::Step::Waiting; }));
    ASSERT_EQ(pair.a().demote(true), 0);
    pair.registered.silent = pair.registered.no_alone = false;
    ASSERT_EQ(pair.b().promote(), 0);
    EXPECT_EQ(pair.b().read(0, 4096), filled(4096, 1));
  }
}

// A log of small batches, as databases write it, comes in bursts that no follower has slots for.
// What is sent twice is what the catch-up is slower by: it fell behind a writer that went on.
TEST(Engine, CatchesUpOnSmallBatchesWithoutHavingThemSentAgain) {
  Pair pair;
  pair.bring_into_step();
  pair.wire->cut(true);
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return core::acknowledges_alone(pair.a().state()); }));
  const auto begin = pair.a().state().issued;
  for (std::uint64_t i = 0; i < 300; ++i) {
    ASSERT_EQ(pair.a().write(i * 4096, random_bytes(pair.prng, 4096)), 0);
  }
  const auto end = pair.a().state().issued;
  ASSERT_GE(end - begin, 300u * 8192);
  constexpr auto kLogClass = static_cast<std::size_t>(transport::Priority::Log);
  const std::uint64_t carried = pair.wire->carried[kLogClass];
  pair.wire->cut(false);
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_GE(pair.b().state().issued, end);
  EXPECT_LE(pair.wire->carried[kLogClass] - carried, (end - begin) * 5 / 4);
}

}  // namespace
}  // namespace cb::replication
