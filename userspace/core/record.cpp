// SPDX-License-Identifier: Apache-2.0
//
// What must survive a crash, and in which order it must get there. Two things wait for the disk: a
// claim beyond the reserved terms, and everything that would be a lie if the machine died now (that
// we are no longer solo, before the peer is told so; that we went on alone, before data is
// acknowledged alone).
#include <algorithm>

#include "core/work.h"

namespace cb::core {
namespace {

// Differences that are worth a write of their own. Terms seen and positions ride along.
bool differs(const LedgerRecord& a, const LedgerRecord& b) noexcept {
  LedgerRecord x = a;
  x.term = b.term;
  x.position = b.position;
  return !(x == b);
}

uint64_t reservation(const State& s) noexcept {
  const uint64_t held = std::max(s.durable.reserved_term, s.sent.reserved_term);
  return held < next_term(s) + kReserveLow ? next_term(s) + kReserveTerms : held;
}

}  // namespace

LedgerRecord record_of(const State& s) noexcept {
  LedgerRecord r;
  r.term = s.term;
  r.reserved_term = reservation(s);
  r.command_term = s.command_term;
  r.position = s.position;
  r.state = s.name;
  // A proof that we started with stays written until it is used or disproved: a crash while we
  // still ask must not lose it.
  const bool commands = s.in_command || s.holds_data;
  r.in_command = commands || s.proof;
  r.solo = (commands && s.solo != SoloBasis::None && !s.leaving_solo) || s.proof;
  r.peer_stale = s.peer_stale && !s.leaving_solo;
  r.stale = s.stale;
  r.peer_left = s.peer_left && !s.leaving_solo;
  r.stopped_gracefully = s.stopped_gracefully;
  r.maintenance = s.maintenance;
  r.maintenance_until_wall_s = s.maintenance_until_wall_s;
  return r;
}

bool durably_said(const State& s) noexcept {
  return s.persist == 0 && !differs(record_of(s), s.durable);
}

bool may_acknowledge_alone(const State& s) noexcept {
  const bool commands = s.in_command || s.holds_data;
  return commands && s.solo != SoloBasis::None && !s.leaving_solo &&
         (!s.settings.paired || (s.durable.in_command && s.durable.solo && s.durable.peer_stale));
}

void keep_ledger(Work& w) noexcept {
  State& s = w.s;
  if (!s.ledger_known) {
    return;
  }
  if (s.persist != 0) {
    if (w.now < s.persist_deadline) {
      return;
    }
    s.persist = 0;  // the edge never answered: as good as a failure
    s.ledger_failed = true;
    s.persist_again_at = w.now;
  }
  if (s.ledger_failed && w.now < s.persist_again_at) {
    return;
  }
  const LedgerRecord record = record_of(s);
  if (!differs(record, s.durable)) {
    return;
  }
  s.persist = start(w, ActionKind::PersistLedger, s.settings.action_deadline);
  w.actions.back().ledger = record;
  s.persist_deadline = w.now + s.settings.action_deadline + kRungSlack;
  s.sent = record;
}

void on_persisted(Work& w) noexcept {
  State& s = w.s;
  s.persist = 0;
  s.persist_deadline = Instant::never();
  if (w.e.error == 0) {
    s.durable = s.sent;
    s.ledger_failed = false;
    s.persist_again_at = Instant::never();
    return;
  }
  if (!s.ledger_failed) {
    report(w, Report::LadderRungFailed,
           static_cast<uint64_t>(ActionKind::PersistLedger) << 16 |
               static_cast<uint64_t>(std::clamp(w.e.error, 0, 0xffff)),
           Reason::LedgerFailed);
  }
  s.ledger_failed = true;
  s.persist_again_at = w.now + kTryAgain;
}

}  // namespace cb::core
