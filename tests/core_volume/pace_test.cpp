// SPDX-License-Identifier: Apache-2.0
//
// What is said and synced at once because somebody waits for it, and what is left for later: a
// commit pays for every message and every sync that comes in between.
#include "tests/core_volume/bench.h"

namespace cb::core::volume {
namespace {

constexpr auto kSay = ActionKind::Say;

TEST(Pace, WhatIsReceivedIsToldLateAndWhatIsDurableAtOnce) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  const int before = bench.count(kSay, MessageKind::Ack);
  bench.hear_batch(bench.batch(0)).append();
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before);
  Message note = bench.from_peer(MessageKind::Note);
  note.number = bench.state().following.number;
  note.flush = kBlock;
  bench.hear(note);
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before) << "the flush is not done yet";
  bench.sync();
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before + 1);
  EXPECT_EQ(bench.said(MessageKind::Ack).synced, kBlock);
  // Nobody waits for the second one, and its sender hears of it all the same.
  bench.hear_batch(bench.batch(kBlock)).append();
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before + 1);
  bench.pass(6_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before + 2);
  EXPECT_EQ(bench.said(MessageKind::Ack).position, 2 * kBlock);
}

// A database's log: write, flush, write, flush.
TEST(Pace, WhereEachWriteIsFlushedBothNodesSyncBeforeTheFlushComes) {
  Bench bench;
  bench.lead();
  uint64_t request = 0;
  const auto next = [&](bool flushed) {
    bench.write();
    const Message batch = bench.take(ActionKind::Send).message;
    const Position end = bench.state().issued;
    bench.give({.kind = EventKind::Sent, .number = bench.state().follower.number, .position = end});
    bench.append();
    const bool at_once = bench.wants(ActionKind::Sync);
    EXPECT_EQ(batch.flush == end, at_once) << "and the follower is told to";
    if (flushed) {
      const int notes = bench.count(kSay, MessageKind::Note);
      bench.flush(++request);
      EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes + (at_once ? 0 : 1));
    }
    if (flushed || at_once) {
      bench.sync().hear_ack(end, flushed ? end : 0);
    }
    return at_once;
  };
  int asked = 0;
  while (!next(true)) {
    ASSERT_LT(++asked, 8) << "it never learns";
  }
  EXPECT_GE(asked, 3) << "after one or two it may as well be chance";
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, request);
  // Writes that nobody flushes end it.
  EXPECT_TRUE(next(false));
  next(false);
  EXPECT_FALSE(next(false));
}

TEST(Pace, WhatIsSentToCatchUpIsNotFlushedBatchByBatch) {
  Bench bench;
  bench.serve();
  for (uint64_t request = 1; request <= 12; ++request) {
    bench.write().append().flush(request).sync();
  }
  ASSERT_TRUE(bench.state().habit.expects_flush());
  bench.give({.kind = EventKind::LinkUp});
  bench.their_epochs = bench.state().record.epochs;
  Message hello = bench.from_follower(MessageKind::Hello);
  hello.number = 1;
  bench.hear(hello);
  Message follow = bench.from_follower(MessageKind::Follow);
  follow.number = 1;
  bench.hear(follow);
  const Message batch = bench.take(ActionKind::Send).message;
  EXPECT_EQ(batch.position, 0u);
  EXPECT_EQ(batch.flush, 0u);
}

TEST(Pace, ABatchThatComesWithItsFlushIsDurableWithItsAnswer) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  const auto durably = [&] {
    const Action append = bench.take(ActionKind::Append);
    const bool asked = bench.state().slots[static_cast<std::size_t>(append.slot)].durably;
    bench.give({.kind = EventKind::Appended, .slot = append.slot});
    return asked;
  };
  bench.hear_batch(bench.batch(0), 0, kBlock);
  EXPECT_TRUE(durably());
  EXPECT_FALSE(bench.wants(ActionKind::Sync));
  EXPECT_EQ(bench.said(MessageKind::Ack).synced, kBlock);
  // One without, and then one with: the second is worth nothing before the first is durable, too.
  bench.hear_batch(bench.batch(kBlock), kBlock);
  EXPECT_FALSE(durably());
  bench.hear_batch(bench.batch(2 * kBlock), kBlock, 3 * kBlock);
  EXPECT_EQ(bench.state().synced, kBlock);
  EXPECT_TRUE(bench.wants(ActionKind::Sync));
  EXPECT_TRUE(durably());
  EXPECT_EQ(bench.state().synced, kBlock);
  bench.sync().sync();
  EXPECT_EQ(bench.state().synced, 3 * kBlock);
}

