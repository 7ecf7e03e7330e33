// SPDX-License-Identifier: Apache-2.0
//
// work.h - the inside of step(): one step being worked out. Only the step's own sources include it.
//
// A step goes in five moves, always the same:
//   absorb()      the event becomes facts in the state (the peer, our health, answers to actions);
//   on_<state>()  the nested switch: what this event means in this state;
//   weigh()       level-triggered rules: with everything known now, what should be done? A fact
//   that
//                 came in an order nobody thought of is found here, at the latest with the next
//                 event;
//   refine()      the sub-state follows from the facts;
//   keep_ledger() what must survive a crash is handed to the ledger when it differs.
#pragma once

#include "core/action.h"
#include "core/event.h"
#include "core/state.h"
#include "core/types.h"

namespace cb::core {

struct Work {
  State s;
  const Event& e;
  Instant now;
  Actions actions;
};

// -- limits that are not worth configuring
inline constexpr uint64_t kTermMax = uint64_t{1} << 62;  // beyond it facts are nonsense
inline constexpr uint64_t kReserveTerms = 256;           // kept ahead in the ledger
inline constexpr uint64_t kReserveLow = 64;              // ... and renewed below this
inline constexpr int kRungTriesMax = 3;
inline constexpr Duration kRungSlack = Duration::from_s(1);      // an edge that never answers
inline constexpr Duration kVerdictCounts = Duration::from_s(2);  // after it could first be used
inline constexpr Duration kRepeat = Duration::from_s(30);        // a rung that will not hold
inline constexpr Duration kSettle = Duration::from_s(1);  // worse off than the peer: look twice
inline constexpr Duration kTryAgain = Duration::from_s(1);
inline constexpr Duration kStall = Duration::from_s(600);  // a failback without progress
inline constexpr Duration kAlarmPause = Duration::from_s(1);

// CB_GRANT_US_MAX and its drift
inline constexpr Duration kLongestGrant = Duration::from_ms(10'010);

// -- actions.cpp
ActionId start(Work& w, ActionKind kind, Duration deadline) noexcept;
void report(Work& w, Report what, uint64_t value = 0, Reason reason = Reason::None) noexcept;
void refuse(Work& w, Reason why) noexcept;  // an operator's wish
void become(Work& w, StateName name, SubState sub, Reason reason) noexcept;
void announce_again(Work& w) noexcept;
uint64_t next_term(const State& s) noexcept;

// -- peer.cpp: what the peer is, as far as it is known now
enum class PeerIs : uint8_t {
  Unknown,  // answers, but has not said who it is; or nothing is known yet
  Silent,
  Serving,
  Outdated,  // serving in a term older than one that we served in: it will yield when it hears us
  Stopping,  // serving, and going down on purpose
  Leaving,   // on its way to hand over: not yet released
  Released,
  Climbing,
  Goodbye,  // stopped on purpose
  Unpairing,
  Idle,  // awake, and nobody is in command
};
PeerIs peer_is(const State& s) noexcept;
bool peer_says(const State& s, uint32_t fact) noexcept;  // last heard, also while silent
bool peer_is_present(const State& s) noexcept;           // answers, and its facts are of now
// It serves, and may acknowledge without us: in step with it is what we were when it was last
// heard.
bool peer_may_get_ahead(const State& s) noexcept;
void absorb(Work& w) noexcept;

// -- eligible.cpp
bool elected(const State& s) noexcept;             // of two idle nodes: is it us who take command?
Reason why_not_eligible(const State& s) noexcept;  // None: eligible
Reason why_peer_not_eligible(const State& s) noexcept;
// Eligible nodes that could not take over from a dead peer at once: a restarted one has to wait for
// what it granted before. A hand-over it could take, since the releasing node says that it does not
// serve.
Reason why_not_ready(const State& s) noexcept;
Reason why_climb_failed(const State& s) noexcept;  // at least LadderFailed
Reason why_peer_not_ready(const State& s) noexcept;

// -- record.cpp: the ledger
LedgerRecord record_of(const State& s) noexcept;
bool durably_said(const State& s) noexcept;  // the ledger holds all that record_of() says
void keep_ledger(Work& w) noexcept;
void on_persisted(Work& w) noexcept;

// -- authority.cpp: may the guard be open without a lease?
void ask(Work& w) noexcept;  // arbitration, unless an answer about this silence is there or due
void drop_question(Work& w) noexcept;
bool granted_now(Work& w) noexcept;         // asks if needed
bool refused_now(const State& s) noexcept;  // answered, and not granted
Reason reason_of(Verdict verdict) noexcept;
void go_solo(Work& w, SoloBasis basis) noexcept;
void weigh_authority(Work& w) noexcept;  // in command
bool needs_witness(const State& s) noexcept;

// -- climb.cpp: ladders
void climb(Work& w, Goal goal, Reason reason, SoloBasis solo) noexcept;
void descend(Work& w, Goal goal, Reason reason) noexcept;
void give_up_climb(Work& w, Reason reason) noexcept;
// Starts the next rung when nothing holds it back. Only weigh() calls it, after every rule has had
// its word: a ladder that was begun and left within one step leaves no action behind. True: it has
// ended.
bool walk(Work& w) noexcept;
void on_rung_answered(Work& w) noexcept;
void weigh_ladder(Work& w) noexcept;

// -- arrival.cpp: what comes after the end of a ladder
void arrived_up(Work& w) noexcept;
void arrived_down(Work& w) noexcept;

// -- command.cpp: in command
void weigh_command(Work& w) noexcept;
void yield(Work& w) noexcept;

// -- move.cpp: asked-for and automatic moves
void ask_for_move(Work& w) noexcept;  // an operator's switchover or failback, at either node
void ask_for_failover(Work& w) noexcept;
void consider_wish_of_peer(Work& w) noexcept;
Reason why_not_hand_over(const State& s, Instant now, bool forced) noexcept;
Reason why_nobody_gives(
    const State& s) noexcept;  // not in command: what stands against asking the peer
void hand_over(Work& w, Reason reason, bool by_operator, bool forced) noexcept;
void weigh_released(Work& w) noexcept;
void want_command(Work& w) noexcept;
void stop_wanting(Work& w) noexcept;
void count_automatic_move(Work& w) noexcept;
Instant held_down_until(const State& s) noexcept;  // zero: not

// -- standby.cpp: not in command, no ladder
void weigh_standby(Work& w) noexcept;
bool is_starting(const State& s) noexcept;             // asks before anything else
void become_standby(Work& w, Reason reason) noexcept;  // the name that fits what the peer is

// -- silence.cpp: not in command, and the peer is silent or its monitor is
void weigh_silence(Work& w) noexcept;
Duration time_for_a_solo_peer(const Settings& settings) noexcept;
void weigh_stale_monitor(Work& w) noexcept;

// -- begin.cpp and end.cpp
void begin(Work& w) noexcept;        // Started
void ask_to_stop(Work& w) noexcept;  // ShutdownRequested
void weigh_stop(Work& w) noexcept;
void unpair(Work& w) noexcept;                // an operator's wish
void weigh_unpairing(Work& w) noexcept;       // ... and being carried out
void weigh_unpairing_peer(Work& w) noexcept;  // the peer says that it is

// -- refine.cpp
void refine(Work& w) noexcept;
void invariants(const State& s);

}  // namespace cb::core
