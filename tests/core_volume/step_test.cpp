// SPDX-License-Identifier: Apache-2.0
//
// The rules of one node, one story each. What two nodes make of them is the simulator's.
#include "core/volume/step.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "core/volume/history.h"
#include "core/volume/superblock.h"

namespace cb::core::volume {
namespace {

constexpr uint64_t kVolume = 64 * kBlock;

// A node whose disks, register and peer are this test.
class Bench {
 public:
  explicit Bench(Mode mode = Mode::Sync, Standing standing = Standing::Alone, Node node = 0) {
    record_.ring_length = 64 * kBlock;
    record_.volume_length = kVolume;
    record_.node = node;
    record_.standing = standing;
    if (standing != Standing::Fresh) {
      record_.epoch = 2;
      record_.epochs.push({2, {1, 1}, 0, {}, 0});
    }
    Settings settings;
    settings.mode = mode;
    begin(*state_, settings, DirtyMap(words_, kVolume));
    give({.kind = EventKind::Started, .session = 7, .seed = {3, 4}, .record = &record_});
  }

  State& state() { return *state_; }

  Bench& give(Event event) {
    const Actions actions = step(*state_, event, now_);
    for (const Action& action : actions) {
      said_.push_back(action);
    }
    return *this;
  }
  // The last action of this kind since the last call; its absence fails the test.
  Action take(ActionKind kind) {
    for (std::size_t i = said_.size(); i-- > 0;) {
      if (said_[i].kind == kind) {
        const Action action = said_[i];
        said_.erase(said_.begin() + static_cast<std::ptrdiff_t>(i));
        return action;
      }
    }
    ADD_FAILURE() << "no action " << static_cast<int>(kind);
    return {};
  }
  bool wants(ActionKind kind) const {
    for (const Action& action : said_) {
      if (action.kind == kind) {
        return true;
      }
    }
    return false;
  }
  Message said(MessageKind kind) {
    for (std::size_t i = said_.size(); i-- > 0;) {
      if (said_[i].kind == ActionKind::Say && said_[i].message.kind == kind) {
        return said_[i].message;
      }
    }
    ADD_FAILURE() << "no message " << static_cast<int>(kind);
    return {};
  }

