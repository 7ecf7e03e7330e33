// SPDX-License-Identifier: Apache-2.0
//
// Catching up: by the log, and by a copy when the log was overrun.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

// a writes alone, more than its log holds, while b is away.
void overrun(Pair& pair, int megabytes = 20) {
  ASSERT_TRUE(pair.a().up());
  pair.a().engine().go_alone();
  for (int i = 0; i < megabytes; ++i) {
    const auto offset = static_cast<std::uint64_t>(i % 12) << 20;
    ASSERT_EQ(pair.a().write(offset, random_bytes(pair.prng, 1u << 20)), 0);
    ASSERT_EQ(pair.a().flush(), 0);
  }
  ASSERT_TRUE(pair.until([&] { return pair.a().state().record.map.present; }));
}

void expect_alike(Pair& pair) {
  EXPECT_EQ(pair.a().flush(), 0);
  const auto content = pair.a().read(0, kVolume);
  EXPECT_EQ(pair.a().demote(true), 0);
  pair.a().kill();
  ASSERT_EQ(pair.b().promote(), 0);
  EXPECT_TRUE(pair.b().read(0, kVolume) == content);
}

TEST(CatchUp, ByTheLogAfterAShortAbsence) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  ASSERT_EQ(pair.a().write(0, random_bytes(pair.prng, 1u << 20)), 0);
  pair.a().engine().go_alone();
  ASSERT_EQ(pair.a().flush(), 0);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_EQ(pair.a().engine().counts().extents_sent, 0u);
  expect_alike(pair);
}

TEST(CatchUp, ByACopyOfWhatDiffersWhenTheLogWasOverrun) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair);
  const auto dirty = pair.a().state().map.set_count();
  EXPECT_GT(dirty, 0u);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_GT(pair.a().engine().counts().extents_sent, 0u);
  // Not everything: what was never written is not sent.
  EXPECT_LT(pair.a().engine().counts().extents_sent, kVolume / core::kExtent);
  EXPECT_STREQ(pair.b().engine().protection(), "none");
  EXPECT_FALSE(std::filesystem::exists(pair.b().folder() + "/home.kept"));
  EXPECT_FALSE(std::filesystem::exists(pair.b().folder() + "/home.clone"));
  expect_alike(pair);
}

// Both began with zeros: what was never written is no difference.
TEST(CatchUp, AFreshPeerGetsEverythingThatWasEverWritten) {
  Pair pair;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  overrun(pair);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_GE(pair.a().engine().counts().extents_sent, (12u << 20) / core::kExtent);
  EXPECT_LT(pair.wire->carried[static_cast<std::size_t>(transport::Priority::Resync)],
            kVolume * 7 / 8);
  expect_alike(pair);
}

TEST(CatchUp, GoesOnWhileTheWriterWrites) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair);
  pair.b().start();
  int written = 0;
  while (!pair.both_in_step() && written < 400) {
    ASSERT_EQ(pair.a().write(pair.prng.below(200) * 65536, random_bytes(pair.prng, 8192)), 0);
    ++written;
    if (written % 8 == 0) {
      ASSERT_EQ(pair.a().flush(), 0);
    }
  }
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  expect_alike(pair);
}

// Either end dies in the middle, again and again: the copy goes on where it was, and in the end the
// images are alike.
TEST(CatchUp, SurvivesKillsOfEitherEndInTheMiddle) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair, 24);
  pair.wire->lose_percent = 2;
  pair.b().start();
  for (int kill = 0; kill < 6; ++kill) {
    Node& victim = kill % 2 == 0 ? pair.b() : pair.a();
    const auto before = pair.b().engine().counts().extents_written;
    ASSERT_TRUE(pair.until([&] {
      return pair.both_in_step() || pair.b().engine().counts().extents_written >= before + 3;
    }));
    victim.kill();
    if (!pair.b().up()) {
      // What was kept aside is there as long as the image is none.
      const auto files = open_files(pair.b().folder(), false);
      ASSERT_TRUE(files);
      const auto found = inspect(*files);
      ASSERT_TRUE(found);
      if (found->record.copying != 0) {
        EXPECT_TRUE(std::filesystem::exists(pair.b().folder() + "/home.kept") ||
                    std::filesystem::exists(pair.b().folder() + "/home.clone"));
        EXPECT_TRUE(std::filesystem::exists(pair.b().folder() + "/superblock.kept"));
      }
    }
    victim.start();
    if (&victim == &pair.a()) {
      ASSERT_EQ(pair.a().promote(), 0);
    }
  }
  pair.wire->lose_percent = 0;
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  expect_alike(pair);
}

