// SPDX-License-Identifier: Apache-2.0
#include "tests/table/peer_columns.h"

#include <algorithm>

#include "tests/table/stories.h"

namespace cb::table {
namespace {

using namespace core;

constexpr uint32_t without(uint32_t flags, uint32_t gone) { return flags & ~gone; }

uint64_t newest(const State& s) { return std::max({s.term, s.peer.term, uint64_t{1}}); }

uint64_t of_peer(uint64_t counter, const State& s) {
  return counter << 1 | static_cast<uint64_t>(other(s.settings.role));
}

PeerFacts standing_by(const State& s) {
  PeerFacts f = peer_facts(other(s.settings.role), 0, newest(s));
  f.command_term = s.peer.command_term;
  return f;
}

// In the term in which it serves already, or in the next.
PeerFacts serving(const State& s) {
  const bool serves = (s.peer.flags & CB_FACT_SERVING) != 0;
  const uint64_t term = serves ? s.peer.term : of_peer((newest(s) >> 1) + 1, s);
  return peer_facts(other(s.settings.role), term);
}

void add(std::vector<Word>& out, const char* what, PeerFacts facts, uint32_t more,
         uint8_t intent = CB_INTENT_NONE) {
  facts.flags |= more;
  facts.intent = intent;
  out.push_back({what, facts});
}

void add_standing_by(std::vector<Word>& out, const State& s) {
  const PeerFacts idle = standing_by(s);
  add(out, "stands by, ready", idle, 0);
  PeerFacts f = idle;
  f.sub_state = SubState::NotReady;
  add(out, "stands by, not yet ready", f, 0);
  f = idle;
  f.flags = without(f.flags, CB_FACT_ELIGIBLE | CB_FACT_NETWORK_OK);
  add(out, "stands by, its network is lost", f, 0);
  f = idle;
  f.flags = without(f.flags, CB_FACT_ELIGIBLE | CB_FACT_IN_STEP);
  add(out, "stands by, its data is behind", f, 0);
  f = idle;
  f.flags = without(f.flags, CB_FACT_FAILOVER_AUTO);
  add(out, "stands by, its failover is manual", f, 0);
  f = starting_peer(other(s.settings.role));
  f.command_term = s.peer.command_term;
  f.term = newest(s);
  add(out, "has started, was not last in command", f, 0);
  f.command_term = of_peer((newest(s) >> 1) + 1, s);
  f.term = f.command_term;
  add(out, "has started, was last in command", f, 0);
  f = idle;
  f.term = newest(s) + 2;
  f.sub_state = SubState::NotReady;
  add(out, "has started, and may have forgotten a term", f, CB_FACT_CLAIM_ABOVE);
  add(out, "asks for command, by an operator", idle, CB_FACT_ON_REQUEST, CB_INTENT_WANT_COMMAND);
  f = idle;
  f.sub_state = SubState::GoingUp;
  add(out, "is climbing", f, 0);
  add(out, "was stopped on purpose", idle, 0, CB_INTENT_GOODBYE);
  add(out, "released command", idle, CB_FACT_RELEASED | CB_FACT_ON_REQUEST, CB_INTENT_HAND_OVER);
  add(out, "removes the pairing", idle, CB_FACT_UNPAIRING);
  f = idle;
  f.wanted_grant_us = 5'000'000;
  add(out, "restarts as planned", f, CB_FACT_RESTARTING);
}

void add_serving(std::vector<Word>& out, const State& s) {
  const PeerFacts f = serving(s);
  add(out, "serves", f, 0);
  add(out, "serves solo", f, CB_FACT_SOLO);
  add(out, "serves, in maintenance", f, CB_FACT_MAINTENANCE);
  add(out, "serves, served while we were away", f, CB_FACT_PEER_STALE);
  add(out, "serves, and goes down for us", f, CB_FACT_ON_REQUEST, CB_INTENT_HAND_OVER);
  add(out, "serves, and is being stopped", f, 0, CB_INTENT_GOODBYE);
  const uint64_t counter = s.command_term >> 1;
  if (counter > 1) {
    PeerFacts older = peer_facts(other(s.settings.role), of_peer(counter - 1, s));
    add(out, "serves in an older term", older, 0);
    add(out, "serves solo in an older term", older, CB_FACT_SOLO);
  }
}

void add_nonsense(std::vector<Word>& out, const State& s) {
  PeerFacts f = serving(s);
  f.role = s.settings.role;
  f.term = f.command_term = std::max<uint64_t>(newest(s), 2);
  add(out, "claims our role and our term", f, 0);
  f = serving(s);
  f.term = f.command_term = ~uint64_t{0};
  add(out, "claims a term beyond all reason", f, 0);
}

}  // namespace

std::vector<Word> words_of_peer(const Driver& node) {
  std::vector<Word> out;
  add_standing_by(out, node.state);
  add_serving(out, node.state);
  add_nonsense(out, node.state);
  return out;
}

}  // namespace cb::table
