// SPDX-License-Identifier: Apache-2.0
//
// The rules of one node, one story each. What two nodes make of them is the simulator's.
#include "tests/core_volume/bench.h"

namespace cb::core::volume {
namespace {

TEST(Commit, AFlushAloneIsAnsweredOnceTheLogIsDurable) {
  Bench bench;
  bench.serve().write().flush(1).append();
  EXPECT_FALSE(bench.wants(ActionKind::AnswerFlushes));
  bench.sync();
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 1u);
}

TEST(Commit, AFlushWithNothingToWaitForIsAnsweredAtOnce) {
  Bench bench;
  bench.serve().flush(1);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 1u);
}

TEST(Commit, StrictNeverAnswersWithoutThePeer) {
  Bench bench(Mode::Strict);
  bench.serve().write().flush(1).append().sync();
  bench.give({.kind = EventKind::GoAlone}).pass(1_s);
  EXPECT_FALSE(bench.wants(ActionKind::AnswerFlushes));
  EXPECT_EQ(bench.state().stall, Stall::NoPeer);
}

TEST(Commit, WritesAreAnsweredInTheOrderOfTheLog) {
  Bench bench;
  bench.serve().write();
  const int first = bench.take(ActionKind::Append).slot;
  bench.write();
  const int second = bench.take(ActionKind::Append).slot;
  bench.give({.kind = EventKind::Appended, .slot = second});
  EXPECT_FALSE(bench.wants(ActionKind::AnswerWrites));
  bench.give({.kind = EventKind::Appended, .slot = first});
  EXPECT_EQ(bench.take(ActionKind::AnswerWrites).slot, second);
  EXPECT_EQ(bench.take(ActionKind::AnswerWrites).slot, first);
}

TEST(Commit, WritesThatComeWhileTheDiskIsBusyShareABatch) {
  Bench bench;
  bench.serve().write().write().write().write();
  bench.take(ActionKind::Append);
  const Action first = bench.take(ActionKind::Append);
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  bench.give({.kind = EventKind::Appended, .slot = first.slot});
  const Action shared = bench.take(ActionKind::Append);
  EXPECT_EQ(bench.state().slots[static_cast<std::size_t>(shared.slot)].header.entries.size(), 2u);
}

TEST(Disk, AfterAFailedSyncNoFlushIsEverAnswered) {
  Bench bench;
  bench.serve().write().flush(1).append().sync(EIO);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).error, EIO);
  bench.flush(2);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).error, EIO);
  EXPECT_EQ(bench.state().stall, Stall::DiskFailed);
  EXPECT_FALSE(eligible(bench.state()));
  bench.give({.kind = EventKind::Promote});
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, EIO);
}

TEST(Follower, RecordsThePeersEpochsBeforeItAsksForTheLog) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.give({.kind = EventKind::LinkUp});
  Message hello = bench.from_peer(MessageKind::Hello);
  hello.number = 1;
  bench.hear(hello);
  EXPECT_FALSE(bench.state().following.active);
  bench.settle();
  EXPECT_EQ(bench.said(MessageKind::Follow).position, 0u);
  EXPECT_EQ(bench.state().record.standing, Standing::CatchingUp);
  EXPECT_EQ(bench.state().record.epochs, bench.their_epochs);
}

TEST(Follower, TakesWhatContinuesItsLogAndNothingElse) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  const BatchHeader first = bench.batch(0);
  bench.hear_batch(first);
  bench.take(ActionKind::Append);
  bench.hear_batch(first);  // a double
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  bench.hear_batch(bench.batch(2 * kBlock));  // behind a gap
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  BatchHeader foreign = bench.batch(kBlock);
  foreign.generation = {6, 6};
  foreign.digest = digest_after(bench.state().issued_digest, foreign);
  bench.hear_batch(foreign);  // of an epoch that is not recorded
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  BatchHeader other = bench.batch(kBlock);
  other.digest.low ^= 1;
  bench.hear_batch(other);  // with another past
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  bench.hear_batch(bench.batch(kBlock));
  EXPECT_TRUE(bench.wants(ActionKind::Append));
}

TEST(Follower, JoinsOnlyWithEverythingDurable) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow().hear_batch(bench.batch(0));
  Message join = bench.from_peer(MessageKind::Join);
  join.epoch = {6, {9, 9}, kBlock, bench.state().issued_digest, 0};
  bench.hear(join);
  EXPECT_EQ(bench.state().wanted.standing, Standing::CatchingUp);
  bench.append();
  EXPECT_EQ(bench.state().wanted.standing, Standing::CatchingUp);
  bench.sync();
  EXPECT_EQ(bench.state().wanted.standing, Standing::Together);
  bench.settle();
  EXPECT_EQ(bench.said(MessageKind::Joined).epoch.number, 6u);
  EXPECT_EQ(bench.state().record.epoch, 6u);
}

TEST(Follower, AJoinWithAnotherPastIsNotAnswered) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow().hear_batch(bench.batch(0)).append();
  Message join = bench.from_peer(MessageKind::Join);
  join.epoch = {6, {9, 9}, kBlock, {66, 66}, 0};
  bench.hear(join).sync().settle();
  EXPECT_EQ(bench.state().record.standing, Standing::CatchingUp);
}

TEST(Messages, OfAnotherLifeSayNothing) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  Message m = bench.from_peer(MessageKind::Batch);
  const BatchHeader header = bench.batch(0);
  m.number = bench.state().following.number;
  m.session = 10;
  bench.hear(m, &header);
  EXPECT_FALSE(bench.wants(ActionKind::Append));
  m.session = 9;
  m.to_session = 6;
  bench.hear(m, &header);
  EXPECT_FALSE(bench.wants(ActionKind::Append));
}

