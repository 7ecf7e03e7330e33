// SPDX-License-Identifier: Apache-2.0
//
// In command: who else serves, are we alone, are we the better of the two, is somebody waiting for
// us.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {
namespace {

// A lower term that serves solo really is on the wire; one that has lost its lease only has not
// noticed yet.
void weigh_conflict(Work& w) noexcept {
  State& s = w.s;
  const bool both = peer_is_present(s) && peer_says(s, CB_FACT_SERVING) &&
                    peer_says(s, CB_FACT_SOLO) && s.peer.term < s.serving_term;
  if (both && !s.conflict) {
    report(w, Report::ConflictSeen, s.peer.term);
    announce_again(w);
  }
  s.conflict = both;
}

// The peer may have served after us and nobody noticed: an operator forced us to serve, or it lost
// its power before its ledger had heard of it. Claim a term above all that it knows, so that terms
// mean something again, and announce, since clients may have seen it. The ledger reserves the term
// first if it must.
void weigh_term(Work& w) noexcept {
  State& s = w.s;
  const bool forced = s.solo == SoloBasis::Forced && s.peer.command_term >= s.serving_term;
  const bool asked = peer_says(s, CB_FACT_CLAIM_ABOVE) && !peer_says(s, CB_FACT_SERVING) &&
                     s.peer.term > s.serving_term;
  if (!(forced || asked) || s.ladder == Ladder::Down || !peer_is_present(s) ||
      next_term(s) > s.durable.reserved_term) {
    return;
  }
  s.serving_term = next_term(s);
  s.term = s.serving_term;
  s.command_term = s.serving_term;
  start(w, ActionKind::ClaimTerm, s.settings.action_deadline);
  w.actions.back().term = s.serving_term;
  announce_again(w);
}

// Somebody served, or serves, after us. Heard is enough, also if the peer has fallen silent since.
bool is_outdated(const State& s) noexcept {
  const bool serves_later = peer_says(s, CB_FACT_SERVING) && s.peer.term > s.serving_term;
  const bool served_later = s.peer.boot != 0 && s.peer.command_term > s.serving_term;
  return s.settings.paired && s.solo != SoloBasis::Forced && (serves_later || served_later);
}

// Services or network are down here, and the peer is ready with both: hand over. Looked at twice,
// since a dying gateway is seen by one of us first. A disk that failed is nobody else's.
void weigh_better_peer(Work& w) noexcept {
  State& s = w.s;
  const bool no_data = s.settings.has_volume && !s.volume_ok;
  const bool worse = no_data || !s.network_ok || !s.services_ok;
  const bool peer_good = why_peer_not_eligible(s) == Reason::None &&
                         peer_says(s, CB_FACT_NETWORK_OK) && peer_says(s, CB_FACT_SERVICES_OK) &&
                         peer_says(s, CB_FACT_FAILOVER_AUTO);
  if (!worse || !peer_good || !is_automatic(s)) {
    s.worse_since = Instant::never();
    return;
  }
  if (s.worse_since.is_never()) {
    s.worse_since = w.now;
  }
  if (no_data || w.now >= s.worse_since + kSettle) {
    s.worse_since = Instant::never();
    hand_over(w,
              no_data        ? Reason::VolumeFailed
              : s.network_ok ? Reason::ServicesFailed
                             : Reason::NetworkLost,
              false, false);
  }
}

void weigh_automatic_failback(Work& w) noexcept {
  State& s = w.s;
  if (s.settings.role != Role::Secondary || s.name != StateName::FailoverActive ||
      !s.settings.automatic_failback || s.automatic_off || s.maintenance ||
      peer_says(s, CB_FACT_MAINTENANCE) || s.peer_good_since.is_never() ||
      w.now < s.peer_good_since + s.settings.wait_for_peer || w.now < held_down_until(s)) {
    return;
  }
  hand_over(w, Reason::AutomaticFailback, false, false);
}

// Data returns to the primary while we still serve.
void weigh_failback(Work& w) noexcept {
  State& s = w.s;
  if (s.name != StateName::FailbackActive || s.sub != SubState::Synchronizing) {
    return;
  }
  const Reason why_not = why_peer_not_eligible(s);
  if (why_not == Reason::None) {
    hand_over(w, s.climb_reason, s.by_operator, s.want_forced);
  } else if (why_not != Reason::CatchingUp && why_not != Reason::StaleData) {
    report(w, Report::HandOverRefused, static_cast<uint64_t>(why_not), why_not);
    become(w, StateName::FailoverActive, SubState::Degraded, why_not);
  } else if (w.now >= std::max(s.progress_at, s.since) + kStall) {
    report(w, Report::HandOverRefused, static_cast<uint64_t>(Reason::CatchingUp),
           Reason::CatchingUp);
    become(w, StateName::FailoverActive, SubState::Degraded, Reason::CatchingUp);
  }
}

void weigh_end_of_failback(Work& w) noexcept {
  State& s = w.s;
  if (s.name != StateName::FailbackComplete) {
    return;
  }
  const bool in_step = s.in_step && peer_is_present(s) && peer_says(s, CB_FACT_IN_STEP) &&
                       !peer_says(s, CB_FACT_STALE);
  if (in_step || s.peer_silent || !s.settings.paired) {
    become(w, StateName::PrimaryActive, SubState::Alone, s.reason);
    report(w, Report::Active, s.serving_term);
  }
}

}  // namespace

void yield(Work& w) noexcept {
  State& s = w.s;
  const bool conflict = s.guard == GuardMode::Solo;
  report(w, Report::Yielded, s.peer.term, Reason::PeerHigherTerm);
  s.intent = 0;
  s.released = false;
  s.peer_stale = false;
  s.peer_left = false;
  s.proof = false;
  s.conflict = false;
  if (s.settings.has_volume) {
    s.stale = true;  // it has gone on without us
    s.in_step = false;
    s.resync_asked = false;
  }
  become(w, StateName::Terminated, conflict ? SubState::Conflict : SubState::GoingDown,
         Reason::PeerHigherTerm);
  descend(w, Goal::Yield, Reason::PeerHigherTerm);
}

void weigh_command(Work& w) noexcept {
  State& s = w.s;
  if (is_outdated(s)) {
    yield(w);
    return;
  }
  weigh_conflict(w);
  if (s.settings.paired && !s.stopping && !s.unpairing) {
    weigh_term(w);
  }
  weigh_authority(w);
  if (s.ladder != Ladder::None || !s.settings.paired || s.stopping || s.restarting || s.unpairing) {
    return;
  }
  if (peer_is(s) == PeerIs::Unpairing) {
    weigh_unpairing_peer(w);
    return;
  }
  weigh_end_of_failback(w);
  weigh_failback(w);
  if (s.ladder != Ladder::None) {
    return;
  }
  if (s.half_up && s.retry_at.is_never()) {
    climb(w, Goal::Resume, s.climb_reason, s.solo);
    return;
  }
  consider_wish_of_peer(w);
  if (s.ladder == Ladder::None) {
    weigh_better_peer(w);
  }
  if (s.ladder == Ladder::None) {
    weigh_automatic_failback(w);
  }
}

}  // namespace cb::core
