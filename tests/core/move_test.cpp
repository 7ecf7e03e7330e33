// SPDX-License-Identifier: Apache-2.0
//
// Moves between two nodes that live: switchover, failback, hand-over, and what interrupts them.
#include <gtest/gtest.h>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

Event wish(EventKind kind, bool force = false) {
  Event e;
  e.kind = kind;
  e.force = force;
  return e;
}

// A secondary in command after a failover; the primary is back and stands by.
Driver secondary_in_command(Settings settings = usual_settings(Role::Secondary)) {
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  d.pass(5_s);
  PeerFacts back = peer_facts(Role::Primary, 0, d.state.term);
  back.command_term = 2;
  d.hear(back);
  Event e;
  e.kind = EventKind::LinkAnswered;
  e.link = Link::Direct;
  d.step(e);
  e.link = Link::Network;
  d.step(e);
  d.step(EventKind::PeerAnswered);
  d.finish_ladder();
  return d;
}

TEST(Switchover, GoesDownBeforeItSaysReleasedAndFollowsTheNewHolder) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-down");
  EXPECT_EQ(d.facts().intent, CB_INTENT_HAND_OVER);
  EXPECT_TRUE(d.says(CB_FACT_ON_REQUEST));
  EXPECT_TRUE(d.says(CB_FACT_SERVING)) << "clients are served until the services have stopped";
  d.answer(ActionKind::StopServices);
  EXPECT_FALSE(d.says(CB_FACT_SERVING));
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_FALSE(d.says(CB_FACT_RELEASED)) << "the address is still there";
  d.finish_ladder();
  EXPECT_TRUE(d.says(CB_FACT_RELEASED));
  EXPECT_GT(grant_us_of(d.state), 0u) << "the new holder needs our lease";
  d.hear(peer_facts(Role::Secondary, 5));
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
  EXPECT_FALSE(d.says(CB_FACT_RELEASED));
}

TEST(Switchover, ReleasedIsNotSaidBeforeTheLedgerKnows) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  d.answer(ActionKind::StopServices);
  d.answer(ActionKind::CloseGuard);
  d.answer(ActionKind::RemoveAddress);
  ASSERT_TRUE(d.asked_for(ActionKind::PersistLedger));
  EXPECT_FALSE(d.says(CB_FACT_RELEASED));
  d.finish_ladder();
  EXPECT_TRUE(d.says(CB_FACT_RELEASED));
  EXPECT_FALSE(d.state.durable.in_command);
}

TEST(Switchover, IsTakenBackWhenThePeerDoesNotTakeIt) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  d.finish_ladder();
  ASSERT_TRUE(d.says(CB_FACT_RELEASED));
  d.asked();
  d.live(6_s);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  EXPECT_EQ(d.state.reason, Reason::HandOverTimedOut);
  EXPECT_FALSE(d.says(CB_FACT_RELEASED));
  d.answer(ActionKind::ClaimTerm);
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease)) << "the peer has not heard of our term";
  PeerFacts knows = peer_facts(Role::Secondary, 0, d.state.serving_term);
  d.hear(knows);
  EXPECT_TRUE(d.asked_for(ActionKind::CloseLease)) << "we have granted since";
  d.finish_ladder();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/protected");
}

TEST(Switchover, APeerThatIsVisiblyClimbingGetsMoreTime) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  d.finish_ladder();
  PeerFacts climbing = peer_facts(Role::Secondary, 0, 5);
  climbing.state = StateName::FailoverInvoked;
  climbing.sub_state = SubState::GoingUp;
  d.hear(climbing);
  d.live(8_s);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/handing-over");
}

TEST(Switchover, WhenThePeerFallsSilentOnlyArbitrationGivesItBack) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  d.finish_ladder();
  d.fall_silent();
  EXPECT_EQ(d.state.name, StateName::Terminated);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.decide(Verdict::Defended);
  d.live(1_s);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed) << "it took what we gave";
}

