// SPDX-License-Identifier: Apache-2.0
//
// Not in command and on no ladder: the name follows what the peer is.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {
namespace {

bool waits_for_release(const State& s) noexcept {
  return s.sub == SubState::HandingOver && s.intent != CB_INTENT_HAND_OVER;
}

void catch_up(Work& w) noexcept {
  State& s = w.s;
  if (s.settings.has_volume && s.volume_ok && (!s.in_step || s.stale) && !s.resync_asked) {
    s.resync_asked = true;
    start(w, ActionKind::Resync, Duration{});
    report(w, Report::SynchronizationStarted);
  }
}

// The peer commands: whatever we believed of our own right is over.
void follow(Work& w) noexcept {
  State& s = w.s;
  s.mid_move = false;
  if (s.followed_term != s.peer.term) {
    s.followed_term = s.peer.term;
    s.in_step = !s.settings.has_volume;  // with whom we followed before says nothing about this one
    s.resync_asked = false;
  }
  s.grant_from_term =
      std::max(s.grant_from_term, s.peer.term);  // it never goes below, unless it forgot
  s.proof = false;
  s.proof_at = Instant::never();
  s.idle_since = Instant::never();
  s.peer_stale = false;
  s.peer_left = false;
  s.stopped_gracefully = false;
  // Ask ahead, so that the answer is there when the silence is proved. A witness is not asked on a
  // mere suspicion: its yes is a promise to us.
  if (s.peer_suspect && !needs_witness(s) && is_automatic(s) &&
      why_not_eligible(s) == Reason::None) {
    ask(w);
  } else if (!s.peer_monitor_stale || s.peer_suspect) {
    drop_question(w);  // about a silent monitor the question stays: see weigh_stale_monitor
  }
  if (s.settings.role == Role::Secondary) {
    const bool alone = s.name == StateName::SecondaryAlone && !s.in_step;
    if (!alone && s.name != StateName::SecondaryActive) {
      become(w, StateName::SecondaryActive, SubState::NotReady, Reason::PeerInCommand);
    }
  } else if (s.peer.state == StateName::FailbackActive) {
    if (s.name != StateName::FailbackActive || s.sub == SubState::HandingOver) {
      become(w, StateName::FailbackActive, SubState::Synchronizing, Reason::PeerInCommand);
    }
  } else if (s.name != StateName::Terminated || s.sub != SubState::PeerInCommand) {
    become(w, StateName::Terminated, SubState::PeerInCommand, Reason::PeerInCommand);
  }
  catch_up(w);
  if (w.now >= s.want_until) {
    stop_wanting(w);
    refuse(w, Reason::HandOverTimedOut);
  }
  weigh_stale_monitor(w);
}

// It is on its way down: wait, but not for ever.
void await_release(Work& w) noexcept {
  State& s = w.s;
  const bool asked = s.intent == CB_INTENT_WANT_COMMAND;
  stop_wanting(w);
  if (!waits_for_release(s)) {
    s.by_operator = asked || peer_says(s, CB_FACT_ON_REQUEST);
    s.deadline = w.now + s.settings.hand_over_deadline + s.settings.service_deadline;
    const StateName name =
        s.settings.role == Role::Secondary ? StateName::FailoverInvoked : StateName::FailbackActive;
    become(w, name, SubState::HandingOver, Reason::PeerReleased);
  } else if (w.now >= s.deadline) {
    s.deadline = w.now + s.settings.hand_over_deadline;
    s.reason = Reason::HandOverTimedOut;  // its own deadlines bring it to an end
  }
}

void take_release(Work& w) noexcept {
  State& s = w.s;
  stop_wanting(w);
  const Reason why_not = why_not_eligible(s);
  if (why_not != Reason::None) {
    s.reason = why_not;  // it takes command back at its deadline
    return;
  }
  if (!peer_says(s, CB_FACT_ON_REQUEST)) {
    count_automatic_move(w);
  }
  climb(w, Goal::TakeHandOver, Reason::PeerReleased, SoloBasis::None);
}

void wait_for_stopped_peer(Work& w) noexcept {
  State& s = w.s;
  if (s.name != StateName::GracefulShutdown) {
    s.proof_at = Instant::never();
    s.idle_since = Instant::never();
    stop_wanting(w);
    drop_question(w);
    report(w, Report::PeerStoppedGracefully);
    become(w, StateName::GracefulShutdown, SubState::PeerStopped, Reason::PeerGoodbye);
  }
}

// Both awake and nobody in command: two cold starts, or one that came back faster than anybody
// noticed.
void weigh_idle(Work& w) noexcept {
  State& s = w.s;
  stop_wanting(w);
  drop_question(w);
  if (s.idle_since.is_never()) {
    s.idle_since = w.now;
  }
  if (s.name == StateName::FailoverInvoked || s.name == StateName::FailbackActive) {
    become_standby(w, Reason::ColdStart);
  }
  if (!s.retry_at.is_never()) {
    return;
  }
  // The elected may be unable to; then the other will do, if its data is good.
  const bool waited = w.now >= s.idle_since + s.settings.wait_for_peer;
  if (elected(s) || (waited && is_eligible(s))) {
    climb(w, Goal::ColdStart, Reason::ColdStart, SoloBasis::None);
  }
}

}  // namespace

bool is_starting(const State& s) noexcept { return !s.proof_at.is_never(); }

void become_standby(Work& w, Reason reason) noexcept {
  State& s = w.s;
  s.deadline = Instant::never();
  if (is_starting(s)) {
    become(w, StateName::Terminated, SubState::Starting, reason);
  } else if (s.settings.role == Role::Secondary) {
    become(w, StateName::SecondaryActive, SubState::NotReady, reason);
  } else {
    become(w, StateName::Terminated, SubState::PeerInCommand, reason);
  }
}

void weigh_standby(Work& w) noexcept {
  State& s = w.s;
  if (!s.settings.paired) {
    if (s.settings.role == Role::Primary && s.retry_at.is_never() && s.ledger_known) {
      climb(w, Goal::ColdStart, Reason::Unpaired, SoloBasis::Unpaired);
    }
    return;
  }
  if (s.intent == CB_INTENT_HAND_OVER) {
    weigh_released(w);
    return;
  }
  if (s.half_up && s.retry_at.is_never()) {
    descend(w, Goal::CleanUp, s.reason);  // something of ours would not go away
    return;
  }
  const PeerIs peer = peer_is(s);
  if (peer != PeerIs::Idle) {
    s.idle_since = Instant::never();
  }
  switch (peer) {
    case PeerIs::Unknown:
      if (is_starting(s) && w.now >= s.proof_at) {
        s.sub = SubState::WaitingForPeer;  // its kernel answers, but no monitor speaks there
      }
      return;
    case PeerIs::Silent: weigh_silence(w); return;
    case PeerIs::Serving: follow(w); return;
    case PeerIs::Outdated:
      stop_wanting(w);
      weigh_stale_monitor(w);
      return;
    case PeerIs::Leaving: await_release(w); return;
    case PeerIs::Released: take_release(w); return;
    case PeerIs::Stopping:
    case PeerIs::Goodbye: wait_for_stopped_peer(w); return;
    case PeerIs::Unpairing: weigh_unpairing_peer(w); return;
    case PeerIs::Climbing:
      stop_wanting(w);
      drop_question(w);
      return;
    case PeerIs::Idle: weigh_idle(w); return;
  }
}

}  // namespace cb::core
