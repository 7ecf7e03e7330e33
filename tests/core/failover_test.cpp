// SPDX-License-Identifier: Apache-2.0
//
// The standby, and a peer that falls silent: when it takes over, when it waits, when it must not.
#include <gtest/gtest.h>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

TEST(Failover, TakesOverAfterProvedSilenceRungByRung) {
  Driver d = secondary_standing_by();
  ASSERT_EQ(d.where(), "SECONDARY_ACTIVE/ready");
  d.asked();
  d.fall_silent();
  EXPECT_EQ(d.asked(), std::vector{ActionKind::Arbitrate}) << "asked ahead, at the first suspicion";
  d.decide(Verdict::Granted);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive) << "a verdict must be confirmed first";
  d.live(4_ms);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  EXPECT_EQ(d.asked().front(), ActionKind::ClaimTerm);
  d.answer(ActionKind::ClaimTerm);
  EXPECT_TRUE(d.asked_for(ActionKind::CloseLease));
  EXPECT_FALSE(d.asked_for(ActionKind::AddAddress));
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_EQ(grant_us_of(d.state), 0u);
  d.answer(ActionKind::CloseLease);
  EXPECT_TRUE(d.asked_for(ActionKind::AddAddress));
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.answer(ActionKind::AddAddress);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_TRUE(d.says(CB_FACT_SERVING));
  EXPECT_TRUE(d.says(CB_FACT_SOLO));
  d.finish_ladder();
  EXPECT_EQ(d.where(), "FAILOVER_ACTIVE/alone");
  EXPECT_EQ(d.facts().term, 5u) << "the next term of its own parity above the one it followed";
  EXPECT_TRUE(d.reported(Report::FailoverComplete));
}

TEST(Failover, DoesNotAddTheAddressBeforeTheFenceIsConfirmed) {
  Settings settings = fenced_settings(Role::Secondary);
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  ASSERT_EQ(d.where(), "FAILOVER_INVOKED/going-up") << "nobody to ask: the fence decides";
  d.answer(ActionKind::ClaimTerm);
  ASSERT_TRUE(d.asked_for(ActionKind::Fence));
  d.live(19_s);
  EXPECT_FALSE(d.asked_for(ActionKind::AddAddress));
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease));
  d.answer(ActionKind::Fence);
  d.answer(ActionKind::CloseLease);
  EXPECT_TRUE(d.asked_for(ActionKind::AddAddress));
}

TEST(Failover, AFenceThatFailsGivesTheClimbUpAndIsTriedAgain) {
  Settings settings = fenced_settings(Role::Secondary);
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  d.answer(ActionKind::ClaimTerm);
  d.answer(ActionKind::Fence, 5);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_GT(grant_us_of(d.state), 0u) << "it grants again: the peer may be alive";
  EXPECT_EQ(d.reason_of(Report::LadderRungFailed), Reason::FenceFailed);
  EXPECT_EQ(d.state.reason, Reason::FenceFailed) << "which step failed, not only that one did";
  d.finish_ladder();
  d.live(2_s);
  EXPECT_EQ(d.state.name, StateName::FailoverInvoked);
}

TEST(Failover, DoesNothingWhileItsGatewayIsSilentAndGivesUpAsStale) {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  Driver d = secondary_standing_by(settings);
  ASSERT_EQ(d.where(), "SECONDARY_ACTIVE/ready");
  d.fall_silent();
  d.decide(Verdict::Isolated);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-waiting");
  EXPECT_EQ(d.state.reason, Reason::Isolated);
  for (int i = 0; i < 40 && d.state.sub != SubState::OperatorNeeded; ++i) {
    d.live(500_ms);
    if (d.asked_for(ActionKind::Arbitrate)) {
      d.decide(Verdict::Isolated);
    }
  }
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/operator-needed");
  EXPECT_TRUE(d.state.stale) << "its peer may have gone on without it";
  EXPECT_TRUE(d.reported(Report::FailoverGivenUp));
  ASSERT_TRUE(d.asked_for(ActionKind::PersistLedger));
  EXPECT_TRUE(d.waiting(ActionKind::PersistLedger)->ledger.stale);
}

