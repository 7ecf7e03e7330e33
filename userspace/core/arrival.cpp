// SPDX-License-Identifier: Apache-2.0
//
// The end of a ladder: what the state is called from now on, and what is forgotten.
#include "core/work.h"

namespace cb::core {
namespace {

StateName name_in_command(const State& s) noexcept {
  if (s.settings.role == Role::Secondary) {
    return StateName::FailoverActive;
  }
  return s.goal == Goal::TakeHandOver ? StateName::FailbackComplete : StateName::PrimaryActive;
}

void forget_the_move(State& s) noexcept {
  s.goal = Goal::None;
  s.forced = false;
  s.mid_move = false;
  s.failover_wanted = false;
  s.want_forced = false;
  s.give_up_at = Instant::never();
  s.proof_at = Instant::never();
  s.progress_at = Instant{};
}

}  // namespace

void arrived_up(Work& w) noexcept {
  State& s = w.s;
  const Goal goal = s.goal;
  if (goal == Goal::FenceFirst) {
    s.goal = Goal::None;
    go_solo(w, SoloBasis::Arbitration);
    return;
  }
  const StateName name = name_in_command(s);
  forget_the_move(s);
  if (goal == Goal::Resume) {
    if (s.name == StateName::FailoverInvoked || s.name == StateName::FailbackActive ||
        s.name == StateName::Terminated) {
      become(w, name, SubState::Degraded, s.climb_reason);  // a hand-over that was called off
    } else {
      s.sub = SubState::Degraded;
    }
    return;
  }
  const bool failback = name == StateName::FailbackComplete;
  become(w, name, s.half_up ? SubState::Degraded : SubState::Alone, s.climb_reason);
  if (goal == Goal::TakeOver || goal == Goal::TakeHandOver) {
    s.last_move = w.now;
    report(w, failback ? Report::FailbackComplete : Report::FailoverComplete, s.serving_term,
           s.climb_reason);
  } else {
    report(w, Report::Active, s.serving_term, s.climb_reason);
  }
}

void arrived_down(Work& w) noexcept {
  State& s = w.s;
  const Goal goal = s.goal;
  s.goal = Goal::None;
  s.serving_term = 0;
  if (!s.services_ok) {
    // They failed while we served; nobody tries them now. Good again once the other node had its
    // time.
    s.forgive_at = w.now + s.settings.hold_down;
  }
  const bool alone = s.solo != SoloBasis::None && (s.peer_stale || s.peer_left);
  s.solo = SoloBasis::None;
  s.leaving_solo = false;
  switch (goal) {
    case Goal::HandOver:
      // Nobody has served after us; but what a disk that failed holds, nobody knows.
      s.in_step = s.climb_reason != Reason::VolumeFailed;
      s.stale = false;
      s.peer_stale = false;
      s.peer_left = false;
      s.sub = SubState::HandingOver;
      s.deadline = w.now + s.settings.hand_over_deadline +
                   (s.settings.address_last ? s.settings.service_deadline : Duration{});
      return;
    case Goal::Stop:
      s.proof = s.proof || alone;
      s.released = true;
      s.sub = SubState::Stopping;
      s.stop_by = w.now + s.settings.hand_over_deadline;
      return;
    case Goal::Unpair:
      s.settings.paired = false;
      s.unpairing = false;
      s.proof_at = Instant::never();
      become(w, StateName::Terminated, SubState::None, Reason::Unpairing);
      return;
    case Goal::Yield:
    case Goal::CleanUp: become_standby(w, s.climb_reason); return;
    case Goal::None:
    case Goal::TakeOver:
    case Goal::TakeHandOver:
    case Goal::TakeBack:
    case Goal::ColdStart:
    case Goal::Resume:
    case Goal::FenceFirst: return;
  }
}

}  // namespace cb::core