TEST(Pace, AWriteThatWaitsForItsFlushIsWrittenDurablyOnBothNodes) {
  Bench bench;
  bench.lead();
  Event event{.kind = EventKind::Write, .flushed = true};
  event.entry.length = 4096;
  bench.give(event);
  const Position end = bench.state().issued;
  EXPECT_EQ(bench.take(ActionKind::Send).message.flush, end);
  bench.give({.kind = EventKind::Sent, .number = bench.state().follower.number, .position = end});
  const int notes = bench.count(kSay, MessageKind::Note);
  bench.flush(1).append();
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes) << "the batch has said it";
  EXPECT_FALSE(bench.wants(ActionKind::Sync));
  EXPECT_EQ(bench.state().synced, end);
  EXPECT_FALSE(bench.wants(ActionKind::AnswerFlushes)) << "it is not durable there";
  bench.hear_ack(end, end);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 1u);
}

TEST(Pace, WritesThatComeTogetherShareASync) {
  Bench bench;
  bench.serve();
  Event event{.kind = EventKind::Write, .flushed = true};
  event.entry.length = 4096;
  bench.give(event).flush(1).give(event).flush(2);
  EXPECT_FALSE(bench.state().slots[1].durably);
  bench.append();  // the second, on the disk before the first
  EXPECT_EQ(bench.state().synced, 0u);
  bench.append();
  EXPECT_EQ(bench.state().synced, bench.state().issued / 2);
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 1u);
  bench.sync();
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 2u);
}

TEST(Pace, ADurableBatchThatFailsFailsTheVolume) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow().hear_batch(bench.batch(0), 0, kBlock);
  const Action append = bench.take(ActionKind::Append);
  bench.give({.kind = EventKind::Appended, .error = EIO, .slot = append.slot});
  EXPECT_TRUE(bench.state().failed);
  EXPECT_EQ(bench.state().synced, 0u);
}

TEST(Pace, InFastSyncAFlushWaitsForWhatIsReceived) {
  Bench bench(Mode::FastSync, Standing::Together, 1);
  bench.follow();
  bench.hear_batch(bench.batch(0));
  const int before = bench.count(kSay, MessageKind::Ack);
  Message note = bench.from_peer(MessageKind::Note);
  note.number = bench.state().following.number;
  note.flush = kBlock;
  bench.hear(note);
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before + 1);
  EXPECT_EQ(bench.said(MessageKind::Ack).position, kBlock);
}

TEST(Pace, ANoteThatSaysTheSameAgainIsAnswered) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  Message note = bench.from_peer(MessageKind::Note);
  note.number = bench.state().following.number;
  note.flush = kBlock;
  const int before = bench.count(kSay, MessageKind::Ack);
  bench.hear(note);
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before);
  bench.hear(note);  // its sender has missed something
  EXPECT_EQ(bench.count(kSay, MessageKind::Ack), before + 1);
}

TEST(Pace, AFlushIsToldAtOnceAndWhatIsCommittedWithTheNextBatch) {
  Bench bench;
  bench.lead();
  ASSERT_TRUE(bench.state().follower.active);
  bench.write().sent();
  const Position end = bench.state().issued;
  int notes = bench.count(kSay, MessageKind::Note);
  bench.append().flush(1);
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes + 1);
  EXPECT_EQ(bench.said(MessageKind::Note).flush, end);
  bench.sync().hear_ack(end, end);
  ASSERT_EQ(bench.state().committed, end);
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes + 1);
  bench.write();
  EXPECT_EQ(bench.take(ActionKind::Send).message.committed, end);
  bench.pass(6_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes + 1) << "the batch has said it";
}

