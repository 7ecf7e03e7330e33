// SPDX-License-Identifier: Apache-2.0
// step.h - the whole decision of one pairing. Pure: same arguments, same answer; no clock, log,
// allocation or system call.
//
// In one turn the news of the peer comes first, so that nothing is decided on what is no longer
// true: SelfStalled, then PeerHeard, then what judge() said, then everything else, and Tick last.
//
// One State per pairing (a secondary with sixteen primaries has sixteen). In one turn the agent
// feeds events in order and stores the next state; before it starts the actions it publishes what
// differs, in this order, so that being killed in between is safe at every point:
//   1. guard_of, if it closes or goes from Solo to Leased
//   2. grant_us_of, if it is lowered
//   3. facts_of
//   4. grant_us_of, if it is raised
//   5. guard_of, if it opens or goes from Leased to Solo
// What must be durable before something else is held back by step() itself: the agent need not
// know.
#pragma once

#include "core/action.h"
#include "core/event.h"
#include "core/state.h"
#include "core/types.h"

namespace cb::core {

struct Step {
  State next;
  Actions actions;  // in the order they must be started
};

// The state before Started.
State initial(const Settings& settings) noexcept;

Step step(const State& state, const Event& event, Instant now) noexcept;

// When the next Tick is due; Instant::never() when nothing waits.
Instant next_deadline(const State& state) noexcept;

// What every frame of ours says while this state holds: the agent writes it into cb_pair.facts when
// it changes.
struct Facts {
  uint64_t term = 0;
  uint64_t command_term = 0;
  uint64_t position = 0;
  uint32_t flags = 0;  // enum cb_fact, but CB_FACT_MONITOR_EXITED (the kernel's)
  StateName state = StateName::Terminated;
  Role role = Role::Primary;
  SubState sub_state = SubState::None;
  uint8_t intent = 0;  // enum cb_intent
  uint16_t progress_permille = 0;
  uint32_t wanted_grant_us = 0;
  bool operator==(const Facts&) const = default;
};
Facts facts_of(const State& state) noexcept;

// Facts that were received before a silence do not count after it. Then the peer's words are news
// also when they are the same as before: PeerHeard is due with the first that were `received`
// since.
bool wants_facts_again(const State& state, Instant received) noexcept;

// What cb_pair.grant_us must be while this state holds. It is lowered to 0 before CloseLease is
// started and never raised while this node serves or climbs the up ladder.
uint32_t grant_us_of(const State& state) noexcept;

// What cb_pair.guard_mode must be, published in the same turn. The OpenGuard and CloseGuard rungs
// ask the edge to make sure and to answer; they need not change the mode again.
GuardMode guard_of(const State& state) noexcept;

}  // namespace cb::core
