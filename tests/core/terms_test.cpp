// SPDX-License-Identifier: Apache-2.0
//
// Terms and grants: nothing serves in a term below one that was served before, also when the only
// node that knew has forgotten it, was not heard, or did not run.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

constexpr uint32_t kAutomatic = CB_FACT_FAILOVER_AUTO;

bool has(const std::vector<ActionKind>& kinds, ActionKind kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

LedgerRecord with_reserved_terms() {
  LedgerRecord ledger;
  ledger.term = 2;
  ledger.reserved_term = 259;
  return ledger;
}

// It has started anew and may have served in a term that it forgot.
PeerFacts forgetful_standby(uint64_t term) {
  PeerFacts f = peer_facts(Role::Secondary, 0, term);
  f.boot = 78;
  f.flags |= CB_FACT_CLAIM_ABOVE;
  return f;
}

PeerFacts released_primary(uint64_t term) {
  PeerFacts f = peer_facts(Role::Primary, 0, term);
  f.command_term = 2;
  f.intent = CB_INTENT_HAND_OVER;
  f.flags |= CB_FACT_RELEASED;
  return f;
}

TEST(Terms, ARebootedStandbyGrantsNothingBelowATermThatItMayHaveServedIn) {
  Driver d(usual_settings(Role::Secondary));
  d.start(with_reserved_terms());
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  d.finish_ladder();
  EXPECT_EQ(grant_us_of(d.state), 0u);
  EXPECT_TRUE(d.says(CB_FACT_CLAIM_ABOVE));
  EXPECT_EQ(d.facts().term, 259u);
  d.hear(peer_facts(Role::Primary, 260));
  EXPECT_GT(grant_us_of(d.state), 0u);
  EXPECT_FALSE(d.says(CB_FACT_CLAIM_ABOVE));
}

TEST(Terms, AStandbyWhoseMonitorAloneRestartedGrantsAsBefore) {
  Driver d(usual_settings(Role::Secondary));
  Event e;
  e.kind = EventKind::Started;
  e.ledger = with_reserved_terms();
  e.granted_until = d.now;  // its kernel remembers
  d.step(e);
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  EXPECT_GT(grant_us_of(d.state), 0u);
  EXPECT_FALSE(d.says(CB_FACT_CLAIM_ABOVE));
}

TEST(Terms, TheHolderClaimsATermAboveAStandbyThatForgotAndGoesOn) {
  Driver d = primary_in_command();
  const uint64_t before = d.facts().term;
  d.asked();
  d.hear(forgetful_standby(999));
  EXPECT_EQ(d.facts().term, before) << "not before the ledger has reserved it";
  d.answer(ActionKind::PersistLedger);
  EXPECT_EQ(d.facts().term, 1000u);
  EXPECT_EQ(d.facts().command_term, 1000u);
  EXPECT_TRUE(d.says(CB_FACT_SERVING));
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
  const std::vector<ActionKind> asked = d.asked();
  EXPECT_TRUE(has(asked, ActionKind::ClaimTerm));
  EXPECT_TRUE(has(asked, ActionKind::Announce)) << "clients may have seen the other";
  EXPECT_FALSE(has(asked, ActionKind::StopServices));
  EXPECT_FALSE(has(asked, ActionKind::CloseGuard));
  d.hear(forgetful_standby(1000));
  EXPECT_EQ(d.facts().term, 1000u) << "once";
}

TEST(Terms, TheHolderDoesNotMindAStandbyThatKnowsAHigherTermAndGrants) {
  Driver d = primary_in_command();
  const uint64_t before = d.facts().term;
  d.hear(peer_facts(Role::Secondary, 0, 999));
  d.finish_ladder();
  EXPECT_EQ(d.facts().term, before);
}

TEST(Terms, TheHolderIsNotLeasedByAStandbyThatDoesNotYetGrant) {
  Driver d = primary_in_command();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(4_ms);
  d.answer(ActionKind::PersistLedger);
  ASSERT_EQ(guard_of(d.state), GuardMode::Solo);
  d.pass(1_s);
  d.meet(forgetful_standby(999));
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  d.finish_ladder();
  EXPECT_EQ(d.facts().term, 1000u);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  d.hear(peer_facts(Role::Secondary, 0, 1000));
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Leased);
}

TEST(Terms, WhoDoesNotKnowOurTermIsGrantedNothingWhateverItDoes) {
  Driver d(usual_settings(Role::Secondary));
  Event e;
  e.kind = EventKind::Started;
  e.ledger.term = e.ledger.command_term = 5;
  e.granted_until = d.now;
  d.step(e);
  d.finish_ladder();
  PeerFacts climbing = peer_facts(Role::Primary, 0, 2);
  climbing.sub_state = SubState::GoingUp;  // when it was last heard
  d.meet(climbing);
  EXPECT_EQ(grant_us_of(d.state), 0u) << "it may serve in term 2 by now";
  climbing.term = 5;
  d.hear(climbing);
  EXPECT_GT(grant_us_of(d.state), 0u);
}

