// SPDX-License-Identifier: Apache-2.0
//
// Beginnings and ends: cold starts, restarts, graceful stops, the end of a pairing.
#include <gtest/gtest.h>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

LedgerRecord in_command_ledger(uint64_t term = 10) {
  LedgerRecord r;
  r.term = term;
  r.reserved_term = term + 100;
  r.command_term = term;
  r.state = StateName::PrimaryActive;
  r.in_command = true;
  return r;
}

PeerFacts starting(Role role, uint64_t command_term) {
  PeerFacts f = peer_facts(role, 0, 1);
  f.term = std::max<uint64_t>(command_term, 1);
  f.command_term = command_term;
  f.state = StateName::Terminated;
  f.sub_state = SubState::Starting;
  return f;
}

TEST(Start, CleansUpAsksFirstAndServesNothing) {
  Driver d(usual_settings(Role::Primary));
  d.start(in_command_ledger());
  EXPECT_EQ(d.where(), "TERMINATED/starting");
  EXPECT_EQ(d.asked().front(), ActionKind::CloseGuard) << "whatever an earlier life left standing";
  d.finish_ladder();
  d.live(300_s);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

TEST(Start, NothingIsPromisedBeforeTheLedgerIsKnown) {
  for (const EventKind kind : {EventKind::OperatorFailover, EventKind::OperatorUnpair,
                               EventKind::OperatorSwitchover, EventKind::OperatorFailback}) {
    Driver d(usual_settings(Role::Primary));
    Event e;
    e.kind = kind;
    e.force = true;
    d.step(e);
    EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::ColdStart) << name_of(kind);
    EXPECT_EQ(d.state.ladder, Ladder::None) << name_of(kind);
    EXPECT_FALSE(d.says(CB_FACT_UNPAIRING)) << name_of(kind);
  }
}

