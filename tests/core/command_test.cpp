// SPDX-License-Identifier: Apache-2.0
//
// The node in command: with or without a lease, alone, in conflict, worse off than its peer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

TEST(Command, UnderALeaseWhileTheStandbyWouldTakeOver) {
  Driver d = primary_in_command();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/protected");
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  EXPECT_FALSE(d.says(CB_FACT_SOLO));
  EXPECT_EQ(grant_us_of(d.state), 0u) << "who serves grants nothing";
}

TEST(Command, GoesSoloOnceTheStandbysDeathIsProved) {
  Driver d = primary_in_command();
  d.fall_silent();
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  d.decide(Verdict::Granted);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased) << "not before the verdict is confirmed";
  d.live(4_ms);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
  EXPECT_TRUE(d.says(CB_FACT_SOLO));
  EXPECT_FALSE(may_acknowledge_alone(d.state)) << "the disk has not heard of it";
  d.answer(ActionKind::PersistLedger);
  EXPECT_TRUE(may_acknowledge_alone(d.state));
}

TEST(Command, StaysClosedWhileItIsTheOneThatIsCutOff) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.decide(Verdict::Isolated);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/degraded");
  EXPECT_EQ(d.state.reason, Reason::Isolated);
  for (int i = 0; i < 20; ++i) {
    d.live(1_s);
    if (d.asked_for(ActionKind::Arbitrate)) {
      d.decide(Verdict::Isolated);
    }
    ASSERT_EQ(guard_of(d.state), GuardMode::Leased) << "the kernel closes it with the lease";
  }
}

TEST(Command, YieldsAtOnceToAPeerThatServesInANewerTerm) {
  Driver d = primary_in_command();
  d.asked();
  d.hear(peer_facts(Role::Secondary, d.state.term + 3));
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_EQ(d.state.name, StateName::Terminated);
  EXPECT_EQ(d.asked().front(), ActionKind::CloseGuard);
  EXPECT_TRUE(d.reported(Report::Yielded));
  d.finish_ladder();
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
}

TEST(Command, YieldsToAPeerThatHasServedSinceThoughItNoLongerDoes) {
  Driver d = primary_in_command();
  PeerFacts later = peer_facts(Role::Secondary, 0, d.state.term + 3);
  later.command_term = d.state.term + 3;
  d.hear(later);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

TEST(Command, DoesNotYieldToAnOlderTermAndSoundsTheAlarm) {
  Driver d = primary_in_command();
  d.state.term = d.state.serving_term = d.state.command_term = 12;
  PeerFacts older = peer_facts(Role::Secondary, 9);
  older.flags |= CB_FACT_SOLO;
  d.asked();
  d.hear(older);
  EXPECT_NE(guard_of(d.state), GuardMode::Closed);
  EXPECT_TRUE(d.reported(Report::ConflictSeen));
  EXPECT_EQ(d.state.reason, Reason::PeerYielding);
  EXPECT_EQ(d.asked().front(), ActionKind::Announce);
}

TEST(Command, AStrangerAtTheAddressIsAnAlarmAndNotAReasonToYield) {
  Driver d = primary_in_command();
  d.asked();
  d.step(EventKind::AddressConflict);
  EXPECT_EQ(d.asked(), std::vector{ActionKind::Announce});
  EXPECT_NE(guard_of(d.state), GuardMode::Closed);
  d.step(EventKind::AddressConflict);
  EXPECT_TRUE(d.asked().empty()) << "a flood of claims is not answered by a flood";
}

TEST(Command, LeavesSoloOnlyAfterTheLedgerHasHeardOfIt) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(4_ms);
  d.answer(ActionKind::PersistLedger);
  d.pass(1_s);
  d.hear(peer_facts(Role::Secondary, 0, d.state.term));
  d.step(EventKind::PeerAnswered);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_TRUE(d.says(CB_FACT_SOLO)) << "the peer must not take over yet";
  ASSERT_TRUE(d.asked_for(ActionKind::PersistLedger));
  EXPECT_FALSE(d.waiting(ActionKind::PersistLedger)->ledger.solo);
  d.answer(ActionKind::PersistLedger);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  EXPECT_FALSE(d.says(CB_FACT_SOLO));
}

TEST(Command, APeerThatWasLeftBehindCountsAgainOnlyWhenOurVolumeSaysSo) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d = primary_in_command(settings);
  d.finish_ladder();
  ASSERT_EQ(guard_of(d.state), GuardMode::Leased) << d.where();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(4_ms);
  d.answer(ActionKind::PersistLedger);
  d.pass(10_s);
  d.step(EventKind::VolumeFellBehind);
  // It was frozen: its kernel answers, its words are of before.
  d.hear(peer_facts(Role::Secondary, 0, d.state.term));
  d.step(EventKind::PeerAnswered);
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_TRUE(d.says(CB_FACT_PEER_STALE));
  d.step(EventKind::VolumeInStep);
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
}

