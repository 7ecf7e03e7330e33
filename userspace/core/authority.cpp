// SPDX-License-Identifier: Apache-2.0
//
// May the guard be open without a lease? With the peer alive the lease alone keeps two guards from
// being open, whatever else goes wrong; every way to solo is therefore listed here and nowhere
// else:
//   the pairing is gone;
//   the peer does not take over by itself, or could not, since its data is behind;
//   the peer stopped on purpose;
//   arbitration granted it about this very silence;
//   an operator forced it.
// With a witness all but the first and the last pass by the witness, since it is the one that
// remembers.
#include "bpf/crossbeat_wire.h"
#include "core/arbitration.h"
#include "core/work.h"

namespace cb::core {
namespace {

// An answer counts about this silence only if we asked after we last heard the peer. While the
// peer's kernel answers and only its monitor is silent, the question is about the monitor.
Instant question_must_follow(const State& s) noexcept {
  return s.peer_answers && s.peer_monitor_stale && !s.peer_suspect ? Instant{} : s.heard_at;
}

bool has_fence(const State& s) noexcept {
  return s.settings.has_fence && (s.settings.arbitration & kArbitrateFence) != 0;
}

// The peer has a standby's right to be waited for: it grants, it would take over, and it could.
bool peer_is_a_standby(const State& s) noexcept {
  return peer_is(s) == PeerIs::Idle && !s.peer_suspect && peer_says(s, CB_FACT_FAILOVER_AUTO) &&
         !peer_says(s, CB_FACT_RESTARTING) && !peer_says(s, CB_FACT_CLAIM_ABOVE) &&
         why_peer_not_eligible(s) == Reason::None;
}

bool peer_is_behind(const State& s) noexcept {
  return s.settings.has_volume && s.peer.boot != 0 &&
         (peer_says(s, CB_FACT_STALE) || !peer_says(s, CB_FACT_IN_STEP));
}

// What it has is what we have, and only an operator would make it take over. Then we may serve
// without its lease, but no longer acknowledge without it.
bool peer_waits_for_an_operator(const State& s) noexcept {
  const bool with_us = !s.settings.has_volume || s.in_step;  // our own volume says so as well
  return peer_is(s) == PeerIs::Idle && !s.peer_suspect && !peer_is_behind(s) && with_us &&
         !peer_says(s, CB_FACT_FAILOVER_AUTO) && !peer_says(s, CB_FACT_RESTARTING) &&
         !peer_says(s, CB_FACT_CLAIM_ABOVE) && s.solo != SoloBasis::Forced;
}

// Why we need no lease of a peer that is there.
SoloBasis basis_beside(const State& s) noexcept {
  const PeerIs peer = peer_is(s);
  if (peer == PeerIs::Goodbye) {
    return SoloBasis::Goodbye;
  }
  if (peer != PeerIs::Idle) {
    return SoloBasis::None;
  }
  if (peer_is_behind(s)) {
    return SoloBasis::PeerBehind;  // so that writes go on while it catches up
  }
  const bool policy = !peer_says(s, CB_FACT_FAILOVER_AUTO) && !needs_witness(s);
  return policy ? SoloBasis::Policy : SoloBasis::None;
}

void withdraw(Work& w, bool outstanding) noexcept {
  State& s = w.s;
  // While the peer's data is behind, the witness must go on refusing it.
  const bool needed = s.solo != SoloBasis::None || (s.settings.has_volume && s.peer_stale);
  if (!needed && (outstanding || s.witness_held)) {
    start(w, ActionKind::CancelArbitration, Duration{});
    s.witness_held = false;
  }
}

void weigh_leased(Work& w) noexcept {
  State& s = w.s;
  if (s.peer_silent) {
    if (!granted_now(w)) {
      return;
    }
    if (!has_fence(s)) {
      go_solo(w, SoloBasis::Arbitration);
    } else if (s.ladder == Ladder::None && s.retry_at.is_never()) {
      climb(w, Goal::FenceFirst, s.reason, SoloBasis::None);
    }
    return;
  }
  if (s.peer_suspect) {
    ask(w);
    return;
  }
  if (peer_is_a_standby(s) || peer_waits_for_an_operator(s)) {
    s.peer_stale = false;  // it caught up under our lease; the witness need not refuse it any more
  }
  const SoloBasis basis = basis_beside(s);
  if (basis == SoloBasis::None) {
    drop_question(w);
  } else if (!needs_witness(s) || granted_now(w)) {
    go_solo(w, basis);
  }
}

void leave_solo(Work& w) noexcept {
  State& s = w.s;
  const bool standby = peer_is_a_standby(s);
  if (!standby && !peer_waits_for_an_operator(s)) {
    s.leaving_solo = false;  // our basis never ended: the guard is still solo
    return;
  }
  // The peer may take over as soon as it hears that we are not solo. If we died then with a ledger
  // that still says so, we would come back and serve old data: the ledger is told first.
  if (!durably_said(s)) {
    return;
  }
  s.leaving_solo = false;
  s.peer_stale = false;
  s.peer_left = false;
  if (!standby && !needs_witness(s)) {
    s.solo = SoloBasis::Policy;
    s.solo_proved_at = Instant{};
    return;
  }
  s.guard = GuardMode::Leased;
  s.solo = SoloBasis::None;
  report(w, Report::LeftSolo);
  drop_question(w);
}

// The basis of our solo is about an earlier silence, or was policy alone. Once the peer is silent
// an operator may tell it to take over, so the silence must be proved like any other; without proof
// the guard closes with the lease. A peer whose data is behind would refuse, and need not be asked
// about.
void weigh_solo(Work& w) noexcept {
  State& s = w.s;
  const SoloBasis beside = basis_beside(s);
  if (s.solo == SoloBasis::Policy && beside != SoloBasis::None && beside != SoloBasis::Policy) {
    go_solo(w, beside);  // policy alone does not let writes go on without the peer
    return;
  }
  const bool proved = s.solo == SoloBasis::Forced || s.solo == SoloBasis::Unpaired ||
                      peer_is_behind(s) || s.solo_proved_at >= s.heard_at;
  if (proved || !s.peer_silent) {
    if (!proved && s.peer_suspect) {
      ask(w);
    } else if (s.question.id != 0 && !s.peer_suspect) {
      drop_question(w);
    }
    return;
  }
  if (granted_now(w)) {
    if (has_fence(s)) {
      s.guard = GuardMode::Leased;
      s.solo = SoloBasis::None;
      weigh_leased(w);
      return;
    }
    s.solo = SoloBasis::Arbitration;
    s.solo_proved_at = w.now;
    s.peer_stale = true;
  } else if (refused_now(s)) {
    s.guard = GuardMode::Leased;
    s.solo = SoloBasis::None;
    report(w, Report::LeftSolo, 0, reason_of(s.question.verdict));
  }
}

}  // namespace

bool needs_witness(const State& s) noexcept {
  return (s.settings.arbitration & kArbitrateWitness) != 0;
}

Reason reason_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Granted: return Reason::None;
    case Verdict::Isolated: return Reason::Isolated;
    case Verdict::Defended: return Reason::AddressDefended;
    case Verdict::Refused:
    case Verdict::Unavailable: return Reason::NoArbitration;
  }
  return Reason::NoArbitration;
}