TEST(Failover, WaitsWhileSomebodyDefendsTheAddress) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Defended);
  EXPECT_EQ(d.state.reason, Reason::AddressDefended);
  d.live(3_s);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
}

TEST(Failover, AVerdictOfBeforeTheLastAnswerIsWorthless) {
  Driver d = secondary_standing_by();
  d.step(EventKind::PeerSuspect);
  d.decide(Verdict::Granted);
  d.pass(1_ms);
  d.step(EventKind::PeerAnswered);  // it was only slow
  d.pass(10_ms);
  d.fall_silent();
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  EXPECT_TRUE(d.asked_for(ActionKind::Arbitrate)) << "asked anew";
}

TEST(Failover, AVerdictIsForgottenWhenWeDidNotRunOurselves) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  Event stall;
  stall.kind = EventKind::SelfStalled;
  stall.span = 3_s;
  d.pass(3_s);
  d.step(stall);
  EXPECT_NE(d.state.name, StateName::FailoverInvoked);
  d.live(Duration{});
  EXPECT_NE(d.state.name, StateName::FailoverInvoked);
  EXPECT_TRUE(d.asked_for(ActionKind::Arbitrate));
}

TEST(Failover, AStallInTheMiddleOfTheClimbBeginsAnew) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.answer(ActionKind::ClaimTerm);
  d.answer(ActionKind::CloseLease);
  Event stall;
  stall.kind = EventKind::SelfStalled;
  stall.span = 3_s;
  d.pass(3_s);
  d.step(stall);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.answer_id(d.waiting(ActionKind::AddAddress)->id);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed) << "a late rung of an old ladder opens nothing";
}

TEST(Failover, IsCalledOffWhenThePeerAnswersBeforeTheGuardIsOpen) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.answer(ActionKind::ClaimTerm);
  d.hear(peer_facts(Role::Primary, 2));
  d.step(EventKind::PeerAnswered);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  EXPECT_GT(grant_us_of(d.state), 0u);
}

TEST(Failover, ASilenceThatWasBrokenProvesNothingUntilTheDetectorSpeaks) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.pass(10_ms);
  d.hear(peer_facts(Role::Primary, 2));  // a frame, and in the same turn a deadline
  d.step(EventKind::Tick);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  EXPECT_FALSE(d.state.peer_silent);
}

TEST(Failover, NeverTakesOverByItselfFromAPeerThatSaidThatItIsSolo) {
  Driver d = secondary_standing_by();
  PeerFacts solo = peer_facts(Role::Primary, 2);
  solo.flags |= CB_FACT_SOLO;
  d.hear(solo);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(60_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-manual");
}

TEST(Failover, SomebodyAtTheAddressEndsTheClimbWithAnAlarm) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  ASSERT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  d.step(EventKind::AddressConflict);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-waiting");
  EXPECT_EQ(d.state.reason, Reason::AddressDefended);
  EXPECT_TRUE(d.reported(Report::ConflictSeen));
}

TEST(Failover, SaysWhyItLeavesAPeerThatMayServeStillToTheOperator) {
  Driver d = secondary_standing_by();
  PeerFacts solo = peer_facts(Role::Primary, 2);
  solo.flags |= CB_FACT_SOLO;
  d.hear(solo);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-manual");
  EXPECT_EQ(d.state.reason, Reason::PeerWasSolo);
}

