// SPDX-License-Identifier: Apache-2.0
//
// Stopping on purpose, restarting on purpose, and the end of a pairing. None of them is a failure,
// and the peer must not take them for one: each is said until the peer has heard it, or a short
// deadline has passed.
#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {
namespace {

void leave(Work& w) noexcept {
  w.s.exited = true;
  start(w, ActionKind::Exit, Duration{});
}

bool peer_has_heard_goodbye(const State& s) noexcept {
  if (!s.settings.paired || !s.peer_answers) {
    return true;  // nobody to tell
  }
  if (!peer_is_present(s)) {
    return false;
  }
  // A holder waits until its standby knows; a standby until its holder no longer needs its lease.
  return s.released ? s.peer.state == StateName::GracefulShutdown
                    : !peer_says(s, CB_FACT_SERVING) || peer_says(s, CB_FACT_SOLO);
}

}  // namespace

void ask_to_stop(Work& w) noexcept {
  State& s = w.s;
  if (s.stopping || s.restarting) {
    return;
  }
  stop_wanting(w);
  s.stop_by = w.now + s.settings.hand_over_deadline;
  if (w.e.on) {
    s.restarting = true;
    return;
  }
  s.stopping = true;
  s.stopped_gracefully = true;
  if (s.intent != CB_INTENT_HAND_OVER) {
    s.intent = CB_INTENT_GOODBYE;
  }
}

void weigh_stop(Work& w) noexcept {
  State& s = w.s;
  if (s.ladder != Ladder::None) {
    return;
  }
  if (s.restarting) {
    const bool covered = !s.in_command || s.guard == GuardMode::Solo || !s.peer_answers ||
                         peer_says(s, CB_FACT_LONG_GRANT);
    if (covered || w.now >= s.stop_by) {
      leave(w);
    }
    return;
  }
  if (s.in_command) {
    s.intent = CB_INTENT_GOODBYE;
    s.sub = SubState::Stopping;
    s.reason = Reason::GracefulStop;
    descend(w, Goal::Stop, Reason::GracefulStop);
    return;
  }
  if (s.intent == CB_INTENT_HAND_OVER) {
    return;  // what was given away is taken first, or comes back to us, within its deadline
  }
  s.intent = CB_INTENT_GOODBYE;
  s.sub = SubState::Stopping;
  s.reason = Reason::GracefulStop;
  const bool durable = durably_said(s);
  if (w.now >= s.stop_by || (durable && peer_has_heard_goodbye(s))) {
    leave(w);
  }
}

void unpair(Work& w) noexcept {
  State& s = w.s;
  const bool primary = s.settings.role == Role::Primary;
  if (!s.settings.paired || s.unpairing) {
    refuse(w, Reason::Unpaired);
  } else if (s.ladder != Ladder::None || s.stopping || s.restarting) {
    refuse(w, Reason::Busy);
  } else if (primary && !s.in_command && !w.e.force) {
    refuse(w,
           why_nobody_gives(s));  // it may hold our services, and they would end with the pairing
  } else if (!primary && s.in_command && !w.e.force) {
    refuse(w, Reason::AlreadyInCommand);
  } else {
    s.unpairing = true;
    s.intent = CB_INTENT_NONE;
    s.want_until = Instant::never();
    s.stop_by = w.now + s.settings.hand_over_deadline;
    if (s.in_command && primary) {
      go_solo(w, SoloBasis::Unpaired);
    }
  }
}

// The peer is told for a while; then the pairing is gone.
void weigh_unpairing(Work& w) noexcept {
  State& s = w.s;
  const bool told = !s.peer_answers || peer_is(s) == PeerIs::Unpairing;
  if (s.ladder != Ladder::None || (!told && w.now < s.stop_by)) {
    return;
  }
  // Without the pairing the primary serves, and asks nobody: while the secondary is heard to serve,
  // it does not begin; nor before one that has fallen silent has had its time to go down
  // unanswered.
  const bool peer_serves =
      peer_says(s, CB_FACT_SERVING) && (peer_is_present(s) || w.now < s.stop_by);
  if (s.settings.role == Role::Primary && !s.in_command && peer_serves) {
    return;
  }
  s.stop_by = Instant::never();
  if (s.settings.role == Role::Secondary) {
    become(w, StateName::Terminated, SubState::GoingDown, Reason::Unpairing);
    descend(w, Goal::Unpair, Reason::Unpairing);
    return;
  }
  s.settings.paired = false;
  s.unpairing = false;
  s.peer = PeerFacts{};
  if (!s.in_command) {
    become(w, StateName::Terminated, SubState::None, Reason::Unpairing);
    return;
  }
  if (s.name != StateName::PrimaryActive) {
    become(w, StateName::PrimaryActive, SubState::Alone, Reason::Unpairing);
  }
}

void weigh_unpairing_peer(Work& w) noexcept {
  State& s = w.s;
  if (s.unpairing || s.ladder != Ladder::None) {
    return;
  }
  s.unpairing = true;
  s.intent = CB_INTENT_NONE;
  s.stop_by = w.now + s.settings.hand_over_deadline;
  if (s.settings.role == Role::Primary && s.in_command && s.solo != SoloBasis::Unpaired) {
    go_solo(w, SoloBasis::Unpaired);
  }
}

}  // namespace cb::core
