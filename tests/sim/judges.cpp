// SPDX-License-Identifier: Apache-2.0
//
// The judges stand outside and see everything. They are asked after every single event: a guard
// that opens, a lease that grows and a freshness that is renewed are events, so no overlap can hide
// between two looks.
#include <algorithm>
#include <cinttypes>

#include "core/state_text.h"
#include "tests/sim/world.h"

namespace cb::sim {
namespace {

constexpr int64_t kTimeToClaim = 2 * kSecond;

}  // namespace

bool World::passes(int index, int slot) const {
  const Machine& m = machines_[static_cast<size_t>(index)];
  const Slot& s = m.slots[static_cast<size_t>(slot)];
  return m.powered && !m.frozen &&
         cb_guard_shut(&m.node, &s.pair, &s.lease, static_cast<__u64>(m.clock.local(now()))) == 0;
}

// V1 and the serving half of V2.
void World::judge() {
  for (Pairing& p : pairings_) {
    int open[2] = {-1, -1};
    int count = 0;
    for (const int id : {p.primary, p.secondary}) {
      Machine& m = machine(id);
      for (size_t i = 0; i < m.slots.size(); ++i) {
        Slot& s = m.slots[i];
        if (&pairings_[static_cast<size_t>(s.pairing)] == &p && passes(id, static_cast<int>(i))) {
          open[count++] = id;
          judge_serving(m, s);
        }
      }
    }
    if (p.operator_risk) {
      p.operator_risk = still_commands(p.primary, p) && still_commands(p.secondary, p);
    } else if (count > 1) {
      const auto& a = machine(open[0]).slots[0].state;
      const auto& b = machine(open[1]).slots[0].state;
      object("V1: both %c (%s, %s) and %c (%s, %s) let the address through", 'A' + open[0],
             std::string(core::name_of(a.name)).c_str(), std::string(core::name_of(a.solo)).c_str(),
             'A' + open[1], std::string(core::name_of(b.name)).c_str(),
             std::string(core::name_of(b.solo)).c_str());
    }
  }
}

bool World::still_commands(int index, const Pairing& p) const {
  const Machine& m = machines_[static_cast<size_t>(index)];
  for (const Slot& s : m.slots) {
    if (&pairings_[static_cast<size_t>(s.pairing)] == &p) {
      return m.powered && (s.state.in_command || s.state.ladder == core::Ladder::Up);
    }
  }
  return false;
}

void World::judge_serving(Machine& m, Slot& s) {
  Pairing& p = pairings_[static_cast<size_t>(s.pairing)];
  const cb_facts& said = *cb_facts_of(&s.pair);
  const uint64_t term = said.term;
  if ((said.flags & CB_FACT_SERVING) == 0) {
    object("V2: %c lets the address through and does not say that it serves", 'A' + m.id);
  }
  // A ledger that somebody put back cannot be known to be old until the peer has been met.
  if (term < p.max_served && !s.ledger_restored && !p.operator_risk) {
    object("V2: %c serves in term %" PRIu64 " after %" PRIu64 " was served", 'A' + m.id, term,
           p.max_served);
  }
  p.max_served = std::max(p.max_served, term);
}

void World::judge_action(Machine& m, Slot& s, const core::Action& action) {
  const core::State& now_is = s.state;
  if (action.kind == core::ActionKind::ClaimTerm) {
    if (action.term <= s.claimed_max && !s.ledger_restored) {
      object("V2: %c claims term %" PRIu64 " after it claimed %" PRIu64, 'A' + m.id, action.term,
             s.claimed_max);
    }
    s.claimed_max = std::max(s.claimed_max, action.term);
    if ((action.term & 1) != static_cast<uint64_t>(m.role)) {
      object("V2: %c claims a term of the other role", 'A' + m.id);
    }
  }
  const bool goes_up =
      action.kind == core::ActionKind::AddAddress || action.kind == core::ActionKind::OpenGuard;
  if (!goes_up || now_is.goal == core::Goal::Resume) {
    return;
  }
  if (!s.lease_closed) {
    object("V3: %c goes up with the address before the old lease has ended", 'A' + m.id);
  }
  if (now_is.goal == core::Goal::TakeOver && options_.arbiter == Arbiter::Fence && !s.fenced) {
    object("V3: %c goes up with the address before the fence has confirmed", 'A' + m.id);
  }
}

// V6, and what a peer that stops on purpose may expect.
void World::judge_step(Machine& m, Slot& s, const core::State& before) {
  const core::State& after = s.state;
  // Whoever serves when it meets the peer is asked for a term above, and its disk must reserve that
  // one first.
  const bool has_met = after.peer.boot != 0 && after.peer_answers;
  s.met_at = !has_met ? kNever : std::min(s.met_at, now());
  if (has_met && (!after.in_command || now() - s.met_at > kTimeToClaim)) {
    s.ledger_restored = false;
  }
  const bool asked = after.ladder == core::Ladder::Up && before.ladder != core::Ladder::Up &&
                     after.climb_reason == core::Reason::OperatorFailover;
  const bool begins = after.ladder == core::Ladder::Up && after.goal == core::Goal::TakeOver &&
                      before.goal != core::Goal::TakeOver;
  if (((begins && after.by_operator) || asked) && options_.arbiter == Arbiter::Gateway &&
      (before.peer.flags & CB_FACT_SOLO) != 0) {
    pairings_[static_cast<size_t>(s.pairing)].operator_risk = true;
  }
  if (!begins || after.climb_reason != core::Reason::PeerSilent) {
    return;
  }
  const auto local = static_cast<uint64_t>(m.clock.local(now()));
  const int64_t silence = options_.interval.as_ns();  // the deadline of the last probe of a burst
  for (const cb_path& path : s.path) {
    if (path.frame_ns != 0 && local - path.frame_ns < static_cast<uint64_t>(silence)) {
      object("V6: %c takes over for silence, %" PRIu64 " us after a frame of its peer", 'A' + m.id,
             static_cast<uint64_t>((local - path.frame_ns) / 1000));
    }
  }
  const Slot& other = machine(s.peer).slots[static_cast<size_t>(s.peer_slot)];
  const bool gone = machine(s.peer).powered && !machine(s.peer).monitor && other.state.exited;
  bool heard = false;
  for (const cb_path& path : s.path) {
    heard = heard || (path.peer.intent == CB_INTENT_GOODBYE &&
                      path.peer.session == machine(s.peer).node.session);
  }
  if (gone && heard) {
    object("S1: %c takes over from a peer that it had heard stop on purpose", 'A' + m.id);
  }
}

}  // namespace cb::sim