TEST(Failover, NeverTakesOverByItselfFromAPeerThatSaidGoodbye) {
  Driver d = secondary_standing_by();
  PeerFacts leaving = peer_facts(Role::Primary, 2);
  leaving.intent = CB_INTENT_GOODBYE;
  d.hear(leaving);
  EXPECT_EQ(d.where(), "GRACEFUL_SHUTDOWN/peer-stopped");
  d.fall_silent();
  d.live(100_s);
  EXPECT_EQ(d.where(), "GRACEFUL_SHUTDOWN/peer-stopped");
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

TEST(Failover, InManualModeASilentPeerWaitsForTheOperator) {
  Settings settings = usual_settings(Role::Secondary);
  settings.automatic_failover = false;
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-manual");
  d.live(100_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-manual");
  EXPECT_FALSE(d.state.stale) << "the silence was proved: nobody has gone on without us";
  d.step(EventKind::OperatorFailover);
  d.decide(Verdict::Granted);
  d.live(5_ms);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
}

TEST(Failover, OfASoloPeerTheOperatorIsMadeToWaitUntilItMustHaveClosed) {
  Settings settings = usual_settings(Role::Secondary);
  settings.automatic_failover = false;
  Driver d = secondary_standing_by(settings);
  PeerFacts solo = peer_facts(Role::Primary, 2);
  solo.flags |= CB_FACT_SOLO;
  d.hear(solo);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.step(EventKind::OperatorFailover);
  d.live(9_s);
  EXPECT_NE(d.state.name, StateName::FailoverInvoked);
  d.live(2_s);
  d.decide(Verdict::Granted);
  d.live(1_s);
  EXPECT_EQ(d.state.name, StateName::FailoverInvoked);
}

TEST(Failover, TheOperatorIsToldWhyWhenTheSilenceIsNotProved) {
  Settings settings = usual_settings(Role::Secondary);
  settings.automatic_failover = false;
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.step(EventKind::OperatorFailover);
  d.decide(Verdict::Defended);
  EXPECT_TRUE(d.reported(Report::OperatorRefused));
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::AddressDefended);
  EXPECT_NE(d.state.name, StateName::FailoverInvoked);
}

TEST(Failover, StaleDataNeedsForceAndForceNamesItself) {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  Driver d = secondary_standing_by(settings);
  PeerFacts alone = peer_facts(Role::Primary, 2);
  alone.flags |= CB_FACT_PEER_STALE;
  d.hear(alone);
  ASSERT_TRUE(d.state.stale);
  d.fall_silent();
  d.step(EventKind::OperatorFailover);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::StaleData);
  Event force;
  force.kind = EventKind::OperatorFailover;
  force.force = true;
  d.step(force);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  EXPECT_EQ(d.state.reason, Reason::OperatorForced);
}

TEST(Failover, AHungMonitorLosesCommandThoughItsKernelAnswers) {
  Driver d = secondary_standing_by();
  d.asked();
  d.step(EventKind::PeerMonitorStale);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  EXPECT_EQ(d.asked().front(), ActionKind::ClaimTerm) << "no gateway is asked";
  d.answer(ActionKind::ClaimTerm);
  EXPECT_TRUE(d.asked_for(ActionKind::CloseLease)) << "but its lease is waited out";
}

TEST(Failover, AHungMonitorThatServesSoloKeepsServing) {
  Driver d = secondary_standing_by();
  PeerFacts solo = peer_facts(Role::Primary, 2);
  solo.flags |= CB_FACT_SOLO;
  d.hear(solo);
  d.step(EventKind::PeerMonitorStale);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
}

TEST(Failover, APlannedRestartOfThePeerGetsItsLongGrantAndItsTime) {
  Driver d = secondary_standing_by();
  PeerFacts restarting = peer_facts(Role::Primary, 2);
  restarting.flags |= CB_FACT_RESTARTING;
  restarting.wanted_grant_us = 5'000'000;
  d.hear(restarting);
  EXPECT_EQ(grant_us_of(d.state), 5'000'000u);
  EXPECT_TRUE(d.says(CB_FACT_LONG_GRANT));
  d.live(1_s);
  d.step(EventKind::PeerMonitorStale);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  d.live(5_s);
  EXPECT_EQ(d.state.name, StateName::FailoverInvoked)
      << "it did not come back in the time it asked for";
}

TEST(Failover, NoGrantIsLongerThanTheMostThatCanBeWaitedOut) {
  Driver d = secondary_standing_by();
  PeerFacts restarting = peer_facts(Role::Primary, 2);
  restarting.flags |= CB_FACT_RESTARTING;
  restarting.wanted_grant_us = 0xffffffffu;
  d.hear(restarting);
  EXPECT_EQ(grant_us_of(d.state), CB_GRANT_US_MAX);
}

