// SPDX-License-Identifier: Apache-2.0
//
// Moves that are asked for, or that policy asks for: both nodes are alive, and facts alone drive
// them. The holder says HAND_OVER while it goes down, RELEASED when nothing of it stands and its
// ledger knows; the other climbs; the holder sees it serve, or takes command back.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {
namespace {

bool counts(const State& s, Instant move, Instant now) noexcept {
  return move != Instant{} && now - move < s.settings.automatic_moves_window;
}

// The secondary in command first lets the primary catch up; the primary hands over at once.
void start_move(Work& w, Reason reason, bool by_operator, bool forced) noexcept {
  State& s = w.s;
  const Reason why_not = why_peer_not_eligible(s);
  const bool wait_for_data = s.settings.role == Role::Secondary &&
                             (why_not == Reason::CatchingUp || why_not == Reason::StaleData);
  if (!wait_for_data) {
    hand_over(w, reason, by_operator, forced);
    return;
  }
  s.by_operator = by_operator;
  s.want_forced = forced;
  s.climb_reason = reason;
  s.progress_at = w.now;
  report(w, Report::FailbackInvoked, 0, reason);
  become(w, StateName::FailbackActive, SubState::Synchronizing, reason);
}

}  // namespace

Instant held_down_until(const State& s) noexcept {
  return s.last_move.is_never() ? Instant{} : s.last_move + s.settings.hold_down;
}

void count_automatic_move(Work& w) noexcept {
  State& s = w.s;
  std::copy_backward(s.moves.begin(), s.moves.end() - 1, s.moves.end());
  s.moves[0] = w.now;
  const auto recent = std::count_if(s.moves.begin(), s.moves.end(),
                                    [&](Instant move) { return counts(s, move, w.now); });
  if (s.settings.automatic_moves_max > 0 && recent >= s.settings.automatic_moves_max) {
    s.automatic_off = true;
    report(w, Report::AutomaticModeOff, static_cast<uint64_t>(recent), Reason::FlapLimit);
  }
}

Reason why_not_hand_over(const State& s, Instant now, bool forced) noexcept {
  if (!s.settings.paired) return Reason::Unpaired;
  if (s.ladder != Ladder::None || s.name == StateName::FailbackActive) return Reason::Busy;
  if (s.stopping || s.restarting || s.unpairing) return Reason::GracefulStop;
  const Reason peer = why_peer_not_eligible(s);
  const bool will_catch_up = s.settings.role == Role::Secondary &&
                             (peer == Reason::CatchingUp || peer == Reason::StaleData);
  if (peer != Reason::None && !will_catch_up) return peer;
  if (!forced && now < held_down_until(s)) return Reason::HoldDown;
  return Reason::None;
}

Reason why_nobody_gives(const State& s) noexcept {
  switch (peer_is(s)) {
    case PeerIs::Serving: return Reason::PeerInCommand;
    case PeerIs::Silent: return Reason::PeerSilent;
    case PeerIs::Stopping:
    case PeerIs::Goodbye: return Reason::PeerGoodbye;
    case PeerIs::Unpairing: return Reason::Unpairing;
    case PeerIs::Unknown: return Reason::PeerUnheard;
    case PeerIs::Idle: return Reason::ColdStart;
    case PeerIs::Outdated:
    case PeerIs::Leaving:
    case PeerIs::Released:
    case PeerIs::Climbing: return Reason::Busy;
  }
  return Reason::Busy;
}

void hand_over(Work& w, Reason reason, bool by_operator, bool forced) noexcept {
  State& s = w.s;
  if (!by_operator) {
    count_automatic_move(w);
  }
  s.by_operator = by_operator;
  s.want_forced = forced;
  s.intent = CB_INTENT_HAND_OVER;
  s.released = false;
  drop_question(w);
  const bool failback = s.settings.role == Role::Secondary;
  if (s.name != StateName::FailbackActive) {
    report(w, failback ? Report::FailbackInvoked : Report::FailoverInvoked, 0, reason);
  }
  become(w, failback ? StateName::FailbackActive : StateName::FailoverInvoked, SubState::GoingDown,
         reason);
  descend(w, Goal::HandOver, reason);
}

void consider_wish_of_peer(Work& w) noexcept {
  State& s = w.s;
  if (peer_is(s) != PeerIs::Idle || s.peer.intent != CB_INTENT_WANT_COMMAND || s.refused_peer ||
      s.name == StateName::FailbackActive) {
    return;
  }
  const bool forced = peer_says(s, CB_FACT_FORCED);
  const bool by_operator = peer_says(s, CB_FACT_ON_REQUEST);
  const Reason why_not = why_not_hand_over(s, w.now, forced);
  if (why_not != Reason::None) {
    s.refused_peer = true;
    report(w, Report::HandOverRefused, static_cast<uint64_t>(why_not), why_not);
    return;
  }
  const bool failback = s.settings.role == Role::Secondary;
  start_move(w, failback ? Reason::OperatorFailback : Reason::OperatorSwitchover, by_operator,
             forced);
}