// The source dies for good, each time at another place of the copy. What the copier had before is
// still there, whole, and can be written; also when it is killed itself meanwhile.
// CB_FORSAKEN=n: so many rounds.
TEST(Forsaken, TheImageThatWasKeptIsServedWhenTheSourceDiesInTheMiddleOfACopy) {
  const char* wanted = std::getenv("CB_FORSAKEN");
  const std::uint64_t rounds = wanted != nullptr ? parse_number(wanted).value_or(0) : 3;
  ASSERT_GT(rounds, 0u);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    Pair pair;
    pair.bring_into_step();
    for (std::uint64_t offset = 0; offset < kVolume; offset += 4u << 20) {
      ASSERT_EQ(pair.a().write(offset, random_bytes(pair.prng, 1u << 20)), 0);
    }
    ASSERT_EQ(pair.a().flush(), 0);
    const auto before = pair.a().read(0, kVolume);
    pair.b().kill();
    overrun(pair);
    pair.b().start();
    const auto extents = 1 + round * 7 % 100;
    ASSERT_TRUE(pair.until([&] { return pair.b().engine().counts().extents_written >= extents; }));
    pair.a().kill();
    ASSERT_NE(pair.b().state().record.copying, 0u) << "the copy was over before its source died";
    EXPECT_FALSE(core::eligible(pair.b().state()));
    EXPECT_TRUE(pair.b().engine().kept_position().has_value());
    if (round % 2 == 1) {
      pair.b().kill();
      pair.b().start();
      ASSERT_TRUE(pair.until([&] { return pair.b().state().started; }));
    }
    EXPECT_EQ(pair.b().promote(), ESTALE);
    pair.registered.value.kind = core::Kind::Alone;
    pair.registered.value.holder = 1;  // an operator said so
    ASSERT_EQ(pair.b().promote(true), 0);
    EXPECT_TRUE(pair.b().read(0, kVolume) == before);
    EXPECT_STREQ(pair.b().engine().protection(), "none");
    EXPECT_EQ(pair.b().write(0, filled(4096, 7)), 0);
    EXPECT_EQ(pair.b().flush(), 0);
    pair.b().kill();
    pair.b().start();
    ASSERT_EQ(pair.b().promote(), 0);
    EXPECT_TRUE(pair.b().read(0, 4096) == filled(4096, 7));
    const auto rest = pair.b().read(4096, kVolume - 4096);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), before.begin() + 4096));
  }
}

// Killed while the old image is being put back: it is put back again.
TEST(Forsaken, AKillWhileTheOldImageIsPutBackCostsNothing) {
  Pair pair;
  pair.bring_into_step();
  ASSERT_EQ(pair.a().write(0, random_bytes(pair.prng, 1u << 20)), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  const auto before = pair.a().read(0, kVolume);
  pair.b().kill();
  overrun(pair);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.b().engine().counts().extents_written >= 20; }));
  pair.a().kill();
  ASSERT_NE(pair.b().state().record.copying, 0u);
  pair.registered.value.kind = core::Kind::Alone;
  pair.registered.value.holder = 1;
  for (int i = 0; i < 3; ++i) {
    pair.b().engine().promote(true);
    ASSERT_TRUE(pair.until([&] { return pair.b().state().restore == core::Restore::Restoring; }));
    pair.b().kill();
    pair.b().start();
    ASSERT_TRUE(pair.until([&] { return pair.b().state().started; }));
    ASSERT_NE(pair.b().state().record.copying, 0u);
  }
  ASSERT_EQ(pair.b().promote(true), 0);
  EXPECT_TRUE(pair.b().read(0, kVolume) == before);
}

// Promoted to what it kept, and the source comes back all the same: nothing is thrown away.
TEST(Forsaken, ASourceThatComesBackFindsTwoHistoriesAndNobodyChoosesByItself) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.b().engine().counts().extents_written >= 5; }));
  pair.a().kill();
  ASSERT_NE(pair.b().state().record.copying, 0u);
  pair.registered.value.kind = core::Kind::Alone;
  pair.registered.value.holder = 1;
  ASSERT_EQ(pair.b().promote(true), 0);
  ASSERT_EQ(pair.b().write(0, filled(4096, 7)), 0);
  ASSERT_EQ(pair.b().flush(), 0);
  pair.a().start();
  ASSERT_TRUE(pair.until([&] { return pair.a().stall == core::Stall::Split; }));
  EXPECT_EQ(pair.a().promote(), ESTALE) << "the register names the other";
  EXPECT_TRUE(pair.b().read(0, 4096) == filled(4096, 7));
}

TEST(CatchUp, APausedResyncWaitsAndLiveReplicationGoesOn) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair);
  pair.a().engine().pause(true);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.a().state().copying.prepared; }));
  ASSERT_EQ(pair.a().write(0, filled(4096, 9)), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.b().state().synced == pair.a().state().issued; }));
  EXPECT_EQ(pair.a().engine().counts().extents_sent, 0u);
  EXPECT_GT(pair.a().engine().bytes_behind(), 0u);
  pair.a().engine().pause(false);
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  expect_alike(pair);
}

TEST(CatchUp, WhatIsAgreedAnewInTheMiddleGoesOnAndComesIntoStep) {
  Pair pair;
  pair.bring_into_step();
  pair.b().kill();
  overrun(pair);
  pair.b().start();
  for (std::uint64_t extents = 5; extents < 50; extents += 15) {
    ASSERT_TRUE(pair.until([&] {
      return pair.both_in_step() || pair.b().engine().counts().extents_written >= extents;
    }));
    pair.b().engine().agree_anew();
  }
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_LT(pair.b().engine().counts().extents_written, kVolume / core::kExtent * 2);
  expect_alike(pair);
}

TEST(CatchUp, ADiscardedCopyIsReplacedByThePeers) {
  Pair pair;
  pair.bring_into_step();
  ASSERT_EQ(pair.a().write(0, random_bytes(pair.prng, 1u << 20)), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  ASSERT_EQ(pair.b().discard(), 0);
  EXPECT_FALSE(core::eligible(pair.b().state()));
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  expect_alike(pair);
}

TEST(CatchUp, TwoVolumesThatAreNoCopiesOfOneAnotherAreKeptApart) {
  Pair pair;
  std::filesystem::remove(pair.b().folder() + "/superblock");
  Format format;
  format.folder = pair.b().folder();
  format.volume_bytes = kVolume;
  format.log_bytes = kLog;
  format.node = 1;
  format.instance_low = 77;
  ASSERT_TRUE(create(format));
  pair.a().start();
  pair.b().start();
  ASSERT_EQ(pair.a().promote(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.b().stall == core::Stall::Unrelated; }));
}

}  // namespace
}  // namespace cb::replication