TEST(Start, HavingBeenInCommandProvesNothing) {
  Driver d(usual_settings(Role::Primary));
  d.start(in_command_ledger());
  d.finish_ladder();
  d.step(EventKind::PeerSilent);
  d.live(300_s);
  EXPECT_EQ(d.where(), "TERMINATED/waiting-for-peer");
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

TEST(Start, TheLedgerProvesThatThePeerCannotHaveServedSince) {
  for (const bool left : {false, true}) {
    LedgerRecord ledger = in_command_ledger();
    ledger.solo = true;
    ledger.peer_stale = !left;
    ledger.peer_left = left;
    Driver d(usual_settings(Role::Primary));
    d.start(ledger);
    d.finish_ladder();
    d.step(EventKind::PeerSilent);
    d.live(14_s);
    EXPECT_FALSE(d.asked_for(ActionKind::Arbitrate)) << "the peer has its time to answer";
    d.live(2_s);
    d.decide(Verdict::Granted);
    d.live(5_ms);
    EXPECT_EQ(d.state.goal, Goal::ColdStart);
    d.finish_ladder();
    EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
    EXPECT_GT(d.facts().term, ledger.reserved_term) << "those may have been claimed";
  }
}

TEST(Start, AlsoAProofNeedsArbitration) {
  LedgerRecord ledger = in_command_ledger();
  ledger.solo = ledger.peer_stale = true;
  Driver d(usual_settings(Role::Primary));
  d.start(ledger);
  d.finish_ladder();
  d.step(EventKind::PeerSilent);
  d.live(16_s);
  d.decide(Verdict::Defended);
  EXPECT_EQ(d.where(), "TERMINATED/waiting-for-peer");
  EXPECT_EQ(d.state.reason, Reason::AddressDefended);
}

TEST(Start, AProofSurvivesACrashWhileItIsStillAsking) {
  LedgerRecord ledger = in_command_ledger();
  ledger.solo = ledger.peer_stale = true;
  Driver d(usual_settings(Role::Primary));
  d.start(ledger);
  d.finish_ladder();
  EXPECT_TRUE(d.state.durable.in_command);
  EXPECT_TRUE(d.state.durable.solo);
  EXPECT_TRUE(d.state.durable.peer_stale);
}

TEST(Start, AProofIsVoidOnceThePeerIsSeenToServe) {
  LedgerRecord ledger = in_command_ledger();
  ledger.solo = ledger.peer_stale = true;
  Driver d(usual_settings(Role::Primary));
  d.start(ledger);
  d.finish_ladder();
  d.meet(peer_facts(Role::Secondary, 201));
  d.finish_ladder();
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
  EXPECT_FALSE(d.state.durable.in_command);
  EXPECT_FALSE(d.state.durable.solo);
}

TEST(Start, OfTwoIdleNodesWhoWasLastInCommandTakesIt) {
  struct Case {
    Role role;
    uint64_t own;
    uint64_t peer;
    bool climbs;
  };
  for (const Case c : {Case{Role::Primary, 0, 0, true}, Case{Role::Secondary, 0, 0, false},
                       Case{Role::Primary, 10, 7, true}, Case{Role::Primary, 10, 13, false},
                       Case{Role::Secondary, 13, 10, true}, Case{Role::Secondary, 7, 10, false}}) {
    LedgerRecord ledger;
    ledger.term = ledger.command_term = c.own;
    Driver d(usual_settings(c.role));
    d.start(ledger);
    d.finish_ladder();
    d.meet(starting(c.role == Role::Primary ? Role::Secondary : Role::Primary, c.peer));
    EXPECT_EQ(d.state.ladder == Ladder::Up, c.climbs)
        << name_of(c.role) << " " << c.own << " against " << c.peer;
  }
}

TEST(Start, TwoThatStartTogetherEndWithOneInCommand) {
  Driver a(usual_settings(Role::Primary));
  Driver b(usual_settings(Role::Secondary));
  const auto facts_for = [](const Driver& from, uint64_t boot) {
    const Facts f = from.facts();
    PeerFacts p;
    p.boot = boot;
    p.session = boot;
    p.term = f.term;
    p.command_term = f.command_term;
    p.flags = f.flags;
    p.state = f.state;
    p.role = f.role;
    p.sub_state = f.sub_state;
    p.intent = f.intent;
    return p;
  };
  a.start();
  b.start();
  a.finish_ladder();
  b.finish_ladder();
  a.meet(facts_for(b, 2));
  b.meet(facts_for(a, 1));
  for (int i = 0; i < 30; ++i) {
    a.pass(1_ms);
    b.pass(1_ms);
    a.finish_ladder();
    b.hear(facts_for(a, 1));
    b.finish_ladder();
    a.hear(facts_for(b, 2));
  }
  EXPECT_EQ(a.where(), "PRIMARY_ACTIVE/degraded") << "b may have granted in an earlier life";
  EXPECT_EQ(b.where(), "SECONDARY_ACTIVE/not-ready");
  b.live(15_s);
  a.pass(15_s);
  a.hear(facts_for(b, 2));
  EXPECT_EQ(a.where(), "PRIMARY_ACTIVE/protected");
  EXPECT_EQ(b.where(), "SECONDARY_ACTIVE/ready");
}

TEST(Start, AStandbyThatMayHaveGrantedInAnEarlierLifeDoesNotSayReady) {
  Driver d(usual_settings(Role::Secondary));
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/not-ready");
  EXPECT_EQ(d.state.reason, Reason::EarlierGrant);
  EXPECT_TRUE(d.says(CB_FACT_ELIGIBLE)) << "what the peer releases it can take at once";
  d.live(14_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/not-ready");
  d.live(2_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/ready") << "by its own deadline, without any news";
}

TEST(Start, AMonitorThatRestartedKnowsItsGrantsAndIsReadyAtOnce) {
  Driver d(usual_settings(Role::Secondary));
  Event e;
  e.kind = EventKind::Started;
  e.granted_until = d.now;
  d.step(e);
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/ready");
}

TEST(Start, APrimaryThatCameBackSaysThatItCouldNotTakeOverYet) {
  Driver d(usual_settings(Role::Primary));
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Secondary, 5));
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
  EXPECT_EQ(d.state.reason, Reason::EarlierGrant);
  d.live(16_s);
  EXPECT_EQ(d.state.reason, Reason::PeerInCommand);
}

TEST(Start, WhoStartsGrantsNothingBeforeItKnowsWhom) {
  Driver d(usual_settings(Role::Secondary));
  d.start(in_command_ledger(11));
  d.finish_ladder();
  EXPECT_EQ(grant_us_of(d.state), 0u);
  // An old holder that slept through our term must not be let in by our grant.
  d.meet(peer_facts(Role::Primary, 8));
  EXPECT_EQ(grant_us_of(d.state), 0u);
  EXPECT_EQ(d.state.ladder, Ladder::None);
  PeerFacts yielded = starting(Role::Primary, 8);
  d.hear(yielded);
  EXPECT_EQ(d.state.goal, Goal::ColdStart) << "it yielded, and we were last in command";
}

TEST(Start, TheElectedThatCannotIsReplacedByTheOtherInTime) {
  Driver d(usual_settings(Role::Secondary));
  d.start();
  d.finish_ladder();
  d.meet(starting(Role::Primary, 10));
  d.live(14_s);
  EXPECT_EQ(d.state.ladder, Ladder::None);
  d.live(2_s);
  EXPECT_EQ(d.state.goal, Goal::ColdStart);
}

TEST(Restart, TakesUpWhatTheKernelStillDoes) {
  for (const GuardMode guard : {GuardMode::Leased, GuardMode::Solo}) {
    Driver d(usual_settings(Role::Primary));
    d.start(in_command_ledger(), true, guard);
    EXPECT_EQ(d.state.name, StateName::PrimaryActive);
    EXPECT_EQ(guard_of(d.state), guard);
    EXPECT_TRUE(d.says(CB_FACT_SERVING));
    EXPECT_EQ(d.facts().term, 10u);
    const auto asked = d.asked();
    for (const ActionKind kind : asked) {
      EXPECT_NE(kind, ActionKind::StopServices);
      EXPECT_NE(kind, ActionKind::CloseGuard);
      EXPECT_NE(kind, ActionKind::ClaimTerm);
    }
    d.finish_ladder();
    EXPECT_EQ(guard_of(d.state), guard);
  }
}

TEST(Restart, BelievesTheKernelAndNotAnOlderLedger) {
  LedgerRecord old = in_command_ledger(10);
  old.solo = old.peer_stale = true;
  Driver d(usual_settings(Role::Primary));
  Event e;
  e.kind = EventKind::Started;
  e.ledger = old;
  e.kept_running = true;
  e.guard = GuardMode::Leased;
  e.value = 14;
  e.granted_until = d.now;
  d.step(e);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  EXPECT_EQ(d.facts().term, 14u);
}

TEST(Restart, ATermOfTheOtherRoleInTheMapsIsNotTakenUp) {
  Driver d(usual_settings(Role::Primary));
  Event e;
  e.kind = EventKind::Started;
  e.ledger = in_command_ledger(10);
  e.kept_running = true;
  e.guard = GuardMode::Solo;
  e.value = 13;
  e.granted_until = d.now;
  d.step(e);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
}

TEST(Restart, YieldsWhenThePeerTookOverMeanwhile) {
  Driver d(usual_settings(Role::Primary));
  d.start(in_command_ledger(), true, GuardMode::Leased);
  d.hear(peer_facts(Role::Secondary, 13));
  d.step(EventKind::PeerAnswered);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.finish_ladder();
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command");
}

TEST(Restart, APlannedOneAsksForALongGrantAndLeavesEverythingStanding) {
  Driver d = primary_in_command();
  d.asked();
  d.step(EventKind::ShutdownRequested, true);
  EXPECT_TRUE(d.says(CB_FACT_RESTARTING));
  EXPECT_EQ(d.facts().wanted_grant_us, 5'000'000u);
  EXPECT_FALSE(d.asked_for(ActionKind::Exit));
  PeerFacts kind = peer_facts(Role::Secondary, 0, d.state.term);
  kind.flags |= CB_FACT_LONG_GRANT;
  d.hear(kind);
  EXPECT_EQ(d.asked().back(), ActionKind::Exit);
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
}

TEST(Restart, APlannedOneDoesNotWaitForEver) {
  Driver d = primary_in_command();
  d.step(EventKind::ShutdownRequested, true);
  d.live(6_s);
  EXPECT_TRUE(d.state.exited);
}

TEST(Stop, AHolderGoesDownSaysGoodbyeAndLeavesWhenItWasHeard) {
  Driver d = primary_in_command();
  d.step(EventKind::ShutdownRequested, false);
  EXPECT_EQ(d.facts().intent, CB_INTENT_GOODBYE);
  EXPECT_TRUE(d.says(CB_FACT_SERVING));
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_TRUE(d.says(CB_FACT_RELEASED));
  EXPECT_FALSE(d.state.exited);
  PeerFacts heard = peer_facts(Role::Secondary, 0, d.state.term);
  heard.state = StateName::GracefulShutdown;
  heard.sub_state = SubState::PeerStopped;
  d.hear(heard);
  EXPECT_TRUE(d.state.exited);
  EXPECT_TRUE(d.state.durable.stopped_gracefully);
  EXPECT_FALSE(d.state.durable.in_command);
}

TEST(Stop, AStandbyGrantsUntilItsHolderNoLongerNeedsIt) {
  Driver d = secondary_standing_by();
  d.step(EventKind::ShutdownRequested, false);
  EXPECT_EQ(d.facts().intent, CB_INTENT_GOODBYE);
  EXPECT_GT(grant_us_of(d.state), 0u);
  EXPECT_FALSE(d.says(CB_FACT_ELIGIBLE));
  d.finish_ladder();
  EXPECT_FALSE(d.state.exited);
  PeerFacts solo = peer_facts(Role::Primary, 2);
  solo.flags |= CB_FACT_SOLO;
  d.hear(solo);
  EXPECT_TRUE(d.state.exited);
}

TEST(Stop, EndsAlsoWhenNobodyListens) {
  for (const Role role : {Role::Primary, Role::Secondary}) {
    Driver d = role == Role::Primary ? primary_in_command() : secondary_standing_by();
    d.step(EventKind::ShutdownRequested, false);
    d.finish_ladder();
    d.live(6_s);
    d.finish_ladder();
    d.live(6_s);
    EXPECT_TRUE(d.state.exited) << name_of(role);
  }
}

TEST(Stop, NothingMovesAfterTheExit) {
  Driver d = secondary_standing_by();
  d.step(EventKind::ShutdownRequested, false);
  d.finish_ladder();
  d.live(6_s);
  ASSERT_TRUE(d.state.exited);
  const size_t before = d.log.size();
  d.fall_silent();
  d.step(EventKind::OperatorFailover);
  d.live(60_s);
  EXPECT_EQ(d.log.size(), before);
}

TEST(Stop, AHolderThatWasSoloKeepsItsProof) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  ASSERT_EQ(guard_of(d.state), GuardMode::Solo);
  d.step(EventKind::ShutdownRequested, false);
  d.finish_ladder();
  d.live(6_s);
  ASSERT_TRUE(d.state.exited);
  Driver again(usual_settings(Role::Primary));
  again.start(d.state.durable);
  EXPECT_TRUE(again.state.proof);
}