void ask(Work& w) noexcept {
  State& s = w.s;
  Question& q = s.question;
  if (q.id != 0) {
    if (w.now < q.overdue_at && q.asked_at >= question_must_follow(s)) {
      return;
    }
    const bool late = w.now >= q.overdue_at;
    drop_question(w);
    if (late) {
      q.asked_at = w.now;
      q.answered = true;
      q.answered_at = w.now;
      q.verdict = Verdict::Unavailable;
      q.ask_again_at = w.now + ask_again_after(s.settings);
      return;
    }
  }
  if (q.answered && q.asked_at >= question_must_follow(s)) {
    // A grant that nobody could use goes stale as well.
    const Instant until = q.verdict == Verdict::Granted
                              ? q.answered_at + confirm_of(s.settings) + kVerdictCounts
                              : q.ask_again_at;
    if (w.now < until) {
      return;
    }
  }
  q = Question{};
  q.asked_at = w.now;
  q.ask_again_at = w.now + s.settings.arbitration_deadline + ask_again_after(s.settings);
  if (!needs_asking(s.settings.arbitration)) {
    q.answered = true;
    q.answered_at = w.now;
    q.verdict = Verdict::Granted;
    return;
  }
  q.id = start(w, ActionKind::Arbitrate, s.settings.arbitration_deadline);
  w.actions.back().term = s.in_command ? s.serving_term : next_term(s);
  q.overdue_at = w.now + s.settings.arbitration_deadline + kRungSlack;
}

void drop_question(Work& w) noexcept {
  const bool outstanding = w.s.question.id != 0;
  w.s.question = Question{};
  withdraw(w, outstanding);
}

bool granted_now(Work& w) noexcept {
  ask(w);
  const auto from = granted_from(w.s.question, w.s.settings, question_must_follow(w.s));
  return from.has_value() && *from <= w.now;
}

bool refused_now(const State& s) noexcept {
  return s.question.answered && s.question.verdict != Verdict::Granted;
}

void go_solo(Work& w, SoloBasis basis) noexcept {
  State& s = w.s;
  s.guard = GuardMode::Solo;
  s.solo = basis;
  s.leaving_solo = false;
  s.solo_proved_at = basis == SoloBasis::Policy ? Instant{} : w.now;
  s.peer_stale = s.peer_stale || basis != SoloBasis::Policy;
  s.peer_left = s.peer_left || basis == SoloBasis::Goodbye;
  report(w, Report::WentSolo, static_cast<uint64_t>(basis));
  if (basis == SoloBasis::Goodbye) {
    report(w, Report::PeerStoppedGracefully);
  }
}

void weigh_authority(Work& w) noexcept {
  State& s = w.s;
  if (s.solo == SoloBasis::Unpaired) {
    return;
  }
  if (!s.settings.paired) {
    if (s.solo == SoloBasis::None) {
      go_solo(w, SoloBasis::Unpaired);
    }
    return;
  }
  if (s.guard == GuardMode::Leased) {
    weigh_leased(w);
    return;
  }
  if (s.guard != GuardMode::Solo) {
    return;
  }
  if (s.leaving_solo) {
    leave_solo(w);
  } else if (peer_is_a_standby(s) ||
             ((s.peer_stale || s.peer_left) && peer_waits_for_an_operator(s))) {
    s.leaving_solo = true;
    leave_solo(w);
  } else {
    weigh_solo(w);
  }
}

}  // namespace cb::core