TEST(Split, AcknowledgedWritesAreNeverCutOffUnasked) {
  Bench bench;
  bench.serve().write().flush(1).append().sync();
  bench.give({.kind = EventKind::Demote}).give({.kind = EventKind::LinkUp});
  Message hello = bench.from_peer(MessageKind::Hello);
  hello.number = 1;
  hello.granted = 7;
  bench.their_epochs = {{2, {1, 1}, 0, {}, 0}, {7, {5, 5}, 0, {}, 1}};
  const Position end = bench.state().issued;
  bench.hear(hello).settle().pass(1_s);
  EXPECT_EQ(bench.state().stall, Stall::Split);
  EXPECT_EQ(bench.state().issued, end);
}

TEST(Split, AnOperatorGivesOneCopyUpAndEverythingIsAskedFor) {
  Bench bench;
  bench.serve().write().flush(1).append().sync();
  bench.give({.kind = EventKind::Discard});
  EXPECT_EQ(bench.take(ActionKind::DiscardDone).error, EBUSY);  // not while it writes
  bench.give({.kind = EventKind::Demote});
  if (bench.wants(ActionKind::Apply)) {
    bench.give({.kind = EventKind::Applied,
                .position = bench.state().applying_to,
                .digest = bench.state().issued_digest});
  }
  bench.give({.kind = EventKind::Discard});
  bench.take(ActionKind::ProtectImage);
  bench.settle();
  EXPECT_EQ(bench.state().record.copying, 0u);  // nothing before the image is safe
  bench.give({.kind = EventKind::ImageProtected}).settle();
  EXPECT_EQ(bench.take(ActionKind::DiscardDone).error, 0);
  EXPECT_TRUE(bench.state().record.epochs.empty());
  EXPECT_FALSE(eligible(bench.state()));
  bench.follow();
  const Message follow = bench.said(MessageKind::Follow);
  EXPECT_EQ(follow.position, 0u);
  EXPECT_NE(follow.copying, 0u);
}

TEST(Deposed, AWriterStopsWhenThePeerWasGrantedALaterEpoch) {
  Bench bench;
  bench.serve().write().flush(1).append();
  bench.give({.kind = EventKind::LinkUp});
  Message hello = bench.from_peer(MessageKind::Hello);
  hello.number = 1;
  hello.granted = 7;
  bench.their_epochs = {{2, {1, 1}, 0, {}, 0}, {7, {5, 5}, 0, {}, 1}};
  bench.hear(hello);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).error, EIO);
  EXPECT_TRUE(bench.wants(ActionKind::Deposed));
  EXPECT_FALSE(can_take(bench.state(), 4096));
}

// Packets are authenticated, so this is a peer gone wrong: it may stop this node's replication, and
// must not bring the process down or make it believe what it cannot know.
TEST(HostilePeer, NonsenseBreaksNoInvariant) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Bench bench(Mode::Sync, seed % 2 == 0 ? Standing::Alone : Standing::Together,
                static_cast<Node>(seed % 2));
    if (seed % 2 == 0) {
      bench.serve().give({.kind = EventKind::LinkUp});
    } else {
      bench.follow();
    }
    const auto place = [&] { return prng.below(12) * kBlock; };
    for (int i = 0; i < 400; ++i) {
      Message m = bench.from_peer(static_cast<MessageKind>(prng.between(int64_t{1}, int64_t{15})));
      m.number = prng.below(2) == 0 ? bench.state().following.number : prng.below(500);
      m.position = place();
      m.end = place();
      m.synced = place();
      m.committed = place();
      m.flush = place();
      m.digest = prng.below(2) == 0 ? bench.state().issued_digest : Digest{prng.next(), 1};
      m.epoch = {
          prng.below(9), {prng.below(3), 1}, place(), m.digest, static_cast<Node>(prng.below(2))};
      m.copying = prng.below(3);
      m.extent = prng.below(40);
      m.standing = static_cast<Standing>(prng.below(5));
      m.granted = prng.below(9);
      m.serving = prng.chance(1, 2);
      bench.their_epochs.clear();
      Position at = 0;
      for (uint64_t number = prng.below(4); number < 9 && prng.chance(3, 4);
           number += 1 + prng.below(3)) {
        bench.their_epochs.push({number,
                                 {1 + prng.below(3), prng.below(3)},
                                 at,
                                 m.digest,
                                 static_cast<Node>(prng.below(2))});
        at += prng.below(3) * kBlock;
      }
      BatchHeader batch = bench.batch(m.position);
      if (prng.chance(1, 2) && !bench.state().record.epochs.empty()) {
        const Epoch& epoch = bench.state().record.epochs.back();
        batch.generation = epoch.generation;
        batch.epoch = epoch.number;
        batch.digest = digest_after(bench.state().issued_digest, batch);
      }
      bench.hear(m, &batch);
      if (bench.state().stage == Stage::Serving && can_take(bench.state(), 4096) &&
          prng.chance(1, 3)) {
        bench.write();
      }
      if (prng.chance(1, 6)) {
        bench.give({.kind = EventKind::Verify, .number = prng.below(2)});
      }
      bench.complete(prng);
    }
    // Whatever it said: nothing was taken for durable on the peer that this node never wrote.
    EXPECT_LE(bench.state().follower.synced, bench.state().issued);
    EXPECT_LE(bench.state().committed, bench.state().issued);
  }
}

}  // namespace
}  // namespace cb::core::volume
