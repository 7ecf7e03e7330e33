// SPDX-License-Identifier: Apache-2.0
//
// Who of the two could take command, would by itself, and should; and if not, why not.
#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {

bool elected(const State& s) noexcept {
  // Who was last in command has the newest data, also if it feared since that the other had gone
  // on: by its own word the other has not.
  if (s.command_term != s.peer.command_term) {
    return s.command_term > s.peer.command_term;
  }
  const bool peer_stale = peer_says(s, CB_FACT_STALE);
  if (s.stale != peer_stale) {
    return peer_stale;
  }
  return s.settings.role == Role::Primary;
}

Reason why_not_eligible(const State& s) noexcept {
  if (!s.settings.paired) return Reason::Unpaired;
  if (s.unpairing) return Reason::Unpairing;
  if (s.stopping || s.restarting || s.exited) return Reason::GracefulStop;
  if (!s.ledger_known) return Reason::ColdStart;
  if (s.ledger_failed && next_term(s) > s.durable.reserved_term) return Reason::LedgerFailed;
  if (s.stale) return Reason::StaleData;
  if (s.settings.has_volume && !s.volume_ok) return Reason::VolumeFailed;
  if (s.settings.has_volume && !s.in_step) return Reason::CatchingUp;
  if (!s.network_ok) return Reason::NetworkLost;
  if (!s.services_ok) return Reason::ServicesFailed;
  if (!s.retry_at.is_never()) return Reason::LadderFailed;
  return Reason::None;
}

bool is_eligible(const State& s) noexcept {
  return !s.in_command && why_not_eligible(s) == Reason::None;
}

Reason why_peer_not_eligible(const State& s) noexcept {
  if (!s.settings.paired) return Reason::Unpaired;
  if (!peer_is_present(s)) return s.peer_silent ? Reason::PeerSilent : Reason::PeerUnheard;
  if (s.peer_monitor_stale) return Reason::PeerMonitorStale;
  if (s.peer.intent == CB_INTENT_GOODBYE) return Reason::PeerGoodbye;
  if (s.in_command && peer_says(s, CB_FACT_SERVING)) return Reason::PeerYielding;
  // What it says may be older than what our own volume knows of it.
  const bool behind = s.in_command && s.settings.has_volume && !s.in_step;
  if (peer_says(s, CB_FACT_ELIGIBLE)) return behind ? Reason::CatchingUp : Reason::None;
  if (peer_says(s, CB_FACT_STALE)) return Reason::StaleData;
  if (!peer_says(s, CB_FACT_IN_STEP)) return Reason::CatchingUp;
  if (!peer_says(s, CB_FACT_NETWORK_OK)) return Reason::NetworkLost;
  if (!peer_says(s, CB_FACT_SERVICES_OK)) return Reason::ServicesFailed;
  return Reason::LadderFailed;
}

// What made the last climb fail, where that says more than that it failed.
Reason why_climb_failed(const State& s) noexcept {
  const Reason why = s.climb_reason;
  const bool says_more = why == Reason::FenceFailed || why == Reason::LedgerFailed ||
                         why == Reason::VolumeFailed || why == Reason::ServicesFailed ||
                         why == Reason::AddressDefended;
  return says_more ? why : Reason::LadderFailed;
}

Reason why_not_ready(const State& s) noexcept {
  const Reason why_not = why_not_eligible(s);
  if (why_not == Reason::LadderFailed) return why_climb_failed(s);
  const bool may_have_granted = s.now < s.serve_not_before;
  return why_not == Reason::None && may_have_granted ? Reason::EarlierGrant : why_not;
}

Reason why_peer_not_ready(const State& s) noexcept {
  const Reason why_not = why_peer_not_eligible(s);
  const bool stands_by = s.peer.state == StateName::SecondaryActive;
  const bool waits = stands_by && s.peer.sub_state == SubState::NotReady;
  return why_not == Reason::None && waits ? Reason::EarlierGrant : why_not;
}

bool is_automatic(const State& s) noexcept {
  // The peer's maintenance is the pair's. That we then say "not automatic" is also how the node in
  // command learns that it may serve without our lease.
  return s.settings.automatic_failover && !s.automatic_off && !s.maintenance &&
         !peer_says(s, CB_FACT_MAINTENANCE);
}

}  // namespace cb::core