TEST(Switchover, AlsoInManualModeTheMoveEndsWithSomebodyInCommand) {
  Settings settings = usual_settings(Role::Primary);
  settings.automatic_failover = false;
  Driver d = primary_in_command(settings);
  d.step(wish(EventKind::OperatorSwitchover));
  d.finish_ladder();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  d.live(20_s);
  d.finish_ladder();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
}

TEST(Switchover, IsRefusedWithTheReasonOfThePeer) {
  struct Case {
    uint32_t lacks;
    uint32_t has;
    Reason why;
  };
  for (const Case c : {Case{CB_FACT_ELIGIBLE, CB_FACT_STALE, Reason::StaleData},
                       Case{CB_FACT_ELIGIBLE | CB_FACT_IN_STEP, 0, Reason::CatchingUp},
                       Case{CB_FACT_ELIGIBLE | CB_FACT_NETWORK_OK, 0, Reason::NetworkLost},
                       Case{CB_FACT_ELIGIBLE | CB_FACT_SERVICES_OK, 0, Reason::ServicesFailed}}) {
    Driver d = primary_in_command();
    PeerFacts unfit = peer_facts(Role::Secondary, 0, d.state.term);
    unfit.flags = (unfit.flags & ~c.lacks) | c.has;
    d.hear(unfit);
    d.step(wish(EventKind::OperatorSwitchover));
    EXPECT_EQ(d.reason_of(Report::OperatorRefused), c.why);
    EXPECT_EQ(d.state.name, StateName::PrimaryActive);
  }
}

TEST(Switchover, AskedOfAPeerThatDoesNotCommandIsRefusedWithWhatIsKnownOfIt) {
  for (const EventKind kind : {EventKind::OperatorSwitchover, EventKind::OperatorFailback}) {
    Driver d(usual_settings(Role::Secondary));
    d.start();
    d.finish_ladder();
    d.step(wish(kind));
    EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerUnheard) << "nothing heard yet";
    d.step(EventKind::PeerSilent);
    d.step(wish(kind));
    EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerSilent);
    PeerFacts stopped = peer_facts(Role::Primary, 0, 2);
    stopped.intent = CB_INTENT_GOODBYE;
    d.pass(1_ms);
    d.meet(stopped);
    d.step(wish(kind));
    EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerGoodbye);
  }
}

TEST(Switchover, WithoutAPeerThereIsNobodyToHandOverTo) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.step(wish(EventKind::OperatorSwitchover, true));
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerSilent) << "no force conjures a peer";
}

TEST(Switchover, AskedAtTheStandbyItAsksTheHolder) {
  Driver d = secondary_standing_by();
  d.step(wish(EventKind::OperatorSwitchover));
  EXPECT_EQ(d.facts().intent, CB_INTENT_WANT_COMMAND);
  EXPECT_TRUE(d.says(CB_FACT_ON_REQUEST));
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  PeerFacts leaving = peer_facts(Role::Primary, 2);
  leaving.intent = CB_INTENT_HAND_OVER;
  d.hear(leaving);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/handing-over");
  EXPECT_EQ(d.facts().intent, CB_INTENT_NONE);
  leaving.flags &= ~static_cast<uint32_t>(CB_FACT_SERVING);
  leaving.flags |= CB_FACT_RELEASED;
  d.hear(leaving);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  d.answer(ActionKind::ClaimTerm);
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease)) << "the old holder has not heard of our term";
  leaving.term = d.facts().term;
  d.hear(leaving);
  d.answer(ActionKind::CloseLease);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.answer(ActionKind::AddAddress);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  d.finish_ladder();
  EXPECT_EQ(d.state.name, StateName::FailoverActive);
}

TEST(Switchover, AWishThatNobodyAnswersIsGivenUpAloud) {
  Driver d = secondary_standing_by();
  d.step(wish(EventKind::OperatorSwitchover));
  d.live(6_s);
  EXPECT_EQ(d.facts().intent, CB_INTENT_NONE);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::HandOverTimedOut);
}

