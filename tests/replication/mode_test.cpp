// SPDX-License-Identifier: Apache-2.0
//
// What a flush promises in each mode, at the level of disks.
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

// Whether a flush is answered while the link is cut, and after the right to be alone was asked for.
struct Promise {
  core::Mode mode;
  bool when_cut;
  bool alone;
};

class Modes : public testing::TestWithParam<Promise> {};

TEST_P(Modes, AFlushWaitsForWhomItMust) {
  Pair pair;
  pair.settings.mode = GetParam().mode;
  pair.bring_into_step();
  ASSERT_EQ(pair.a().write(0, filled(4096, 1)), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  const int syncs = pair.b().log_disk().syncs;
  pair.wire->cut(true);
  ASSERT_EQ(pair.a().write(4096, filled(4096, 2)), 0);
  std::optional<int> flushed;
  pair.a().flush([&](int error) { flushed = error; });
  if (GetParam().when_cut) {
    ASSERT_TRUE(pair.until([&] { return flushed.has_value(); }));
    return;
  }
  ASSERT_TRUE(pair.until([&] { return pair.a().stall == core::Stall::NoPeer; }));
  EXPECT_FALSE(flushed.has_value());
  pair.a().engine().go_alone();
  if (GetParam().alone) {
    ASSERT_TRUE(pair.until([&] { return flushed.has_value(); }));
    EXPECT_EQ(*flushed, 0);
    return;
  }
  // strict: never alone. When the peer is back it goes on.
  for (int i = 0; i < 30; ++i) {
    pair.turn();
  }
  EXPECT_FALSE(flushed.has_value());
  pair.wire->cut(false);
  ASSERT_TRUE(pair.until([&] { return flushed.has_value(); }));
  EXPECT_EQ(*flushed, 0);
  EXPECT_GT(pair.b().log_disk().syncs, syncs);
}

INSTANTIATE_TEST_SUITE_P(All, Modes,
                         testing::Values(Promise{core::Mode::Strict, false, false},
                                         Promise{core::Mode::Sync, false, true},
                                         Promise{core::Mode::FastSync, false, true},
                                         Promise{core::Mode::Async, true, true}));

TEST(Modes, WhatIsSmallGoesToThePeerBeforeTheOwnDisk) {
  Pair pair;
  pair.bring_into_step();
  const int before = pair.wire->hurried;
  ASSERT_EQ(pair.a().write(0, filled(4096, 1)), 0);
  EXPECT_EQ(pair.wire->hurried, before + 1);
  ASSERT_EQ(pair.a().write(0, filled(256u << 10, 2)), 0);
  EXPECT_EQ(pair.wire->hurried, before + 1) << "to send it would keep the disk waiting";
}

TEST(Modes, FastSyncWaitsForThePeersMemoryAndSyncForItsDisk) {
  for (const core::Mode mode : {core::Mode::FastSync, core::Mode::Sync}) {
    Pair pair;
    pair.settings.mode = mode;
    pair.bring_into_step();
    pair.b().log_disk().sync_error = EIO;  // the peer's disk makes nothing durable any more
    ASSERT_EQ(pair.a().write(0, filled(4096, 1)), 0);
    std::optional<int> flushed;
    pair.a().flush([&](int error) { flushed = error; });
    ASSERT_TRUE(pair.until([&] { return pair.b().disk_failed != 0; }));
    if (mode == core::Mode::FastSync) {
      EXPECT_TRUE(pair.until([&] { return flushed.has_value(); }));
      continue;
    }
    for (int i = 0; i < 20; ++i) {
      pair.turn();
    }
    EXPECT_FALSE(flushed.has_value());
  }
}

TEST(Modes, AFlushWithWriteIsOnBothDisksWhenItIsAnswered) {
  Pair pair;
  pair.bring_into_step();
  std::optional<int> written;
  pair.a().write(
      0, filled(4096, 7), [&](int error) { written = error; }, true);
  ASSERT_TRUE(pair.until([&] { return written.has_value(); }));
  EXPECT_EQ(*written, 0);
  EXPECT_GE(pair.b().state().synced, pair.a().state().issued);
}

TEST(Modes, ALostAnswerOfTheRegisterIsReadAgain) {
  Pair pair;
  pair.bring_into_step();
  pair.registered.lose_answer = true;
  pair.wire->cut(true);
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return core::acknowledges_alone(pair.a().state()); }));
  EXPECT_EQ(pair.registered.value.epoch, pair.a().state().record.epoch);
}

TEST(Modes, ASilentRegisterStallsAndIsAskedUntilItAnswers) {
  Pair pair;
  pair.bring_into_step();
  pair.registered.silent = true;
  pair.wire->cut(true);
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return pair.a().stall == core::Stall::RegisterSilent; }));
  pair.registered.silent = false;
  ASSERT_TRUE(pair.until([&] { return core::acknowledges_alone(pair.a().state()); }));
}

}  // namespace
}  // namespace cb::replication