TEST(Terms, AClimbUnderALeaseIsGivenUpWhenThePeerFallsSilentAndHasNotHeardOfTheTerm) {
  Driver d = secondary_standing_by();
  d.hear(released_primary(2));
  d.answer(ActionKind::ClaimTerm);
  ASSERT_EQ(d.where(), "FAILOVER_INVOKED/going-up");
  d.pass(5_ms);
  d.step(EventKind::PeerSuspect);
  EXPECT_EQ(guard_of(d.state), GuardMode::Closed);
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease));
  d.pass(5_ms);
  d.step(EventKind::PeerSilent);
  EXPECT_NE(d.state.goal, Goal::TakeHandOver) << "it may take over beside us, in a term below ours";
  ASSERT_TRUE(d.asked_for(ActionKind::Arbitrate)) << "at once";
  d.decide(Verdict::Granted);
  d.live(5_ms);
  EXPECT_EQ(d.state.goal, Goal::TakeOver) << "the authority of the move holds";
  d.finish_ladder();
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
}

TEST(Terms, DataIsNotOpenedBeforeTheReleasingNodeHasHeardOfTheTerm) {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  settings.address_last = true;
  Driver d = secondary_standing_by(settings);
  d.hear(released_primary(2));
  d.answer(ActionKind::ClaimTerm);
  d.finish_ladder();
  EXPECT_FALSE(d.asked_for(ActionKind::PromoteVolume));
  EXPECT_EQ(d.facts().command_term, 0u) << "nobody has commanded in it yet";
  d.hear(released_primary(d.facts().term));
  d.answer(ActionKind::CloseLease);
  EXPECT_TRUE(d.asked_for(ActionKind::PromoteVolume));
}

TEST(Terms, AClimbThatWasOvertakenWhileWeDidNotRunBeginsAnewAboveIt) {
  Driver d = primary_in_command();
  Event e;
  e.kind = EventKind::OperatorSwitchover;
  d.step(e);
  d.finish_ladder();
  ASSERT_TRUE(d.says(CB_FACT_RELEASED));
  d.live(6_s);
  ASSERT_EQ(d.state.goal, Goal::TakeBack);
  const uint64_t claimed = d.state.serving_term;
  PeerFacts served = peer_facts(Role::Secondary, 0, claimed + 1);
  served.command_term = claimed + 1;
  d.hear(served);
  EXPECT_NE(d.state.serving_term, claimed);
  for (int i = 0; i < 4; ++i) {
    d.finish_ladder();
    served.term = d.state.term;
    d.hear(served);
  }
  EXPECT_FALSE(d.state.in_command && d.state.serving_term < claimed + 1);
}

TEST(Terms, AStallDecidesNothingBeforeTheNewsIsHeard) {
  Driver d = primary_in_command();
  Event e;
  e.kind = EventKind::OperatorSwitchover;
  d.step(e);
  d.finish_ladder();
  ASSERT_TRUE(d.says(CB_FACT_RELEASED));
  d.asked();
  d.pass(9_s);  // past the deadline at which it takes command back
  e = Event{};
  e.kind = EventKind::SelfStalled;
  e.span = 9_s;
  d.step(e);
  EXPECT_TRUE(d.asked().empty());
  EXPECT_LE(next_deadline(d.state), d.now) << "but what is due is done at once";
  d.hear(peer_facts(Role::Secondary, 5));
  EXPECT_EQ(d.where(), "TERMINATED/peer-in-command") << "it took it long ago";
}

TEST(Terms, AStartSoonAfterTheMachineBootedWaitsOutWhatAnEarlierBootGranted) {
  Driver d(usual_settings(Role::Secondary));
  d.now = Instant::from_ns(0) + 3_s;  // since the machine booted
  Event e;
  e.kind = EventKind::Started;
  e.granted_until = d.now;  // by another monitor of this boot
  d.step(e);
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  d.finish_ladder();
  EXPECT_EQ(d.state.reason, Reason::EarlierGrant) << d.where();
  d.live(12_s);
  EXPECT_EQ(d.where(), "SECONDARY_ACTIVE/ready");
}

TEST(Terms, AHolderThatServesBelowOneThatWeFollowedIsAskedForATermAbove) {
  Driver d = secondary_standing_by();
  d.hear(peer_facts(Role::Primary, 1034));
  d.hear(peer_facts(Role::Primary, 260));  // somebody put an old ledger back there
  EXPECT_EQ(grant_us_of(d.state), 0u);
  EXPECT_TRUE(d.says(CB_FACT_CLAIM_ABOVE));
}

TEST(Terms, AStaleMonitorWhoseKernelDoesNotGrantDoesNotCountAsHavingHeard) {
  Driver d = primary_in_command();
  Event e;
  e.kind = EventKind::OperatorSwitchover;
  d.step(e);
  d.finish_ladder();
  d.live(6_s);
  ASSERT_EQ(d.state.goal, Goal::TakeBack);
  d.answer(ActionKind::ClaimTerm);
  PeerFacts hung = peer_facts(Role::Secondary, 0, 2);
  hung.grants = false;
  d.hear(hung);
  d.step(EventKind::PeerMonitorStale);
  EXPECT_FALSE(d.asked_for(ActionKind::CloseLease));
  hung.grants = true;  // its kernel knows us, and keeps our term for the next monitor
  d.hear(hung);
  EXPECT_TRUE(d.asked_for(ActionKind::CloseLease));
}