TEST(Switchover, TheHolderConsidersTheWishOfItsPeerAndRefusesOnce) {
  Driver d = primary_in_command();
  d.state.last_move = d.now;  // a move has just ended
  PeerFacts wants = peer_facts(Role::Secondary, 0, d.state.term);
  wants.intent = CB_INTENT_WANT_COMMAND;
  wants.flags |= CB_FACT_ON_REQUEST;
  d.hear(wants);
  EXPECT_EQ(d.reason_of(Report::HandOverRefused), Reason::HoldDown);
  const size_t reports = d.log.size();
  d.step(EventKind::Tick);
  d.step(EventKind::Tick);
  EXPECT_EQ(d.log.size(), reports);
  wants.flags |= CB_FACT_FORCED;
  d.state.refused_peer = false;
  d.hear(wants);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-down");
}

TEST(Switchover, ADeviceThatCannotBeUnmountedKeepsCommandHere) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d = primary_in_command(settings);
  d.step(wish(EventKind::OperatorSwitchover));
  d.answer(ActionKind::StopServices);
  d.answer(ActionKind::UnmountVolume, 16);
  EXPECT_EQ(d.state.goal, Goal::Resume);
  EXPECT_NE(guard_of(d.state), GuardMode::Closed);
  EXPECT_EQ(d.facts().intent, CB_INTENT_NONE);
  d.finish_ladder();
  EXPECT_EQ(d.state.name, StateName::PrimaryActive);
  EXPECT_TRUE(d.reported(Report::HandOverRefused));
}

TEST(Switchover, ASecondMoveWaitsForTheEndOfTheFirst) {
  Driver d = primary_in_command();
  d.step(wish(EventKind::OperatorSwitchover));
  d.step(wish(EventKind::OperatorFailback));
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::Busy);
}

TEST(Failback, WithoutDataItIsASwitchoverBack) {
  Driver d = secondary_in_command();
  ASSERT_EQ(d.where(), "FAILOVER_ACTIVE/protected");
  d.live(61_s);
  d.step(wish(EventKind::OperatorFailback));
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/going-down");
  d.finish_ladder();
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/handing-over");
  d.hear(peer_facts(Role::Primary, 8));
  EXPECT_EQ(d.state.name, StateName::SecondaryActive) << "there is nothing to catch up with";
}

TEST(Failback, IsHeldDownAfterAFailoverUnlessForced) {
  Driver d = secondary_in_command();
  d.step(wish(EventKind::OperatorFailback));
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::HoldDown);
  EXPECT_EQ(d.state.name, StateName::FailoverActive);
  d.step(wish(EventKind::OperatorFailback, true));
  EXPECT_EQ(d.state.name, StateName::FailbackActive);
}

TEST(Failback, ServesOnWhileDataReturnsAndThenHandsOver) {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  Driver d = secondary_in_command(settings);
  PeerFacts behind = peer_facts(Role::Primary, 0, d.state.term);
  behind.flags &= ~static_cast<uint32_t>(CB_FACT_ELIGIBLE | CB_FACT_IN_STEP);
  d.hear(behind);
  d.live(61_s);
  d.step(wish(EventKind::OperatorFailback));
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/synchronizing");
  EXPECT_TRUE(d.says(CB_FACT_SERVING));
  behind.progress_permille = 500;
  d.hear(behind);
  d.live(300_s);
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/synchronizing");
  d.step(EventKind::VolumeInStep);
  d.hear(peer_facts(Role::Primary, 0, d.state.term));
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/going-down");
}

TEST(Failback, AStallEndsItWithTheReason) {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  Driver d = secondary_in_command(settings);
  PeerFacts behind = peer_facts(Role::Primary, 0, d.state.term);
  behind.flags &= ~static_cast<uint32_t>(CB_FACT_ELIGIBLE | CB_FACT_IN_STEP);
  d.hear(behind);
  d.live(61_s);
  d.step(wish(EventKind::OperatorFailback));
  d.live(601_s);
  EXPECT_EQ(d.state.name, StateName::FailoverActive);
  EXPECT_EQ(d.reason_of(Report::HandOverRefused), Reason::CatchingUp);
}

