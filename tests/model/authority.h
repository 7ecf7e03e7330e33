// SPDX-License-Identifier: Apache-2.0
//
// The rules of docs/volume.md about who may acknowledge, as a small machine whose every state is
// visited: two nodes, a link, a register that remembers, crashes, lost answers. Nothing of the
// product is in it: a wrong rule shows here though it were coded faultlessly.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace cb::model {

enum class Variant : uint8_t {
  Rules,                 // as documented
  NaiveTakeover,         // alone when the link is gone, promoted when the link is gone
  ForgetfulTiebreak,     // a third voice that grants whoever asks
  PublishedFirst,        // the gate closes only with the last step of a join
  JoinedTooEarly,        // the peer records "in step" before it has everything
  AnswerAssumed,         // a swap whose answer was lost counts as granted
  AloneBeforeSwap,       // acknowledges alone while the register is asked
  ServesAfterBoot,       // goes on from its own record after a restart
  UngatedAfterJoin,      // opens the gate again when a join fails, without asking
  HandOverAlone,         // who is handed over to serves alone because it was told to
  ForcedBesideAWriter,   // an operator forces one node while the other serves
  ForcedPastRegister,    // ... or without the register hearing of it
  OutdatedNotRecorded,   // the peer says that it is outdated before its disk knows
  AdoptsThoughOutdated,  // ... or takes up a grant of before although it is
  OutdatedThoughAhead,   // ... or says it although it has served since
};
inline constexpr int kVariants = static_cast<int>(Variant::OutdatedThoughAhead) + 1;
const char* name_of(Variant variant);

inline constexpr int kWrites = 3;

// What may happen besides writes, joins, takeovers and faults.
struct Moves {
  bool hand_over =
      false;             // in good order: no new writes, everything on both, then either may claim
  bool force = false;    // an operator accepts the loss of what a dead node alone had
  bool outdate = false;  // a peer that says durably that it is outdated lets the writer go alone
};

// A log: the numbers of its writes, in order. Numbers are never used twice.
struct Log {
  std::array<uint8_t, kWrites + 1> write{};
  uint8_t length = 0;
  bool operator==(const Log&) const = default;
};

struct NodeState {
  Log log;
  uint8_t alone = 0;    // standing: alone, or together
  uint8_t in_step = 0;  // ... or neither
  uint8_t epoch = 0;    // of the standing
  uint8_t serving = 0;
  uint8_t gated = 0;
  uint8_t planned = 0;     // number of the epoch that is being joined
  uint8_t planned_at = 0;  // where it begins
  uint8_t joined = 0;      // the peer said so
  uint8_t granted = 0;     // number that the register gave, not yet recorded
  uint8_t granted_alone = 0;
  uint8_t peer_has = 0;       // as the peer acknowledged to us
  uint8_t releasing = 0;      // hands over: takes no more writes
  uint8_t outdated = 0;       // durably, until it is in step again
  uint8_t peer_outdated = 0;  // as the peer said
  bool operator==(const NodeState&) const = default;
};

struct State {
  std::array<NodeState, 2> node;
  Log acknowledged;
  uint8_t link = 1;
  uint8_t register_epoch = 0;
  uint8_t register_alone = 0;
  uint8_t register_holder = 0;
  uint8_t writes = 0;
  uint8_t faults = 0;
  bool operator==(const State&) const = default;
};

struct Verdict {
  uint64_t states = 0;
  bool violated = false;
  std::string what;
  std::vector<std::string> trace;  // the shortest way to it
};

// Every state that at most `faults` cuts, crashes and lost answers can reach, with epochs up to
// `epochs`.
Verdict search(Variant variant, int faults, int epochs, Moves moves = {});

}  // namespace cb::model