  Bench& settle() {
    while (wants(ActionKind::Record)) {
      take(ActionKind::Record);
      give({.kind = EventKind::Recorded});
    }
    return *this;
  }
  // Answers some of what was asked for, as a sound owner would.
  void complete(Prng& prng) {
    for (std::size_t i = 0; i < said_.size();) {
      const Action action = said_[i];
      if (prng.chance(1, 3)) {
        ++i;
        continue;
      }
      said_.erase(said_.begin() + static_cast<std::ptrdiff_t>(i));
      Event event;
      event.position = action.position;
      event.slot = action.slot;
      event.number = action.number;
      event.request = action.message.extent;
      event.seen = held;
      event.digest = {action.position, 1};
      switch (action.kind) {
        case ActionKind::Append: event.kind = EventKind::Appended; break;
        case ActionKind::Sync: event.kind = EventKind::Synced; break;
        case ActionKind::Record: {
          std::vector<std::byte> bytes(kBlock);
          encode(state_->recording, bytes);
          EXPECT_TRUE(decode_record(bytes).has_value()) << "a record that cannot be read again";
          event.kind = EventKind::Recorded;
          break;
        }
        case ActionKind::Apply: event.kind = EventKind::Applied; break;
        case ActionKind::SyncHome: event.kind = EventKind::HomeSynced; break;
        case ActionKind::Fold: event.kind = EventKind::Folded; break;
        case ActionKind::ReadRegister: event.kind = EventKind::RegisterRead; break;
        case ActionKind::SwapRegister:
          event.kind = EventKind::RegisterSwapped;
          event.granted = held == action.expected;
          held = event.granted ? action.wanted : held;
          break;
        case ActionKind::Send: event.kind = EventKind::Sent; break;
        case ActionKind::WriteExtent: event.kind = EventKind::ExtentWritten; break;
        case ActionKind::ProtectImage: event.kind = EventKind::ImageProtected; break;
        case ActionKind::RestoreImage:
        case ActionKind::None:
        case ActionKind::AnswerWrites:
        case ActionKind::AnswerFlushes:
        case ActionKind::Say:
        case ActionKind::SendExtent:
        case ActionKind::ReleaseImage:
        case ActionKind::PromoteDone:
        case ActionKind::DiscardDone:
        case ActionKind::DemoteDone:
        case ActionKind::InStep:
        case ActionKind::FellBehind:
        case ActionKind::Deposed:
        case ActionKind::Stalled: continue;
      }
      give(event);
    }
  }
  Register held{2, {1, 1}, Kind::Alone, 0};
  Bench& serve() {
    give({.kind = EventKind::Promote});
    take(ActionKind::ReadRegister);
    give({.kind = EventKind::RegisterRead, .seen = held});
    held = take(ActionKind::SwapRegister).wanted;
    give({.kind = EventKind::RegisterSwapped, .granted = true});
    return settle();
  }
  Bench& write() {
    Event event{.kind = EventKind::Write};
    event.entry.length = 4096;
    return give(event);
  }
  Bench& flush(uint64_t request) { return give({.kind = EventKind::Flush, .request = request}); }
  Bench& append() {
    const Action action = take(ActionKind::Append);
    return give({.kind = EventKind::Appended, .slot = action.slot});
  }
  Bench& sync(int error = 0) {
    const Action action = take(ActionKind::Sync);
    return give({.kind = EventKind::Synced, .error = error, .position = action.position});
  }
  Bench& pass(Duration span) {
    now_ = now_ + span;
    return give({.kind = EventKind::Tick});
  }

  // The other node, serving in an epoch of its own that begins at 0.
  Message from_peer(MessageKind kind) {
    Message m;
    m.kind = kind;
    m.session = 9;
    m.to_session = 7;
    m.node = static_cast<Node>(1 - record_.node);
    m.volume_length = kVolume;
    m.standing = Standing::Alone;
    m.granted = 4;
    m.serving = true;
    return m;
  }
  Epochs their_epochs{{2, {1, 1}, 0, {}, 0}, {4, {2, 2}, 0, {}, 0}};
  Bench& hear(Message m, const BatchHeader* batch = nullptr) {
    return give({.kind = EventKind::Heard, .message = &m, .epochs = &their_epochs, .batch = batch});
  }
  // ... and this node follows it.
  Bench& follow() {
    give({.kind = EventKind::LinkUp});
    Message hello = from_peer(MessageKind::Hello);
    hello.number = 1;
    hear(hello);
    return settle();
  }
  BatchHeader batch(Position position) {
    BatchHeader header;
    header.position = position;
    header.generation = {2, 2};
    header.epoch = 4;
    header.entries.push({EntryType::Zero, 4096, 0, 0, 0});
    header.digest = digest_after(state_->issued_digest, header);
    return header;
  }
  Bench& hear_batch(const BatchHeader& header) {
    Message m = from_peer(MessageKind::Batch);
    m.number = state_->following.number;
    m.position = header.position;
    return hear(m, &header);
  }