TEST(Unpair, ThePrimaryGoesOnAlone) {
  Driver d = primary_in_command();
  d.step(EventKind::OperatorUnpair);
  EXPECT_TRUE(d.says(CB_FACT_UNPAIRING));
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  PeerFacts too = peer_facts(Role::Secondary, 0, d.state.term);
  too.flags |= CB_FACT_UNPAIRING;
  d.hear(too);
  EXPECT_FALSE(d.state.settings.paired);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
}

TEST(Unpair, ThePrimaryDoesNotWaitForAPeerThatIsGone) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.step(EventKind::OperatorUnpair);
  EXPECT_FALSE(d.state.settings.paired);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
}

TEST(Unpair, TheSecondaryCleansUpAndIsNothing) {
  Driver d = secondary_standing_by();
  PeerFacts parting = peer_facts(Role::Primary, 2);
  parting.flags |= CB_FACT_UNPAIRING;
  d.hear(parting);
  d.finish_ladder();
  EXPECT_FALSE(d.state.settings.paired);
  EXPECT_EQ(d.where(), "TERMINATED/none");
  d.fall_silent();
  d.live(60_s);
  EXPECT_EQ(d.where(), "TERMINATED/none");
}

TEST(Unpair, APrimaryInCommandHearsItFromItsSecondary) {
  Driver d = primary_in_command();
  PeerFacts parting = peer_facts(Role::Secondary, 0, d.state.term);
  parting.flags |= CB_FACT_UNPAIRING;
  d.hear(parting);
  EXPECT_FALSE(d.state.settings.paired);
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
}