TEST(Failback, ThePrimaryTakesItAndIsCompleteWhenTheOtherIsInStep) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d(settings);
  d.start();
  d.finish_ladder();
  PeerFacts holder = peer_facts(Role::Secondary, 5);
  d.meet(holder);
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
  EXPECT_TRUE(d.asked_for(ActionKind::Resync));
  d.step(EventKind::VolumeInStep);
  holder.state = StateName::FailbackActive;
  d.hear(holder);
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/synchronizing");
  holder.intent = CB_INTENT_HAND_OVER;
  d.hear(holder);
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/handing-over");
  holder.flags = (holder.flags & ~static_cast<uint32_t>(CB_FACT_SERVING)) | CB_FACT_RELEASED;
  d.hear(holder);
  EXPECT_EQ(d.where(), "FAILBACK_ACTIVE/going-up");
  holder.term = d.facts().term + 0;
  d.answer(ActionKind::PersistLedger);
  d.answer(ActionKind::ClaimTerm);
  holder.term = d.facts().term;
  d.hear(holder);
  d.finish_ladder();
  EXPECT_EQ(d.state.name, StateName::FailbackComplete);
  EXPECT_TRUE(d.reported(Report::FailbackComplete));
  PeerFacts standby = peer_facts(Role::Secondary, 0, d.state.term);
  standby.command_term = 5;
  d.hear(standby);
  EXPECT_EQ(d.state.name, StateName::FailbackComplete) << "its word is not our volume's";
  d.step(EventKind::VolumeInStep);
  EXPECT_EQ(d.state.name, StateName::PrimaryActive);
}

TEST(Failback, AStallAsksAgainForDataThatWasOnItsWay) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d(settings);
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Secondary, 5));
  const size_t before = d.log.size();
  Event e;
  e.kind = EventKind::SelfStalled;
  e.span = 3_s;
  d.step(e);
  d.live(Duration{});
  bool again = false;
  for (size_t i = before; i < d.log.size(); ++i) {
    again = again || d.log[i].kind == ActionKind::Resync;
  }
  EXPECT_TRUE(again) << "the peer may have thought us dead meanwhile, and we never saw it silent";
}

TEST(Failback, AutomaticWaitsForAStablePeerAndTheHoldDown) {
  Settings settings = usual_settings(Role::Secondary);
  settings.automatic_failback = true;
  Driver d = secondary_in_command(settings);
  d.live(20_s);
  EXPECT_EQ(d.state.name, StateName::FailoverActive);
  d.live(45_s);
  EXPECT_EQ(d.state.name, StateName::FailbackActive);
  EXPECT_EQ(d.state.reason, Reason::AutomaticFailback);
  EXPECT_FALSE(d.says(CB_FACT_ON_REQUEST));
}

TEST(Failback, NeverByItselfInMaintenance) {
  Settings settings = usual_settings(Role::Secondary);
  settings.automatic_failback = true;
  Driver d = secondary_in_command(settings);
  PeerFacts resting = peer_facts(Role::Primary, 0, d.state.term);
  resting.flags |= CB_FACT_MAINTENANCE;
  d.hear(resting);
  d.live(600_s);
  EXPECT_EQ(d.state.name, StateName::FailoverActive);
}

TEST(Failback, APrimaryThatStandsByTakesOverItselfWhenTheSecondaryDies) {
  Driver d(usual_settings(Role::Primary));
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Secondary, 5));
  d.pass(20_s);
  d.hear(peer_facts(Role::Secondary, 5));
  d.step(EventKind::Tick);
  d.finish_ladder();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  EXPECT_EQ(d.where(), "TERMINATED/going-up");
  d.finish_ladder();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
}

}  // namespace
}  // namespace cb::core