 private:
  Record record_;
  std::vector<uint64_t> words_ = std::vector<uint64_t>(DirtyMap::words_for(kVolume));
  std::unique_ptr<State> state_ = std::make_unique<State>();
  std::vector<Action> said_;
  Instant now_ = Instant::from_ns(1'000'000'000);
};

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

// Its process was killed and started again beside a peer that stands by; the peer's Hello comes
// after the question to be alone, which nobody grants while the peer answers.
TEST(Claim, ThePeerThatCameLaterIsAskedInPlaceOfARightThatNobodyGrants) {
  Bench bench(Mode::Sync, Standing::Together);
  bench.give({.kind = EventKind::Promote}).pass(1_s);
  bench.take(ActionKind::ReadRegister);
  bench.give({.kind = EventKind::RegisterRead, .seen = {2, {1, 1}, Kind::Together, 1}});
  const Register alone = bench.take(ActionKind::SwapRegister).wanted;
  EXPECT_EQ(alone.kind, Kind::Alone);
  bench.give({.kind = EventKind::RegisterSwapped, .error = EAGAIN});

  bench.give({.kind = EventKind::LinkUp});
  bench.their_epochs = {{2, {1, 1}, 0, {}, 0}};
  Message hello = bench.from_peer(MessageKind::Hello);
  hello.standing = Standing::Together;
  hello.granted = 2;
  hello.serving = false;
  hello.number = 1;
  bench.hear(hello).settle().pass(1_s).settle().pass(1_ms).settle().pass(1_ms);
  EXPECT_FALSE(bench.wants(ActionKind::SwapRegister)) << "it insists on being alone";
  const Epoch planned = bench.said(MessageKind::Join).epoch;
  EXPECT_GT(planned.number, alone.epoch) << "a number that was proposed is proposed again";
}

// Its disk failed: it hears, and says no more of what it has.
TEST(Claim, WhoHearsAndDoesNotJoinIsNoFollower) {
  Bench bench;
  bench.serve();
  bench.give({.kind = EventKind::LinkUp});
  bench.their_epochs = bench.state().record.epochs;
  Message hello = bench.from_peer(MessageKind::Hello);
  hello.standing = Standing::CatchingUp;
  hello.serving = false;
  hello.number = 1;
  bench.hear(hello);
  Message follow = bench.from_peer(MessageKind::Follow);
  follow.standing = Standing::CatchingUp;
  follow.serving = false;
  follow.number = 1;
  bench.hear(follow).settle();
  ASSERT_TRUE(bench.state().follower.active);
  bench.pass(1_ms).settle();
  bench.said(MessageKind::Join);
  EXPECT_FALSE(acknowledges_alone(bench.state())) << "an acknowledgement waits for the two of them";
  for (int i = 0; i < 100 && bench.state().follower.active; ++i) {
    bench.pass(bench.state().settings.resend).settle();
  }
  EXPECT_FALSE(bench.state().follower.active);
  bench.write().flush(1).append().pass(1_ms);
  EXPECT_EQ(bench.state().stall, Stall::NoPeer) << "so that the right to be alone is asked for";
  bench.give({.kind = EventKind::GoAlone});
  EXPECT_TRUE(bench.wants(ActionKind::ReadRegister));
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

TEST(Authority, NothingIsServedBeforeTheGrantIsRecordedDurably) {
  Bench bench;
  bench.give({.kind = EventKind::Promote});
  bench.give({.kind = EventKind::RegisterRead, .seen = bench.held});
  const Action swap = bench.take(ActionKind::SwapRegister);
  EXPECT_EQ(swap.expected, bench.held);
  EXPECT_EQ(swap.wanted.kind, Kind::Alone);
  bench.give({.kind = EventKind::RegisterSwapped, .granted = true});
  EXPECT_FALSE(bench.wants(ActionKind::PromoteDone));
  EXPECT_FALSE(can_take(bench.state(), 4096));
  bench.settle();
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, 0);
  EXPECT_TRUE(can_take(bench.state(), 4096));
}

TEST(Authority, ASwapWhoseAnswerWasLostIsReadAgainAndAdopted) {
  Bench bench;
  bench.give({.kind = EventKind::Promote});
  bench.take(ActionKind::ReadRegister);
  bench.give({.kind = EventKind::RegisterRead, .seen = bench.held});
  const Register wanted = bench.take(ActionKind::SwapRegister).wanted;
  bench.give({.kind = EventKind::RegisterSwapped, .error = ETIMEDOUT});
  EXPECT_FALSE(bench.wants(ActionKind::Record));
  EXPECT_EQ(bench.state().stall, Stall::RegisterSilent);
  bench.pass(1_s).take(ActionKind::ReadRegister);
  bench.give({.kind = EventKind::RegisterRead, .seen = wanted}).settle();
  EXPECT_FALSE(bench.wants(ActionKind::SwapRegister));
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, 0);
}

TEST(Authority, ACopyThatIsBehindIsPromotedOnlyWhenItsLossIsAccepted) {
  for (const Standing standing : {Standing::CatchingUp, Standing::Outdated}) {
    Bench bench(Mode::Sync, standing);
    bench.give({.kind = EventKind::Promote});
    EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, ESTALE);
    bench.give({.kind = EventKind::Promote, .accept_loss = true});
    bench.give({.kind = EventKind::RegisterRead, .seen = bench.held});
    EXPECT_EQ(bench.take(ActionKind::SwapRegister).wanted.kind, Kind::Alone);
    bench.give({.kind = EventKind::RegisterSwapped, .granted = true}).settle();
    EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, 0);
    EXPECT_EQ(bench.state().record.standing, Standing::Alone);
  }
}