TEST(Pace, AFlushOfWhatIsDurableThereAlreadyIsNotTold) {
  Bench bench;
  bench.lead().write().sent();
  const Position end = bench.state().issued;
  bench.append().hear_ack(end, end);
  const int notes = bench.count(kSay, MessageKind::Note);
  bench.flush(1);
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes);
  EXPECT_FALSE(bench.wants(ActionKind::AnswerFlushes)) << "it is not durable here";
  bench.sync();
  EXPECT_EQ(bench.take(ActionKind::AnswerFlushes).number, 1u);
}

TEST(Pace, WhatIsCommittedIsToldByItselfWhenNoBatchComes) {
  Bench bench;
  bench.lead().write().sent();
  const Position end = bench.state().issued;
  bench.append().flush(1).sync().hear_ack(end, end);
  const int notes = bench.count(kSay, MessageKind::Note);
  EXPECT_LE(next_deadline(bench.state()), bench.state().follower.note_at);
  bench.pass(6_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Note), notes + 1);
  EXPECT_EQ(bench.said(MessageKind::Note).committed, end);
}

TEST(Pace, WhatIsUnderWayIsSaidAgainOnlyWhenAnAnswerCouldBeThere) {
  Bench bench;
  bench.lead().write().sent();
  const Position first = bench.state().issued;
  bench.pass(40_ms);
  EXPECT_FALSE(bench.wants(ActionKind::Send));
  bench.pass(20_ms);
  EXPECT_EQ(bench.take(ActionKind::Send).position, first) << "a fast link has lost it";
  Event event{.kind = EventKind::Sent, .position = first};
  event.number = bench.state().follower.number;
  bench.give(event).pass(240_ms).hear_ack(first, 0);  // it had not: that took 300 ms
  while (bench.wants(ActionKind::Send)) {
    bench.take(ActionKind::Send);
    bench.give(event);
  }
  bench.write().sent();
  bench.pass(590_ms);
  EXPECT_FALSE(bench.wants(ActionKind::Send)) << "the answer may be under way";
  bench.pass(20_ms);
  EXPECT_TRUE(bench.wants(ActionKind::Send));
}

TEST(Pace, WhatIsNeverAnsweredIsSaidMoreAndMoreSeldom) {
  Bench bench;
  bench.lead().write().sent();
  int again = 0;
  for (int i = 0; i < 200; ++i) {
    bench.pass(10_ms);
    if (bench.wants(ActionKind::Send)) {
      bench.sent();
      ++again;
    }
  }
  EXPECT_GE(again, 4) << "it is said again: the link may have lost it";
  EXPECT_LE(again, 6) << "2 s are 50 + 100 + 200 + 400 + 800 ms and a rest";
}

TEST(Pace, AFollowerIsAsPatientAsItsLeaderIsSlow) {
  Bench bench(Mode::Sync, Standing::Together, 1);
  bench.follow();
  const auto hear_note = [&] {
    Message note = bench.from_peer(MessageKind::Note);
    note.number = bench.state().following.number;
    bench.hear(note);
  };
  hear_note();
  const int follows = bench.count(kSay, MessageKind::Follow);
  bench.pass(990_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows);
  bench.pass(20_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows + 1);
  bench.pass(200_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows + 2);
  bench.pass(390_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows + 2) << "the next time it waits longer";
  hear_note();  // 1600 ms after the last
  bench.pass(3190_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows + 2);
  bench.pass(20_ms);
  EXPECT_EQ(bench.count(kSay, MessageKind::Follow), follows + 3);
}

// The image is synced for much at once, whatever the log keeps for a peer that may ask for it.
TEST(Pace, TheImageIsSyncedSeldom) {
  Bench bench;
  bench.serve();
  int syncs = 0;
  for (int i = 0; i < 26; ++i) {  // of a ring of 64 blocks; two for each write
    bench.write().flush(static_cast<uint64_t>(i + 1)).append().sync();
    const Action apply = bench.take(ActionKind::Apply);
    bench.give({.kind = EventKind::Applied, .position = apply.position, .digest = {1, 1}});
    if (bench.wants(ActionKind::SyncHome)) {
      bench.take(ActionKind::SyncHome);
      bench.give({.kind = EventKind::HomeSynced}).settle();
      ++syncs;
    }
  }
  EXPECT_GE(syncs, 4);
  EXPECT_LE(syncs, 8) << "a sync for nearly every commit";
}

}  // namespace
}  // namespace cb::core::volume