void want_command(Work& w) noexcept {
  State& s = w.s;
  const Reason why_not = why_not_eligible(s);
  const bool will_catch_up = s.settings.role == Role::Primary &&
                             (why_not == Reason::CatchingUp || why_not == Reason::StaleData);
  if (why_not != Reason::None && !will_catch_up) {
    refuse(w, why_not);
    return;
  }
  s.intent = CB_INTENT_WANT_COMMAND;
  s.by_operator = true;
  s.want_forced = w.e.force;
  s.want_until = w.now + s.settings.hand_over_deadline;
}

void stop_wanting(Work& w) noexcept {
  State& s = w.s;
  if (s.intent == CB_INTENT_WANT_COMMAND) {
    s.intent = CB_INTENT_NONE;
  }
  s.want_until = Instant::never();
}

void ask_for_move(Work& w) noexcept {
  State& s = w.s;
  const bool failback = w.e.kind == EventKind::OperatorFailback;
  const Role giver = s.in_command
                         ? s.settings.role
                         : (s.settings.role == Role::Primary ? Role::Secondary : Role::Primary);
  if (!s.settings.paired) {
    refuse(w, Reason::Unpaired);
  } else if (failback && giver == Role::Primary) {
    refuse(w, s.in_command ? Reason::AlreadyInCommand : why_nobody_gives(s));
  } else if (s.in_command) {
    const Reason why_not = why_not_hand_over(s, w.now, w.e.force);
    if (why_not != Reason::None) {
      refuse(w, why_not);
    } else {
      start_move(w, failback ? Reason::OperatorFailback : Reason::OperatorSwitchover, true,
                 w.e.force);
    }
  } else if (s.ladder != Ladder::None) {
    refuse(w, Reason::Busy);
  } else if (peer_is(s) == PeerIs::Serving) {
    want_command(w);
  } else {
    refuse(w, why_nobody_gives(s));
  }
}

void ask_for_failover(Work& w) noexcept {
  State& s = w.s;
  const PeerIs peer = peer_is(s);
  const Reason why_not = why_not_eligible(s);
  if (!s.settings.paired) {
    refuse(w, Reason::Unpaired);
  } else if (s.in_command) {
    refuse(w, Reason::AlreadyInCommand);
  } else if (s.ladder != Ladder::None || s.stopping || s.restarting || s.unpairing) {
    refuse(w, Reason::Busy);
  } else if (why_not != Reason::None && why_not != Reason::LadderFailed && !w.e.force) {
    refuse(w, why_not);
  } else if (peer == PeerIs::Serving && !s.peer_monitor_stale) {
    want_command(w);
  } else if (peer == PeerIs::Idle || peer == PeerIs::Goodbye) {
    s.by_operator = true;
    climb(w, Goal::ColdStart, Reason::OperatorFailover, SoloBasis::None);
  } else if (s.peer_monitor_stale && peer_may_get_ahead(s) && !w.e.force) {
    refuse(w, Reason::PeerWasSolo);
  } else if (peer == PeerIs::Silent || s.peer_monitor_stale) {
    s.failover_wanted = true;
    s.forced = w.e.force;
    s.give_up_at = Instant::never();
    s.retry_at = Instant::never();
    drop_question(w);
  } else if (peer == PeerIs::Unknown && w.e.force) {
    s.by_operator = true;
    climb(w, Goal::ColdStart, Reason::OperatorForced, SoloBasis::Forced);
  } else {
    refuse(w, why_nobody_gives(s));
  }
}

void weigh_released(Work& w) noexcept {
  State& s = w.s;
  if (!s.released && durably_said(s)) {
    s.released = true;
  }
  const PeerIs peer = peer_is(s);
  switch (peer) {
    case PeerIs::Serving:
    case PeerIs::Stopping: {
      const bool failback = s.settings.role == Role::Secondary;
      s.intent = CB_INTENT_NONE;
      s.released = false;
      s.last_move = w.now;
      s.by_operator = false;
      s.deadline = Instant::never();
      if (failback) {
        become(w, StateName::SecondaryAlone, SubState::NotReady, Reason::PeerInCommand);
      } else {
        become(w, StateName::Terminated, SubState::PeerInCommand, Reason::PeerInCommand);
      }
      return;
    }
    case PeerIs::Silent:
      // It took what we gave, or died before: only arbitration can tell, and nobody serves
      // meanwhile.
      s.intent = CB_INTENT_NONE;
      s.released = false;
      s.deadline = Instant::never();
      become_standby(w, Reason::HandOverTimedOut);
      s.mid_move = true;
      return;
    case PeerIs::Climbing:
      if (w.now >= s.deadline) {
        s.deadline = w.now + s.settings.hand_over_deadline;  // its own deadlines will end it
      }
      return;
    case PeerIs::Unknown:
    case PeerIs::Outdated:
    case PeerIs::Leaving:
    case PeerIs::Released:
    case PeerIs::Goodbye:
    case PeerIs::Unpairing:
    case PeerIs::Idle:
      if (w.now >= s.deadline) {
        report(w, Report::HandOverRefused, static_cast<uint64_t>(Reason::HandOverTimedOut),
               Reason::HandOverTimedOut);
        climb(w, Goal::TakeBack, Reason::HandOverTimedOut, SoloBasis::None);
      }
      return;
  }
}

}  // namespace cb::core
