// SPDX-License-Identifier: Apache-2.0
//
// A node that starts asks first. Having been in command proves nothing: the peer may have served
// since.
#include <algorithm>

#include "core/work.h"

namespace cb::core {
namespace {

// Can the peer have served since this was written? Not if we served without it and told the disk
// first, nor if it had left as a standby: it asks before it serves, and we are who it would ask.
bool proves(const LedgerRecord& ledger) noexcept {
  return ledger.in_command && ((ledger.solo && ledger.peer_stale) || ledger.peer_left);
}

// The kernel is the witness of what went on without us, not the ledger, which may be older.
bool goes_on(const State& s, const Event& e) noexcept {
  return e.kept_running && e.guard != GuardMode::Closed && e.value != 0 && e.value < kTermMax &&
         (e.value & 1) == static_cast<uint64_t>(s.settings.role) && e.value >= s.command_term;
}

SoloBasis basis_of(const State& s, const LedgerRecord& ledger) noexcept {
  if (!s.settings.paired) return SoloBasis::Unpaired;
  if (ledger.peer_left) return SoloBasis::Goodbye;
  return ledger.peer_stale ? SoloBasis::PeerBehind : SoloBasis::Policy;
}

void take_up_again(Work& w) noexcept {
  State& s = w.s;
  const LedgerRecord& ledger = w.e.ledger;
  s.in_command = true;
  s.holds_data = true;
  s.term = std::max(s.term, w.e.value);
  s.serving_term = w.e.value;
  s.command_term = w.e.value;
  s.proof = false;
  s.stopped_gracefully = false;
  s.guard = s.settings.paired ? w.e.guard : GuardMode::Solo;
  s.solo = s.guard == GuardMode::Solo ? basis_of(s, ledger) : SoloBasis::None;
  const bool primary = s.settings.role == Role::Primary;
  const StateName name = !primary                                      ? StateName::FailoverActive
                         : ledger.state == StateName::FailbackComplete ? StateName::FailbackComplete
                                                                       : StateName::PrimaryActive;
  become(w, name, SubState::Degraded, Reason::None);
  climb(w, Goal::Resume, Reason::None, s.solo);
}

}  // namespace

void begin(Work& w) noexcept {
  State& s = w.s;
  if (s.ledger_known) {
    return;  // a monitor starts once
  }
  const LedgerRecord& ledger = w.e.ledger;
  s.ledger_known = true;
  s.durable = ledger;
  s.sent = ledger;
  // Terms up to the reservation may have been claimed without another write.
  s.term = std::max({s.term, ledger.term, ledger.reserved_term, ledger.command_term, uint64_t{1}});
  s.term = std::min(s.term, kTermMax);
  s.command_term = std::min(ledger.command_term, s.term);
  s.position = ledger.position;
  s.stale = ledger.stale && s.settings.has_volume;
  s.peer_stale = ledger.peer_stale;
  s.peer_left = ledger.peer_left;
  s.maintenance = ledger.maintenance;
  s.maintenance_until_wall_s = ledger.maintenance_until_wall_s;
  s.stopped_gracefully = ledger.stopped_gracefully;
  s.granted_until = w.e.granted_until;
  s.long_grants_until = w.now + kLongestGrant;  // what an earlier life gave is not known
  s.witness_held = needs_witness(s);
  s.since = w.now;
  if (goes_on(s, w.e)) {
    take_up_again(w);
    return;
  }
  if (!s.settings.paired) {
    become(w, StateName::Terminated, SubState::None, Reason::Unpaired);
    if (s.settings.role == Role::Primary) {
      climb(w, Goal::ColdStart, Reason::Unpaired, SoloBasis::Unpaired);
    }
    return;
  }
  s.proof = proves(ledger);
  s.proof_at = w.now + s.settings.wait_for_peer;
  // The longest grant that was given before the machine booted, whichever monitor of this boot
  // asks.
  s.serve_not_before = Instant{} + s.settings.wait_for_peer;
  if (w.e.granted_until == Instant{}) {
    s.serve_not_before = w.now + s.settings.wait_for_peer;
    // Nor is it known in which of the reserved terms we served last: the ledger may not have heard.
    s.grant_from_term = s.term;
  }
  become(w, StateName::Terminated, SubState::Starting, Reason::ColdStart);
  descend(w, Goal::CleanUp, Reason::ColdStart);
}

}  // namespace cb::core
