// SPDX-License-Identifier: Apache-2.0
//
// How one node comes by the right to acknowledge, one story each.
#include "tests/core_volume/bench.h"

namespace cb::core::volume {
namespace {

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

}  // namespace
}  // namespace cb::core::volume