TEST(Authority, AnAcceptedLossDoesNotOverruleTheRegister) {
  Bench bench(Mode::Sync, Standing::CatchingUp);
  bench.give({.kind = EventKind::Promote, .accept_loss = true});
  bench.give({.kind = EventKind::RegisterRead, .seen = {2, {1, 1}, Kind::Together, 1}});
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, ESTALE);
  EXPECT_EQ(bench.settle().state().record.standing, Standing::CatchingUp);
}

TEST(Authority, WhatIsNoImageIsNotPromotedWhateverIsAccepted) {
  Bench bench(Mode::Sync, Standing::Fresh);
  bench.give({.kind = EventKind::Promote, .accept_loss = true});
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, ESTALE);
}

TEST(Authority, ARegisterThatNamesTheOtherRefusesAndOutdates) {
  Bench bench(Mode::Sync, Standing::Together);
  bench.give({.kind = EventKind::Promote});
  bench.give({.kind = EventKind::RegisterRead, .seen = {5, {8, 8}, Kind::Alone, 1}});
  EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, ESTALE);
  bench.settle();
  EXPECT_EQ(bench.state().record.standing, Standing::Outdated);
  EXPECT_FALSE(eligible(bench.state()));
}

TEST(Authority, WhoIsNotInStepIsNotEvenAsked) {
  for (const Standing standing : {Standing::Fresh, Standing::CatchingUp, Standing::Outdated}) {
    Bench bench(Mode::Sync, standing, 1);
    bench.give({.kind = EventKind::Promote});
    EXPECT_EQ(bench.take(ActionKind::PromoteDone).error, ESTALE);
    EXPECT_FALSE(bench.wants(ActionKind::ReadRegister));
  }
}

TEST(Authority, TwoNodesNeverDrawTheSameNumber) {
  Bench a(Mode::Sync, Standing::Together, 0);
  Bench b(Mode::Sync, Standing::Together, 1);
  for (Bench* bench : {&a, &b}) {
    bench->give({.kind = EventKind::Promote});
    bench->give({.kind = EventKind::RegisterRead, .seen = {2, {1, 1}, Kind::Together, 0}});
  }
  EXPECT_NE(a.take(ActionKind::SwapRegister).wanted.epoch,
            b.take(ActionKind::SwapRegister).wanted.epoch);
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
      Message m = bench.from_peer(static_cast<MessageKind>(prng.between(int64_t{1}, int64_t{11})));
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
      bench.complete(prng);
    }
    // Whatever it said: nothing was taken for durable on the peer that this node never wrote.
    EXPECT_LE(bench.state().follower.synced, bench.state().issued);
    EXPECT_LE(bench.state().committed, bench.state().issued);
  }
}

}  // namespace
}  // namespace cb::core::volume
