// SPDX-License-Identifier: Apache-2.0
//
// The node that does not serve, and a peer that says nothing: take over, wait, or leave it to an
// operator.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/arbitration.h"
#include "core/work.h"

namespace cb::core {
namespace {

// Does policy allow to take over by ourselves from a peer that last said what it said?
Reason why_not_automatic(const State& s) noexcept {
  if (s.peer.intent == CB_INTENT_GOODBYE) return Reason::PeerGoodbye;
  if (s.mid_move) return peer_says(s, CB_FACT_SOLO) ? Reason::PeerWasSolo : Reason::None;
  if (s.maintenance || peer_says(s, CB_FACT_MAINTENANCE)) return Reason::Maintenance;
  if (s.automatic_off) return Reason::FlapLimit;
  if (!is_automatic(s)) return Reason::ManualMode;
  // It may serve without our lease; also if it has not had the time to hear that we are ready,
  // since it needs no lease of a standby that is not.
  const Duration settle = confirm_of(s.settings) * 4;
  if (peer_says(s, CB_FACT_SOLO) || peer_may_get_ahead(s) || s.ready_since.is_never() ||
      s.peer.received < s.ready_since + settle) {
    return Reason::PeerWasSolo;
  }
  return Reason::None;
}

void take_over(Work& w, Reason reason, SoloBasis basis, bool by_operator) noexcept {
  State& s = w.s;
  s.by_operator = by_operator;
  if (!by_operator) {
    count_automatic_move(w);
  }
  report(w, Report::FailoverInvoked, 0, reason);
  const bool cold = is_starting(s);
  climb(w, cold ? Goal::ColdStart : Goal::TakeOver, reason, basis);
}

void refuse_operator(Work& w) noexcept {
  State& s = w.s;
  s.failover_wanted = false;
  s.forced = false;
  refuse(w, reason_of(s.question.verdict));
}

void give_up(Work& w, Reason reason) noexcept {
  State& s = w.s;
  s.mid_move = false;
  report(w, Report::FailoverGivenUp, 0, reason);
  // Unless it is we who went on: a climb that was given up after data had been opened here.
  if (s.settings.has_volume && !s.stale && !s.proof) {
    s.stale = true;
    s.in_step = false;
    s.resync_asked = false;
    report(w, Report::MarkedStale, 0, Reason::PeerSilent);
  }
  become(w, s.name, SubState::OperatorNeeded, reason);
  drop_question(w);
}

// The operator's word stands for policy, not for proof.
void weigh_wanted(Work& w) noexcept {
  State& s = w.s;
  if (s.forced) {
    take_over(w, Reason::OperatorForced, SoloBasis::Forced, true);
    return;
  }
  s.sub = SubState::Arbitrating;
  s.reason = Reason::OperatorFailover;
  if (peer_says(s, CB_FACT_SOLO) && !s.silent_since.is_never() &&
      w.now < s.silent_since + time_for_a_solo_peer(s.settings)) {
    return;
  }
  if (granted_now(w)) {
    take_over(w, Reason::OperatorFailover, SoloBasis::Arbitration, true);
  } else if (refused_now(s)) {
    refuse_operator(w);
  }
}

void weigh_alone(Work& w) noexcept {
  State& s = w.s;
  const bool may_prove = s.proof || (needs_witness(s) && !s.stale);
  if (s.failover_wanted) {
    weigh_wanted(w);
  } else if (w.now < s.proof_at) {
    return;
  } else if (!may_prove) {
    s.sub = SubState::WaitingForPeer;
    s.reason = Reason::ColdStart;
  } else if (s.retry_at.is_never() && granted_now(w)) {
    climb(w, Goal::ColdStart, Reason::LedgerProves, SoloBasis::Proof);
  } else if (refused_now(s)) {
    s.sub = SubState::WaitingForPeer;
    s.reason = reason_of(s.question.verdict);
  }
}

}  // namespace

// A peer that was solo when last heard needs no lease to go on. Once it is cut off it asks
// arbitration and closes; a takeover that was asked for gives it the time.
Duration time_for_a_solo_peer(const Settings& settings) noexcept {
  return std::max(settings.failover_wait, settings.arbitration_deadline * 4 + kSettle);
}

void weigh_silence(Work& w) noexcept {
  State& s = w.s;
  if (is_starting(s)) {
    weigh_alone(w);
    return;
  }
  stop_wanting(w);
  if (s.failover_wanted) {
    weigh_wanted(w);
    return;
  }
  if (s.name == StateName::GracefulShutdown) {
    return;
  }
  if (s.sub == SubState::HandingOver) {
    s.mid_move = true;  // the peer was on its way down for us when it fell silent
  }
  if (s.name == StateName::FailoverInvoked || s.name == StateName::FailbackActive) {
    become_standby(w, Reason::PeerSilent);
  }
  const Reason policy = why_not_automatic(s);
  if (s.sub == SubState::OperatorNeeded) {
    return;  // given up: the peer may have gone on since
  }
  if (s.sub == SubState::PeerSilentManual && policy != Reason::None) {
    s.reason = policy;
    return;
  }
  if (s.give_up_at.is_never()) {
    s.give_up_at = s.silent_since + s.settings.failover_wait;
  }
  const Reason unable = why_not_eligible(s);
  if (unable == Reason::StaleData) {
    become(w, s.name, SubState::OperatorNeeded, Reason::StaleData);
    return;
  }
  if (granted_now(w) && unable == Reason::None) {
    if (policy == Reason::None) {
      take_over(w, Reason::PeerSilent, SoloBasis::Arbitration, s.mid_move && s.by_operator);
    } else {
      become(w, s.name, SubState::PeerSilentManual, policy);
    }
    return;
  }
  const Reason undecided = unable == Reason::LadderFailed ? why_climb_failed(s)
                           : unable != Reason::None       ? unable
                           : refused_now(s)               ? reason_of(s.question.verdict)
                                                          : Reason::PeerSilent;
  if (w.now >= s.give_up_at && (unable != Reason::None || refused_now(s))) {
    give_up(w, undecided);
    return;
  }
  become(w, s.name,
         undecided == Reason::PeerSilent ? SubState::Arbitrating : SubState::PeerSilentWaiting,
         undecided);
}

// Its kernel answers, so it is not dead; its monitor is past its grace, so its guard has closed,
// unless it was solo. The lease is ours to end. No gateway needs to be asked: this is not about
// being cut off.
void weigh_stale_monitor(Work& w) noexcept {
  State& s = w.s;
  if (!s.peer_monitor_stale || s.peer_suspect || w.now < s.peer_restart_until) {
    return;
  }
  if (s.failover_wanted) {
    weigh_wanted(w);
    return;
  }
  if (why_not_automatic(s) != Reason::None || why_not_eligible(s) != Reason::None) {
    return;
  }
  if (needs_witness(s) && !granted_now(w)) {
    return;
  }
  take_over(w, Reason::PeerMonitorStale, SoloBasis::PeerStale, false);
}

}  // namespace cb::core