TEST(Command, ServesSoloByPolicyWhileThePeerWouldNotTakeOver) {
  Driver d = primary_in_command();
  PeerFacts manual = peer_facts(Role::Secondary, 0, d.state.term);
  manual.flags &= ~static_cast<uint32_t>(CB_FACT_FAILOVER_AUTO);
  d.hear(manual);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_EQ(d.state.solo, SoloBasis::Policy);
  // Cut off, it closes: an operator may tell the other to take over.
  d.fall_silent();
  d.decide(Verdict::Isolated);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
}

TEST(Command, WithAWitnessNothingButTheWitnessMakesSolo) {
  Settings settings = usual_settings(Role::Primary);
  settings.arbitration = kArbitrateWitness;
  Driver d = primary_in_command(settings);
  PeerFacts manual = peer_facts(Role::Secondary, 0, d.state.term);
  manual.flags &= ~static_cast<uint32_t>(CB_FACT_FAILOVER_AUTO);
  d.hear(manual);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  PeerFacts leaving = manual;
  leaving.intent = CB_INTENT_GOODBYE;
  d.hear(leaving);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  d.decide(Verdict::Granted);
  d.live(4_ms);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
}

// Nobody knows whether the witness has granted what it did not answer: it must hear that we do not
// need it, or it refuses the peer for ever.
TEST(Command, AnUnansweredQuestionIsGivenBackToTheWitness) {
  Settings settings = usual_settings(Role::Primary);
  settings.arbitration = kArbitrateWitness;
  for (const Verdict verdict : {Verdict::Unavailable, Verdict::Granted, Verdict::Refused}) {
    Driver d = primary_in_command(settings);
    d.step(EventKind::PeerSuspect);
    d.decide(verdict);
    d.log.clear();
    d.hear(peer_facts(Role::Secondary, 0, d.state.term));
    d.step(EventKind::PeerAnswered);
    EXPECT_EQ(d.asked_for(ActionKind::CancelArbitration), verdict != Verdict::Refused)
        << name_of(verdict);
    EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  }
}

// It served alone, came back, and the peer caught up under its lease: the next to take over may be
// the peer, and the witness must not stand in its way.
TEST(Command, APeerThatCaughtUpUnderOurLeaseIsNoLongerBehind) {
  Settings settings = usual_settings(Role::Primary);
  settings.arbitration = kArbitrateWitness;
  settings.has_volume = true;
  Driver d = primary_in_command(settings);
  d.state.peer_stale = true;
  d.state.witness_held = true;
  PeerFacts behind = peer_facts(Role::Secondary, 0, d.state.term);
  behind.flags &= ~static_cast<uint32_t>(CB_FACT_IN_STEP | CB_FACT_ELIGIBLE);
  d.hear(behind);
  EXPECT_TRUE(d.says(CB_FACT_PEER_STALE));
  EXPECT_TRUE(d.state.witness_held);
  d.step(EventKind::VolumeInStep);
  d.hear(peer_facts(Role::Secondary, 0, d.state.term));
  EXPECT_FALSE(d.says(CB_FACT_PEER_STALE));
  EXPECT_TRUE(d.asked_for(ActionKind::CancelArbitration));
  EXPECT_FALSE(d.state.witness_held);
}

TEST(Command, WithAFenceTheStandbyIsDeadBeforeWeGoOnAlone) {
  Settings settings = fenced_settings(Role::Primary);
  Driver d = primary_in_command(settings);
  d.fall_silent();
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  ASSERT_TRUE(d.asked_for(ActionKind::Fence));
  d.answer(ActionKind::Fence);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
}

TEST(Command, AStandbyThatStopsOnPurposeCostsNothing) {
  Driver d = primary_in_command();
  PeerFacts leaving = peer_facts(Role::Secondary, 0, d.state.term);
  leaving.intent = CB_INTENT_GOODBYE;
  d.hear(leaving);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo) << "before its last lease has run out";
  EXPECT_TRUE(d.state.peer_left);
  d.fall_silent();
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
}

TEST(Command, HandsOverWhenItsNetworkIsLostAndThePeersIsNot) {
  Driver d = primary_in_command();
  d.step(EventKind::NetworkDown);
  EXPECT_EQ(d.state.name, StateName::PrimaryActive) << "a dying gateway is seen by one of us first";
  d.live(2_s);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-down");
  EXPECT_EQ(d.state.reason, Reason::NetworkLost);
}

// In command of a volume that the standby is in step with.
Driver with_volume() {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d = primary_in_command(settings);
  d.step(EventKind::VolumeInStep);
  d.hear(peer_facts(Role::Secondary, 0, d.state.term));
  return d;
}

