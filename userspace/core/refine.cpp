// SPDX-License-Identifier: Apache-2.0
//
// The sub-state follows from the facts, except while a ladder or a wait has said what it is; and
// what must hold after every step, whatever came.
#include "base/check.h"
#include "bpf/crossbeat_wire.h"
#include "core/ladder.h"
#include "core/step.h"
#include "core/work.h"

namespace cb::core {
namespace {

void say(State& s, SubState sub, Reason reason) noexcept {
  s.sub = sub;
  s.reason = reason;
}

bool all_links_answer(const State& s) noexcept {
  return s.link_answers[1] && (s.link_answers[0] || !s.settings.direct_link);
}

void refine_command(State& s) noexcept {
  if (s.ladder == Ladder::Up && s.goal != Goal::Resume && s.goal != Goal::FenceFirst) {
    s.sub = SubState::GoingUp;
    return;
  }
  if (s.name == StateName::FailbackActive || s.name == StateName::FailoverInvoked) {
    return;
  }
  if (!s.settings.paired) {
    say(s, SubState::Alone, Reason::Unpaired);
  } else if (!s.services_ok) {
    say(s, SubState::Degraded, Reason::ServicesFailed);
  } else if (s.settings.has_volume && !s.volume_ok) {
    say(s, SubState::Degraded, Reason::VolumeFailed);
  } else if (!s.network_ok) {
    say(s, SubState::Degraded, Reason::NetworkLost);
  } else if (s.peer_silent && s.guard == GuardMode::Leased) {
    if (s.ladder == Ladder::None && !s.retry_at.is_never()) {
      say(s, SubState::Degraded, Reason::FenceFailed);
    } else if (refused_now(s)) {
      say(s, SubState::Degraded, reason_of(s.question.verdict));
    } else {
      say(s, SubState::Arbitrating, Reason::PeerSilent);
    }
  } else if (s.peer_silent) {
    say(s, SubState::Alone, s.peer_left ? Reason::PeerGoodbye : Reason::PeerSilent);
  } else {
    const Reason peer = why_peer_not_ready(s);
    if (peer == Reason::CatchingUp || peer == Reason::StaleData) {
      say(s, SubState::Synchronizing, peer);
    } else if (peer != Reason::None) {
      say(s, SubState::Degraded, peer);
    } else if (!all_links_answer(s)) {
      say(s, SubState::Degraded, Reason::None);
    } else {
      say(s, SubState::Protected, Reason::None);
    }
  }
}

void refine_standby(State& s) noexcept {
  if (is_climbing(s)) {
    s.sub = SubState::GoingUp;
    return;
  }
  if (s.ladder != Ladder::None || s.stopping || !s.settings.paired || s.peer_silent ||
      s.peer_suspect || is_starting(s)) {
    return;
  }
  Reason why_not = why_not_ready(s);
  if (why_not == Reason::StaleData && s.settings.has_volume && !s.volume_ok) {
    why_not = Reason::VolumeFailed;  // nothing is being brought into step
  }
  switch (s.name) {
    case StateName::SecondaryActive:
    case StateName::SecondaryAlone:
      if (why_not == Reason::None) {
        say(s, SubState::Ready, Reason::None);
      } else if (why_not == Reason::CatchingUp || why_not == Reason::StaleData) {
        say(s, SubState::Synchronizing, why_not);
      } else {
        say(s, SubState::NotReady, why_not);
      }
      return;
    case StateName::Terminated:
      say(s, SubState::PeerInCommand, why_not != Reason::None ? why_not : Reason::PeerInCommand);
      return;
    case StateName::PrimaryActive:
    case StateName::FailoverInvoked:
    case StateName::FailoverActive:
    case StateName::FailbackActive:
    case StateName::FailbackComplete:
    case StateName::GracefulShutdown: return;
  }
}

bool fits(StateName name, Role role) noexcept {
  switch (name) {
    case StateName::PrimaryActive:
    case StateName::FailbackComplete: return role == Role::Primary;
    case StateName::SecondaryActive:
    case StateName::FailoverActive:
    case StateName::SecondaryAlone: return role == Role::Secondary;
    case StateName::Terminated:
    case StateName::FailoverInvoked:
    case StateName::FailbackActive:
    case StateName::GracefulShutdown: return true;
  }
  return false;
}

}  // namespace

void refine(Work& w) noexcept {
  State& s = w.s;
  if (!s.ledger_known || s.exited) {
    return;
  }
  if (s.in_command && !s.stopping) {
    refine_command(s);
  } else if (!s.in_command) {
    refine_standby(s);
  }
}

void invariants(const State& s) {
  const bool leased = s.guard == GuardMode::Leased;
  const bool solo = s.guard == GuardMode::Solo;
  // the guard
  CB_CHECK(s.in_command == (leased || solo));
  CB_CHECK(!leased || s.solo == SoloBasis::None);
  CB_CHECK(!solo || s.solo != SoloBasis::None);
  CB_CHECK(!s.leaving_solo || solo);
  CB_CHECK(!s.in_command || grant_us_of(s) == 0);
  CB_CHECK(!is_climbing(s) || grant_us_of(s) == 0);
  CB_CHECK(!s.released || !s.in_command);
  CB_CHECK(!s.in_command || s.settings.paired || s.settings.role == Role::Primary);
  // terms
  CB_CHECK(s.serving_term <= s.term);
  CB_CHECK(s.command_term <= s.term);
  CB_CHECK(!s.in_command || s.serving_term == s.command_term);
  CB_CHECK(s.serving_term == 0 || (s.serving_term & 1) == static_cast<uint64_t>(s.settings.role));
  CB_CHECK(s.serving_term == 0 || s.in_command || s.ladder != Ladder::None);
  // ladders
  CB_CHECK((s.ladder == Ladder::None) == (s.goal == Goal::None));
  CB_CHECK(s.ladder != Ladder::None || s.rung_action == 0);
  CB_CHECK(s.ladder == Ladder::None || s.rung <= rungs_of(s).size());
  // names
  CB_CHECK(fits(s.name, s.settings.role));
  CB_CHECK(s.name != StateName::PrimaryActive || s.in_command || s.stopping || s.exited);
  CB_CHECK(s.name != StateName::FailoverActive || s.in_command || s.stopping || s.exited);
  CB_CHECK(s.name != StateName::SecondaryActive || !s.in_command);
  CB_CHECK(s.name != StateName::GracefulShutdown || !s.in_command);
  CB_CHECK(!s.peer_silent || !s.peer_answers);
}

}  // namespace cb::core
