// SPDX-License-Identifier: Apache-2.0
//
// Walking a ladder: one rung at a time, the next only when the edge has answered. What every climb
// has to fear is checked before each rung, not once at its foot.
#include <cerrno>

#include "base/check.h"
#include "bpf/crossbeat_wire.h"
#include "core/ladder.h"
#include "core/work.h"

namespace cb::core {
namespace {

Reason reason_of_rung(ActionKind kind) noexcept {
  if (kind == ActionKind::Fence) return Reason::FenceFailed;
  if (kind == ActionKind::ClaimTerm) return Reason::LedgerFailed;
  if (kind == ActionKind::PromoteVolume || kind == ActionKind::MountVolume) {
    return Reason::VolumeFailed;
  }
  if (kind == ActionKind::StartServices) return Reason::ServicesFailed;
  return Reason::LadderFailed;
}

void go_to(State& s, uint8_t rung) noexcept {
  s.rung = next_rung(s, rung);
  s.rung_failures = 0;
  s.rung_action = 0;
  s.rung_deadline = Instant::never();
  s.rung_not_before = Instant{};
}

void leave_ladder(State& s) noexcept {
  s.ladder = Ladder::None;
  s.rung = 0;
  s.rung_failures = 0;
  s.rung_action = 0;
  s.rung_deadline = Instant::never();
  s.rung_not_before = Instant{};
}

bool has_reached(const State& s, ActionKind kind) noexcept {
  const auto rungs = rungs_of(s);
  for (size_t i = 0; i < rungs.size() && i <= s.rung; ++i) {
    if (rungs[i].kind == kind) {
      return true;
    }
  }
  return false;
}

// A retry has been used up while we hold the address: half up is better than down, but we say so.
void go_on_without(Work& w, ActionKind kind) noexcept {
  State& s = w.s;
  if (kind == ActionKind::StartServices) {
    s.services_ok = false;
  } else if (kind == ActionKind::PromoteVolume || kind == ActionKind::MountVolume) {
    s.volume_ok = false;
  }
  s.reason = reason_of_rung(kind);
  s.climb_reason = s.reason;
  s.retry_at = w.now + kRepeat;
  s.half_up = true;
  go_to(s, static_cast<uint8_t>(rungs_of(s).size()));
}

void try_rung_again(Work& w, ActionKind kind) noexcept {
  State& s = w.s;
  ++s.rung_failures;
  s.rung_action = 0;
  s.rung_deadline = Instant::never();
  if (s.rung_failures < kRungTriesMax) {
    s.rung_not_before = w.now + kTryAgain * s.rung_failures;
  } else if (s.ladder == Ladder::Down) {
    // A volume that cannot be let go of is in nobody's way, but it cannot follow the other node's
    // either.
    const bool data = kind == ActionKind::UnmountVolume || kind == ActionKind::DemoteVolume;
    s.volume_ok = s.volume_ok && !data;
    s.half_up = true;
    s.retry_at = w.now + kRepeat;
    go_to(s, static_cast<uint8_t>(s.rung + 1));
  } else if (s.in_command) {
    go_on_without(w, kind);
  } else {
    give_up_climb(w, reason_of_rung(kind));
  }
}

void fail_rung(Work& w, int error) noexcept {
  State& s = w.s;
  const Rung rung = rungs_of(s)[s.rung];
  const Reason why = reason_of_rung(rung.kind);
  report(w, Report::LadderRungFailed,
         static_cast<uint64_t>(rung.kind) << 16 | static_cast<uint64_t>(error & 0xffff), why);
  switch (rung.on_failure) {
    case OnFailure::Continue: go_to(s, static_cast<uint8_t>(s.rung + 1)); return;
    case OnFailure::Retry: try_rung_again(w, rung.kind); return;
    case OnFailure::Abort: break;
  }
  if (s.goal == Goal::HandOver) {
    // The data could not be let go of: it stays here, and so do we.
    s.intent = 0;
    report(w, Report::HandOverRefused, static_cast<uint64_t>(why), why);
    climb(w, Goal::Resume, why, s.solo);
  } else if (s.goal == Goal::FenceFirst) {
    leave_ladder(s);
    s.goal = Goal::None;
    s.reason = why;
    s.retry_at = w.now + kTryAgain;
  } else if (s.in_command) {
    try_rung_again(w, rung.kind);
  } else {
    give_up_climb(w, why);
  }
}

// Under the peer's lease it must have heard of our term before anything of ours stands: should we
// be lost a moment later, it claims one above it and not beside it. Its facts repeat the newest
// term that it knows. A peer whose monitor is past its grace hears nothing, but while its kernel
// grants it also keeps what we said for the next monitor.
bool is_unheard(const State& s) noexcept {
  const bool kernel_hears = s.peer_monitor_stale && s.peer.grants;
  return s.solo == SoloBasis::None && s.settings.paired && !s.in_command && !kernel_hears &&
         s.serving_term != 0 && s.peer.term < s.serving_term;
}

// Is something other than an edge in the way of this rung? True: wait.
bool is_held_back(Work& w, ActionKind kind) noexcept {
  State& s = w.s;
  if (kind == ActionKind::ClaimTerm) {
    return next_term(s) > s.durable.reserved_term;
  }
  if (kind == ActionKind::CloseLease) {
    // Our maps were lost with an earlier life that may have granted until then. A peer that says
    // that it does not serve has no use for such a grant.
    const bool peer_serves_not = peer_is_present(s) && s.goal != Goal::TakeOver;
    return is_unheard(s) || (w.now < s.serve_not_before && !peer_serves_not);
  }
  if (kind == ActionKind::PromoteVolume && s.solo != SoloBasis::None && s.settings.paired) {
    return s.solo != SoloBasis::Policy && !may_acknowledge_alone(s);
  }
  return false;
}

// What a rung means for the state at the moment its action is given.
void take_rung(Work& w, ActionKind kind) noexcept {
  State& s = w.s;
  if (kind == ActionKind::ClaimTerm) {
    s.serving_term = next_term(s);
    s.term = s.serving_term;
  } else if (kind == ActionKind::OpenGuard && !s.in_command) {
    CB_CHECK(s.serving_term >= s.command_term);
    s.guard = s.solo != SoloBasis::None ? GuardMode::Solo : GuardMode::Leased;
    s.in_command = true;
    s.holds_data = true;
    s.command_term = s.serving_term;
    s.proof = false;
    s.stale = false;  // from here on what is here is the truth
    s.stopped_gracefully = false;
    // A peer that was behind still is, whether it grants us its lease or not.
    s.peer_stale = s.peer_stale || s.solo != SoloBasis::None;
    s.peer_left = false;
    if (s.solo != SoloBasis::None) {
      s.witness_held = s.witness_held || (s.solo == SoloBasis::Forced && needs_witness(s));
      s.solo_proved_at = w.now;
      report(w, Report::WentSolo, static_cast<uint64_t>(s.solo));
    }
  } else if (kind == ActionKind::CloseGuard) {
    s.guard = GuardMode::Closed;
    s.in_command = false;
    s.holds_data = false;
    s.leaving_solo = false;
  } else if (kind == ActionKind::PromoteVolume && s.goal != Goal::Resume && s.rung_failures == 0) {
    s.in_step = false;  // from now on it is the standby's; the volume says when
  } else if (kind == ActionKind::StartServices) {
    s.services_ok = true;
    report(w, Report::FailoverStartingServices);
  }
}

// Called before a rung is waited for: data may be written alone only once the ledger says so
// durably.
void prepare_rung(Work& w, ActionKind kind) noexcept {
  State& s = w.s;
  if (kind == ActionKind::PromoteVolume && s.goal != Goal::Resume) {
    s.holds_data = true;
    s.command_term = s.serving_term;
    s.peer_stale = s.peer_stale || s.solo != SoloBasis::None;
    report(w, Report::FailoverReconfiguring);
  }
}

}  // namespace

bool walk(Work& w) noexcept {
  State& s = w.s;
  if (s.ladder == Ladder::None || s.rung_action != 0 || w.now < s.rung_not_before) {
    return false;
  }
  if (s.rung >= rungs_of(s).size()) {
    const bool up = s.ladder == Ladder::Up;
    leave_ladder(s);
    up ? arrived_up(w) : arrived_down(w);
    return true;
  }
  const ActionKind kind = rungs_of(s)[s.rung].kind;
  if (s.rung_deadline.is_never()) {
    prepare_rung(w, kind);
  }
  if (is_held_back(w, kind)) {
    if (s.rung_deadline.is_never()) {
      const Duration patience =
          kind == ActionKind::CloseLease ? s.settings.wait_for_peer : Duration{};
      s.rung_deadline = w.now + s.settings.action_deadline * 2 + patience + kRungSlack;
    }
    return false;
  }
  take_rung(w, kind);
  const Duration deadline = deadline_of(s.settings, kind);
  s.rung_action = start(w, kind, deadline);
  Action& a = w.actions.back();
  a.term = s.serving_term;
  a.guard = s.guard;
  if (kind == ActionKind::CloseLease) {
    a.value = w.now < s.long_grants_until ? CB_GRANT_US_MAX : s.settings.grant_us;
  }
  s.rung_deadline = w.now + deadline + kRungSlack;
  return false;
}

void climb(Work& w, Goal goal, Reason reason, SoloBasis solo) noexcept {
  State& s = w.s;
  CB_CHECK(goal == Goal::Resume || s.ladder == Ladder::None);
  s.ladder = Ladder::Up;
  s.goal = goal;
  s.climb_reason = reason;
  s.retry_at = Instant::never();
  s.half_up = s.half_up && goal == Goal::FenceFirst;
  if (goal != Goal::FenceFirst) {
    s.deadline = Instant::never();
    s.intent = 0;
    s.released = false;
  }
  if (goal != Goal::Resume && goal != Goal::FenceFirst) {
    CB_CHECK(!s.in_command);
    s.solo = solo;
    s.serving_term = 0;
    s.idle_since = Instant::never();
    s.want_until = Instant::never();
    const bool secondary = s.settings.role == Role::Secondary;
    StateName name = s.name;
    if (goal == Goal::TakeOver || goal == Goal::ColdStart) {
      name = secondary ? StateName::FailoverInvoked : StateName::Terminated;
    } else if (goal == Goal::TakeHandOver) {
      name = secondary ? StateName::FailoverInvoked : StateName::FailbackActive;
    }
    become(w, name, SubState::GoingUp, reason);
  }
  go_to(s, 0);
}

void descend(Work& w, Goal goal, Reason reason) noexcept {
  State& s = w.s;
  s.ladder = Ladder::Down;
  s.goal = goal;
  s.half_up = false;
  s.climb_reason = reason;
  s.deadline = Instant::never();
  if (goal == Goal::Yield || goal == Goal::CleanUp || goal == Goal::Unpair) {
    s.guard = GuardMode::Closed;
    s.in_command = false;
    s.holds_data = false;
    s.solo = SoloBasis::None;
    s.leaving_solo = false;
    s.serving_term = 0;
  }
  go_to(s, 0);
}

void give_up_climb(Work& w, Reason reason) noexcept {
  State& s = w.s;
  CB_CHECK(s.ladder == Ladder::Up && !s.in_command);
  const bool stands = has_reached(s, ActionKind::AddAddress) || s.holds_data;
  const bool over = reason == Reason::PeerCameBack || reason == Reason::PeerHigherTerm ||
                    reason == Reason::SelfStalled;
  const bool ours = s.goal == Goal::TakeBack || s.goal == Goal::TakeHandOver || s.mid_move;
  // Data that was opened here alone may have been written to: then it is the peer that is behind,
  // and the ledger already says so.
  s.proof = s.proof || (s.holds_data && s.solo != SoloBasis::None);
  s.peer_stale = s.proof && s.peer_stale;
  leave_ladder(s);
  s.goal = Goal::None;
  s.climb_reason = reason;
  s.solo = SoloBasis::None;
  s.holds_data = false;
  s.serving_term = 0;
  s.forced = false;
  if (!over && reason != Reason::PeerSilent) {
    s.retry_at = w.now + kTryAgain;
  }
  if (!over) {
    s.mid_move = ours;  // a move that fails half way must still end with somebody in command
  }
  if (stands) {
    become(w, s.name, SubState::GoingDown, reason);
    descend(w, Goal::CleanUp, reason);
  } else {
    become_standby(w, reason);
  }
}

void on_rung_answered(Work& w) noexcept {
  State& s = w.s;
  if (s.rung_action == 0 || w.e.action != s.rung_action) {
    return;  // late, or of a ladder that was left
  }
  if (w.e.error != 0) {
    fail_rung(w, w.e.error);
    return;
  }
  if (w.e.action_kind == ActionKind::PromoteVolume || w.e.action_kind == ActionKind::DemoteVolume) {
    s.volume_ok = true;
  }
  go_to(s, static_cast<uint8_t>(s.rung + 1));
}

namespace {

// May a climb to where the guard is not yet open go on? None: yes.
Reason why_stop_climbing(const State& s) noexcept {
  const auto rungs = rungs_of(s);
  const bool fencing =
      s.rung < rungs.size() && rungs[s.rung].kind == ActionKind::Fence && s.rung_action != 0;
  if (s.solo == SoloBasis::Forced || fencing) {
    return Reason::None;  // the operator decided, or the peer is being killed: too late to be
                          // polite
  }
  if (s.serving_term != 0 && s.peer.boot != 0 && s.peer.command_term > s.serving_term) {
    return Reason::PeerHigherTerm;  // it served while we did not run
  }
  if (s.peer_silent && is_unheard(s)) {
    return Reason::PeerSilent;  // it will not hear of our term any more, and may take over beside
                                // it
  }
  const PeerIs peer = peer_is(s);
  if (peer == PeerIs::Climbing && s.serving_term != 0 && s.peer.term > s.serving_term) {
    return Reason::PeerHigherTerm;
  }
  if (s.goal == Goal::TakeOver && s.climb_reason == Reason::PeerMonitorStale) {
    return s.peer_monitor_stale || !s.peer_answers ? Reason::None : Reason::PeerCameBack;
  }
  if (s.solo != SoloBasis::None && s.solo != SoloBasis::Unpaired && s.peer_answers) {
    return Reason::PeerCameBack;  // silence was the only reason
  }
  if (peer == PeerIs::Serving || peer == PeerIs::Stopping) {
    return Reason::PeerCameBack;  // who serves goes before who climbs
  }
  return Reason::None;
}

}  // namespace

void weigh_ladder(Work& w) noexcept {
  State& s = w.s;
  if (is_climbing(s)) {
    const Reason stop = s.stopping ? Reason::GracefulStop : why_stop_climbing(s);
    if (stop != Reason::None) {
      give_up_climb(w, stop);
      return;
    }
  }
  // Nothing is written yet to a volume that is still being promoted: a stop does not wait for it.
  if (s.stopping && s.ladder == Ladder::Up && s.in_command && s.rung < rungs_of(s).size() &&
      rungs_of(s)[s.rung].kind == ActionKind::PromoteVolume) {
    leave_ladder(s);
    s.goal = Goal::None;
    return;
  }
  if (s.ladder == Ladder::Down && s.goal == Goal::HandOver && s.in_command && s.peer_silent) {
    s.intent = 0;
    climb(w, Goal::Resume, Reason::PeerSilent, s.solo);  // nobody there to take it
    return;
  }
  if (s.ladder == Ladder::Down && s.goal == Goal::HandOver && s.in_command && !s.in_step) {
    s.intent = 0;
    report(w, Report::HandOverRefused, static_cast<uint64_t>(Reason::CatchingUp),
           Reason::CatchingUp);
    climb(w, Goal::Resume, Reason::CatchingUp, s.solo);  // it fell behind: what is here stays here
    return;
  }
  if (w.now >= s.rung_deadline) {
    fail_rung(w, ETIMEDOUT);
  }
}

}  // namespace cb::core