TEST(Command, HandsOverAtOnceWhenItsDiskFailsAndTheStandbyIsInStep) {
  Driver d = with_volume();
  ASSERT_EQ(d.where(), "PRIMARY_ACTIVE/protected");
  d.step(EventKind::VolumeFailed);
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-down");
  EXPECT_EQ(d.state.reason, Reason::VolumeFailed);
  d.step(EventKind::VolumeFellBehind);  // nobody writes here any more: of course
  EXPECT_EQ(d.where(), "FAILOVER_INVOKED/going-down");
  d.finish_ladder();
  EXPECT_FALSE(d.state.in_command);
  EXPECT_FALSE(d.says(CB_FACT_IN_STEP)) << "so the other goes on without waiting for this copy";
  EXPECT_FALSE(d.says(CB_FACT_ELIGIBLE));
}

TEST(Command, StaysDegradedWithAFailedDiskWhenNobodyElseHasTheData) {
  Driver d = with_volume();
  d.step(EventKind::VolumeFellBehind);
  d.step(EventKind::VolumeFailed);
  d.live(60_s);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/degraded");
  EXPECT_EQ(d.state.reason, Reason::VolumeFailed);
}

TEST(Command, AStopDoesNotWaitForAVolumeThatIsStillBeingPromoted) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  settings.paired = false;
  settings.volume_deadline = 20_s;
  Driver d(settings);
  d.start();
  for (int i = 0; i < 20 && !d.asked_for(ActionKind::PromoteVolume); ++i) {
    if (d.state.persist != 0) {
      d.answer(ActionKind::PersistLedger);
    } else {
      d.answer_id(d.state.rung_action);
    }
  }
  ASSERT_TRUE(d.asked_for(ActionKind::PromoteVolume));
  d.step(EventKind::ShutdownRequested, false);
  d.asked();
  EXPECT_TRUE(d.asked_for(ActionKind::StopServices));
  d.finish_ladder();
  EXPECT_THAT(d.asked(), testing::Contains(ActionKind::DemoteVolume));
  EXPECT_TRUE(d.asked_for(ActionKind::Exit));
}

TEST(Command, DoesNotHandOverToANodeThatIsWorseOff) {
  Driver d = primary_in_command();
  PeerFacts worse = peer_facts(Role::Secondary, 0, d.state.term);
  worse.flags &= ~static_cast<uint32_t>(CB_FACT_NETWORK_OK | CB_FACT_ELIGIBLE);
  d.hear(worse);
  d.step(EventKind::NetworkDown);
  d.live(60_s);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/degraded");
}

TEST(Command, IsNotProtectedByAStandbyThatCouldNotTakeOverYet) {
  Driver d = primary_in_command();
  PeerFacts restarted = peer_facts(Role::Secondary, 0, d.state.term);
  restarted.sub_state = SubState::NotReady;
  d.hear(restarted);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/degraded");
  EXPECT_EQ(d.state.reason, Reason::EarlierGrant);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased) << "a takeover that waits is a takeover";
  restarted.sub_state = SubState::Ready;
  d.hear(restarted);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/protected");
}

TEST(Command, DoesNotMoveInMaintenance) {
  Driver d = primary_in_command();
  d.step(EventKind::OperatorMaintenance, true);
  EXPECT_TRUE(d.reported(Report::MaintenanceOn));
  EXPECT_TRUE(d.says(CB_FACT_MAINTENANCE));
  d.step(EventKind::ServicesDown);
  d.live(60_s);
  EXPECT_EQ(d.state.name, StateName::PrimaryActive);
  d.step(EventKind::OperatorMaintenance, false);
  d.live(2_s);
  EXPECT_EQ(d.state.name, StateName::FailoverInvoked);
}

TEST(Command, ServicesThatDoNotStartLeaveTheAddressUpAndAreTriedAgain) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  for (const ActionKind kind :
       {ActionKind::ClaimTerm, ActionKind::CloseLease, ActionKind::AddAddress,
        ActionKind::OpenGuard, ActionKind::Announce}) {
    d.answer(kind);
  }
  for (int i = 0; i < 3; ++i) {
    d.answer(ActionKind::StartServices, 110);
    d.live(5_s);
  }
  EXPECT_EQ(d.where(), "FAILOVER_ACTIVE/degraded");
  EXPECT_EQ(d.state.reason, Reason::ServicesFailed);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  d.live(31_s);
  EXPECT_TRUE(d.asked_for(ActionKind::AddAddress) || d.asked_for(ActionKind::StartServices));
  d.finish_ladder();
  EXPECT_EQ(d.where(), "FAILOVER_ACTIVE/alone");
}

TEST(Command, AnUnpairedPrimaryServesAlone) {
  Settings settings = usual_settings(Role::Primary);
  settings.paired = false;
  Driver d(settings);
  d.start();
  d.finish_ladder();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_EQ(d.state.reason, Reason::Unpaired);
}

TEST(Command, AnUnpairedSecondaryDoesNothing) {
  Settings settings = usual_settings(Role::Secondary);
  settings.paired = false;
  Driver d(settings);
  d.start();
  d.finish_ladder();
  d.live(100_s);
  EXPECT_EQ(d.where(), "TERMINATED/none");
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

}  // namespace
}  // namespace cb::core