TEST(Unpair, ThePrimaryDoesNotBeginWhileItsSecondaryIsHeardToServe) {
  Driver d(usual_settings(Role::Primary));
  d.start();
  d.finish_ladder();
  PeerFacts parting = peer_facts(Role::Secondary, 5);
  parting.flags |= CB_FACT_UNPAIRING | CB_FACT_SOLO;
  d.meet(parting);
  d.live(20_s);
  EXPECT_EQ(d.state.ladder, Ladder::None) << "no lease keeps the two apart any more";
  EXPECT_TRUE(d.says(CB_FACT_UNPAIRING)) << "the secondary waits for this word";
  parting.flags &= ~static_cast<uint32_t>(CB_FACT_SERVING | CB_FACT_SOLO);
  d.hear(parting);
  EXPECT_FALSE(d.state.settings.paired);
  EXPECT_EQ(d.state.ladder, Ladder::Up);
  d.finish_ladder();
  EXPECT_EQ(d.where(), "PRIMARY_ACTIVE/alone");
}

TEST(Unpair, ThePrimaryGivesASecondaryThatFellSilentItsTimeToGoDown) {
  Driver d(usual_settings(Role::Primary));
  d.start();
  d.finish_ladder();
  PeerFacts parting = peer_facts(Role::Secondary, 5);
  parting.flags |= CB_FACT_UNPAIRING;
  d.meet(parting);
  d.fall_silent();
  d.live(4_s);
  EXPECT_EQ(d.state.ladder, Ladder::None) << "it may not have heard our answer";
  d.live(2_s);
  EXPECT_EQ(d.state.ladder, Ladder::Up);
}