TEST(Terms, TheSameWordsAreNewsAfterASilence) {
  Driver d = primary_in_command();
  const Instant before = d.state.peer.received;
  EXPECT_FALSE(wants_facts_again(d.state, d.now + 1_ms));
  d.fall_silent();
  d.pass(1_ms);
  d.step(EventKind::PeerAnswered);  // by a late answer that carried no newer facts
  EXPECT_FALSE(wants_facts_again(d.state, before));
  EXPECT_TRUE(wants_facts_again(d.state, d.now));
  d.hear(peer_facts(Role::Secondary, 0, d.state.term));
  EXPECT_FALSE(wants_facts_again(d.state, d.now));
}

// -- who may acknowledge without the other

Driver primary_beside_a_manual_standby_that_catches_up() {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  Driver d = primary_in_command(settings);
  PeerFacts behind = peer_facts(Role::Secondary, 0, d.state.term);
  behind.flags &= ~(kAutomatic | uint32_t{CB_FACT_IN_STEP} | uint32_t{CB_FACT_ELIGIBLE});
  d.hear(behind);
  d.step(EventKind::VolumeFellBehind);
  d.finish_ladder();
  return d;
}

TEST(Authority, AManualStandbyThatIsInStepEndsTheRightToAcknowledgeAlone) {
  Driver d = primary_beside_a_manual_standby_that_catches_up();
  ASSERT_EQ(d.state.solo, SoloBasis::PeerBehind);
  ASSERT_TRUE(may_acknowledge_alone(d.state));
  PeerFacts ready = peer_facts(Role::Secondary, 0, d.state.term);
  ready.flags &= ~kAutomatic;
  d.step(EventKind::VolumeInStep);
  d.hear(ready);
  EXPECT_FALSE(may_acknowledge_alone(d.state)) << "an operator may tell it to take over";
  EXPECT_TRUE(d.says(CB_FACT_PEER_STALE)) << "not unsaid before the ledger knows";
  d.finish_ladder();
  EXPECT_EQ(d.state.solo, SoloBasis::Policy);
  EXPECT_EQ(guard_of(d.state), GuardMode::Solo);
  EXPECT_FALSE(d.says(CB_FACT_PEER_STALE));
  EXPECT_FALSE(d.state.durable.peer_stale);
  EXPECT_FALSE(may_acknowledge_alone(d.state));
}

TEST(Authority, AManualStandbyThatFallsBehindAgainDoesNotStopTheWrites) {
  Driver d = primary_beside_a_manual_standby_that_catches_up();
  PeerFacts ready = peer_facts(Role::Secondary, 0, d.state.term);
  ready.flags &= ~kAutomatic;
  d.step(EventKind::VolumeInStep);
  d.hear(ready);
  d.finish_ladder();
  ASSERT_EQ(d.state.solo, SoloBasis::Policy);
  PeerFacts behind = ready;
  behind.flags &= ~(uint32_t{CB_FACT_IN_STEP} | uint32_t{CB_FACT_ELIGIBLE});
  d.hear(behind);
  d.finish_ladder();
  EXPECT_EQ(d.state.solo, SoloBasis::PeerBehind);
  EXPECT_TRUE(may_acknowledge_alone(d.state));
}

// In step with a peer that said meanwhile that it may acknowledge without us.
Driver standby_of_a_peer_that_may_get_ahead() {
  Settings settings = usual_settings(Role::Secondary);
  settings.has_volume = true;
  Driver d = secondary_standing_by(settings);
  PeerFacts alone = peer_facts(Role::Primary, 2);
  alone.flags |= CB_FACT_PEER_STALE;
  d.hear(alone);
  d.step(EventKind::VolumeInStep);
  d.finish_ladder();
  return d;
}

TEST(Authority, AStandbyIsStaleWhenAPeerThatMayAcknowledgeAloneFallsSilent) {
  Driver d = standby_of_a_peer_that_may_get_ahead();
  ASSERT_FALSE(d.state.stale);
  d.fall_silent();
  EXPECT_TRUE(d.state.stale);
  d.finish_ladder();
  EXPECT_TRUE(d.state.durable.stale);
  d.step(EventKind::OperatorFailover);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::StaleData)
      << "the loss must be accepted by name";
}

TEST(Authority, AHungMonitorOfAPeerThatMayAcknowledgeAloneIsNotReplaced) {
  Driver d = standby_of_a_peer_that_may_get_ahead();
  d.step(EventKind::PeerMonitorStale);
  EXPECT_EQ(d.state.ladder, Ladder::None);
  d.step(EventKind::OperatorFailover);
  EXPECT_EQ(d.reason_of(Report::OperatorRefused), Reason::PeerWasSolo);
  EXPECT_EQ(d.state.ladder, Ladder::None);
}

}  // namespace
}  // namespace cb::core
