// SPDX-License-Identifier: Apache-2.0
//
// What the world is told: facts for the peer, the grant and the guard for the kernel.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/arbitration.h"
#include "core/step.h"
#include "core/work.h"

namespace cb::core {
namespace {

uint32_t flag(bool is, uint32_t fact) noexcept { return is ? fact : 0; }

bool peer_wants_long_grant(const State& s) noexcept {
  return peer_says(s, CB_FACT_RESTARTING) && s.peer.wanted_grant_us > 0;
}

// The node in command stays in its term and cannot know of ours, unless it is told.
bool wants_higher_term(const State& s) noexcept {
  return !s.in_command && peer_says(s, CB_FACT_SERVING) && s.peer.term < s.grant_from_term;
}

uint32_t long_grant(const State& s) noexcept {
  return std::min(std::max(s.peer.wanted_grant_us, s.settings.grant_us), CB_GRANT_US_MAX);
}

}  // namespace

uint32_t grant_us_of(const State& s) noexcept {
  // Before the ledger is known nothing is said at all. Who serves, or is about to, grants nothing.
  if (!s.ledger_known || !s.settings.paired || s.in_command || s.ladder == Ladder::Up) {
    return 0;
  }
  // Whom we do not know yet, or who does not know our own term, may be an old holder that slept
  // through it: our grant would open its guard before it has heard of that. What it says tells what
  // it knows.
  if (s.peer.boot == 0 || s.peer.term < std::max(s.command_term, s.grant_from_term)) {
    return 0;
  }
  return peer_wants_long_grant(s) ? long_grant(s) : s.settings.grant_us;
}

GuardMode guard_of(const State& s) noexcept { return s.guard; }

Facts facts_of(const State& s) noexcept {
  const bool asks = s.intent == CB_INTENT_HAND_OVER || s.intent == CB_INTENT_WANT_COMMAND;
  Facts f;
  f.term = s.serving_term != 0 ? s.serving_term : s.term;
  f.command_term = s.command_term;
  f.position = s.position;
  f.state = s.name;
  f.role = s.settings.role;
  f.sub_state = s.sub;
  f.intent = s.intent;
  f.progress_permille = s.progress_permille;
  f.wanted_grant_us = s.restarting
                          ? static_cast<uint32_t>(std::clamp<int64_t>(
                                s.settings.planned_restart_grant.as_us(), 0, CB_GRANT_US_MAX))
                          : 0;
  f.flags =
      flag(s.in_command, CB_FACT_SERVING) |
      flag(s.in_command && s.guard == GuardMode::Solo, CB_FACT_SOLO) |
      flag(s.released && !s.in_command, CB_FACT_RELEASED) | flag(is_eligible(s), CB_FACT_ELIGIBLE) |
      flag(s.stale, CB_FACT_STALE) | flag(s.in_step || s.in_command, CB_FACT_IN_STEP) |
      flag(s.network_ok, CB_FACT_NETWORK_OK) | flag(s.services_ok, CB_FACT_SERVICES_OK) |
      flag(s.maintenance, CB_FACT_MAINTENANCE) | flag(s.restarting, CB_FACT_RESTARTING) |
      flag(is_automatic(s), CB_FACT_FAILOVER_AUTO) |
      flag(s.settings.automatic_failback, CB_FACT_FAILBACK_AUTO) |
      flag(peer_wants_long_grant(s) && grant_us_of(s) >= long_grant(s), CB_FACT_LONG_GRANT) |
      flag(s.unpairing, CB_FACT_UNPAIRING) | flag(s.peer_stale, CB_FACT_PEER_STALE) |
      flag(wants_higher_term(s), CB_FACT_CLAIM_ABOVE) |
      flag(asks && s.by_operator, CB_FACT_ON_REQUEST) | flag(asks && s.want_forced, CB_FACT_FORCED);
  return f;
}

Instant next_deadline(const State& s) noexcept {
  Instant next = Instant::never();
  const auto consider = [&](Instant at) {
    // What lies before the last step was weighed then; a deadline that changed nothing is over.
    if (at > s.now) {
      next = std::min(next, at);
    }
  };
  if (s.exited || !s.ledger_known) {
    return next;
  }
  if (s.unweighed) {
    return s.now;
  }
  consider(s.rung_deadline);
  consider(s.persist_deadline);
  consider(s.persist_again_at);
  consider(s.deadline);
  consider(s.stop_by);
  consider(s.retry_at);
  consider(s.forgive_at);
  consider(s.want_until);
  consider(s.proof_at);
  consider(s.serve_not_before);
  if (s.ladder != Ladder::None) {
    consider(s.rung_not_before);
  }
  if (s.question.id != 0) {
    consider(s.question.overdue_at);
  } else if (s.question.answered) {
    consider(s.question.verdict == Verdict::Granted
                 ? s.question.answered_at + confirm_of(s.settings)
                 : s.question.ask_again_at);
  }
  if (s.peer_silent) {
    consider(s.give_up_at);
    if (s.failover_wanted) {
      consider(s.silent_since + time_for_a_solo_peer(s.settings));
    }
  }
  if (!s.ready_since.is_never()) {
    consider(s.ready_since + confirm_of(s.settings) * 4);
  }
  if (s.peer_monitor_stale) {
    consider(s.peer_restart_until);
  }
  if (!s.idle_since.is_never()) {
    consider(s.idle_since + s.settings.wait_for_peer);
  }
  if (s.in_command) {
    consider(s.worse_since + kSettle);
    consider(held_down_until(s));
    consider(s.peer_good_since + s.settings.wait_for_peer);
    if (s.name == StateName::FailbackActive) {
      consider(std::max(s.progress_at, s.since) + kStall);
    }
  }
  return next;
}

}  // namespace cb::core