TEST(Unpair, ASecondaryInCommandStepsDownForAPrimaryThatRemovesThePairing) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  PeerFacts parting = peer_facts(Role::Primary, 0, d.state.term);
  parting.flags |= CB_FACT_UNPAIRING;
  d.meet(parting);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed) << "the primary will serve without asking";
  EXPECT_TRUE(d.says(CB_FACT_UNPAIRING));
  d.finish_ladder();
  EXPECT_EQ(d.where(), "TERMINATED/none");
}

TEST(Unpair, ByForceEndsAlsoASecondaryInCommand) {
  Driver d = secondary_standing_by();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  d.finish_ladder();
  ASSERT_EQ(d.where(), "FAILOVER_ACTIVE/alone");
  d.step(EventKind::OperatorUnpair);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::AlreadyInCommand);
  Event e;
  e.kind = EventKind::OperatorUnpair;
  e.force = true;
  d.step(e);
  EXPECT_EQ(d.where(), "TERMINATED/going-down");
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  d.finish_ladder();
  EXPECT_EQ(d.where(), "TERMINATED/none");
  EXPECT_FALSE(d.state.settings.paired);
}

TEST(Unpair, IsRefusedWhereItWouldEndTheService) {
  Driver d(usual_settings(Role::Primary));
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Secondary, 5));
  d.step(EventKind::OperatorUnpair);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerInCommand);
}

}  // namespace
}  // namespace cb::core