TEST(Failover, AClaimBeyondTheReservationWaitsForTheDisk) {
  Driver d = secondary_standing_by();
  PeerFacts far = peer_facts(Role::Primary, 100'000);
  d.hear(far);  // its terms have run far ahead of what our ledger has reserved
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  ASSERT_EQ(d.state.name, StateName::FailoverInvoked);
  EXPECT_FALSE(d.asked_for(ActionKind::ClaimTerm));
  d.answer(ActionKind::PersistLedger);
  EXPECT_TRUE(d.asked_for(ActionKind::ClaimTerm));
}

TEST(Failover, ADiskThatFailsEndsTheClimbWithAMessage) {
  Driver d = secondary_standing_by();
  d.hear(peer_facts(Role::Primary, 100'000));
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.answer(ActionKind::PersistLedger, 28);
  d.live(6_s);
  EXPECT_EQ(d.state.name, StateName::SecondaryActive);
  EXPECT_TRUE(d.reported(Report::LadderRungFailed));
}

TEST(Failover, AfterAStartTheLongestGrantOfAnEarlierLifeIsWaitedOut) {
  Driver d(usual_settings(Role::Secondary));
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  d.pass(1_s);
  d.hear(peer_facts(Role::Primary, 2));
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease));
  d.live(15_s);
  EXPECT_TRUE(d.asked_for(ActionKind::CloseLease));
}

TEST(Failover, ThreeAutomaticMovesInAWhileTurnAutomaticModeOff) {
  Driver d = secondary_standing_by();
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(d.state.automatic_off) << i;
    d.fall_silent();
    d.decide(Verdict::Granted);
    d.live(5_ms);
    d.finish_ladder();
    ASSERT_EQ(d.state.name, StateName::FailoverActive) << i << " " << d.where();
    // The primary takes command again, and dies again.
    const uint64_t newer = (d.state.term | 1) + 1;
    d.pass(1_s);
    d.hear(peer_facts(Role::Primary, newer));
    d.step(EventKind::PeerAnswered);
    d.finish_ladder();
    d.pass(1_s);
    d.hear(peer_facts(Role::Primary, newer));
    d.step(EventKind::Tick);
    ASSERT_EQ(d.state.name, StateName::SecondaryActive) << i << " " << d.where();
  }
  EXPECT_TRUE(d.state.automatic_off);
  EXPECT_TRUE(d.reported(Report::AutomaticModeOff));
  EXPECT_FALSE(d.says(CB_FACT_FAILOVER_AUTO));
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(60_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/peer-silent-manual");
  EXPECT_EQ(d.state.reason, Reason::FlapLimit);
  d.step(EventKind::OperatorFailoverType, true);
  EXPECT_TRUE(d.says(CB_FACT_FAILOVER_AUTO));
}

TEST(Failover, OldMovesAreForgottenAfterTheWindow) {
  Driver d = secondary_standing_by();
  for (int i = 0; i < 4; ++i) {
    d.fall_silent();
    d.decide(Verdict::Granted);
    d.live(5_ms);
    d.finish_ladder();
    const uint64_t newer = (d.state.term | 1) + 1;
    d.pass(600_s);
    d.hear(peer_facts(Role::Primary, newer));
    d.step(EventKind::PeerAnswered);
    d.finish_ladder();
    d.pass(1_s);
    d.hear(peer_facts(Role::Primary, newer));
    d.step(EventKind::Tick);
    EXPECT_FALSE(d.state.automatic_off) << i;
  }
}

// The witness is told of a forced takeover, and hears of its end like of any other.
TEST(Failover, AForcedOneIsGivenBackToTheWitnessWhenThePeerStandsBy) {
  Settings settings = usual_settings(Role::Secondary);
  settings.arbitration = kArbitrateWitness;
  Driver d = secondary_standing_by(settings);
  d.state.witness_held = false;
  d.fall_silent();
  Event force;
  force.kind = EventKind::OperatorFailover;
  force.force = true;
  d.step(force);
  d.live(5_ms);
  d.finish_ladder();
  EXPECT_EQ(d.state.solo, SoloBasis::Forced);
  EXPECT_TRUE(d.state.witness_held);
  d.log.clear();
  d.hear(peer_facts(Role::Primary, 0, d.state.term));
  d.step(EventKind::PeerAnswered);
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  EXPECT_TRUE(d.asked_for(ActionKind::CancelArbitration));
}

}  // namespace
}  // namespace cb::core
