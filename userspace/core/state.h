// SPDX-License-Identifier: Apache-2.0
//
// state.h - everything that one pairing knows, in one flat value. step() is the only writer; the
// agent, the recorder and the faces read. Nothing here is a pointer, so a State may be copied,
// compared in pieces, kept by the recorder and fed back into step() exactly.
//
// Three things are kept apart on purpose:
//   name/sub/reason  what an operator sees;
//   guard            what the kernel is told to let through (guard_of);
//   ladder           what is being done right now, one rung at a time.
#pragma once

#include <array>
#include <cstdint>

#include "base/instant.h"
#include "core/action.h"
#include "core/types.h"

namespace cb::core {

enum class Ladder : uint8_t { None, Up, Down };

// What a ladder is walked for. It decides which conditional rungs are on it, what the state is
// called meanwhile, and what comes after its end.
enum class Goal : uint8_t {
  None,
  // up
  TakeOver,      // the peer is silent, or its monitor is past its grace: serve solo
  TakeHandOver,  // the peer released command to us: serve under its lease
  TakeBack,      // our own hand-over came to nothing
  ColdStart,     // nobody is in command: under the peer's lease, or solo with proof
  Resume,      // nothing went down (a monitor restart), or only a part: repeat what can be repeated
  FenceFirst,  // in command already, about to go solo: only the fence
  // down
  HandOver,  // then say RELEASED and wait for the peer
  Yield,     // the peer serves in a higher term: the guard closes first
  Stop,      // graceful stop
  Unpair,
  CleanUp,  // after a failed climb, and at start: leave nothing of ours standing
};

// Why the guard may be open without a lease.
enum class SoloBasis : uint8_t {
  None,
  Unpaired,
  Policy,       // the peer does not take over by itself (its failover is manual)
  PeerBehind,   // the peer's data is behind: it could not take over
  Arbitration,  // the peer is down as far as can be known
  Goodbye,      // the peer stopped on purpose, as standby
  PeerStale,  // the peer's monitor is past its grace: its guard closed and its lease was waited out
  Proof,      // cold start alone: the ledger proves that the peer cannot have served since
  Forced,     // by an operator who accepted the named risk
};

// One question to arbitration and its answer.
struct Question {
  ActionId id = 0;        // outstanding; 0: none
  Instant asked_at;       // of the newest question
  Instant overdue_at;     // the edge should have answered by now
  bool answered = false;  // `verdict` is about the newest question
  Verdict verdict = Verdict::Unavailable;
  Instant answered_at;
  Instant ask_again_at = Instant::never();
};

struct State {
  Settings settings;

  StateName name = StateName::Terminated;
  SubState sub = SubState::None;
  Reason reason = Reason::None;
  Instant since;  // of name

  // -- terms (DESIGN.md section 5): (counter << 1) | role, so that equal terms cannot exist
  uint64_t term = 0;          // newest seen or claimed; never goes back
  uint64_t serving_term = 0;  // claimed by the climb that runs, or the one we serve in; 0: neither
  uint64_t command_term = 0;  // in which we were last in command; 0 never
  uint64_t position = 0;      // data position, as last told

  // -- the right to serve
  GuardMode guard = GuardMode::Closed;
  bool in_command = false;           // from the OpenGuard rung until the guard closes
  bool holds_data = false;           // from the first rung that lets our services write
  SoloBasis solo = SoloBasis::None;  // not None exactly while `guard` is Solo, or its rung is ahead
  Instant solo_proved_at;            // when the basis was last proved; zero: policy, never proved
  bool leaving_solo = false;  // the ledger is being told first, then the guard becomes Leased
  bool forced = false;        // the climb that runs was forced by an operator
  bool peer_stale = false;    // we served without the peer: its data cannot be newer
  bool peer_left = false;     // the peer left gracefully as standby
  bool stale = false;         // the peer may have gone on without us (only with a volume)
  bool stopped_gracefully = false;
  Instant granted_until;     // from the maps, at start
  Instant serve_not_before;  // start without maps: the longest grant of an earlier life
  uint64_t grant_from_term =
      0;  // a term up to this one was served in by the peer, or may have been by us
  Instant long_grants_until;  // a grant of up to CB_GRANT_US_MAX may be running until then
  bool proof = false;         // start: the ledger proves that the peer cannot have served since
  Instant proof_at = Instant::never();  // start: when silence of the peer counts

  // -- what is being done
  Ladder ladder = Ladder::None;
  Goal goal = Goal::None;
  uint8_t rung = 0;  // index into the ladder's list
  uint8_t rung_failures = 0;
  bool half_up = false;  // a rung of the last ladder would not hold: it is walked again at retry_at
  ActionId rung_action =
      0;  // outstanding; 0: the rung waits (for the ledger, or to be tried again)
  Instant rung_deadline = Instant::never();  // its edge, or the ledger it waits for, is late then
  Instant rung_not_before;                   // to be tried again
  Reason climb_reason = Reason::None;
  Instant give_up_at = Instant::never();  // undecided silence; 0: not yet counted
  Instant deadline = Instant::never();    // of this transient state
  Instant retry_at = Instant::never();    // after a failed climb
  Question question;
  uint8_t intent = 0;                     // enum cb_intent
  bool want_forced = false;               // our intent was forced by an operator
  Instant want_until = Instant::never();  // our WANT_COMMAND is given up
  Instant stop_by = Instant::never();  // a stop, a restart or the end of a pairing waits no longer
  bool stopping = false;               // graceful stop is running
  bool restarting = false;             // planned restart is running
  bool unpairing = false;
  bool released = false;         // handed over: guard closed, address gone, and the ledger knows it
  bool exited = false;           // Exit was given: nothing moves any more
  bool by_operator = false;      // the move that runs, or the last one, was asked for
  bool failover_wanted = false;  // an operator said failover; the silence is still being proved
  bool mid_move = false;  // the silence began in a move that we were part of: its authority holds
  bool refused_peer = false;  // this WANT_COMMAND of the peer was refused already: report once
  bool conflict = false;      // both served; reported once

  // -- the ledger
  LedgerRecord durable;  // last acknowledged
  LedgerRecord sent;     // last handed to the edge
  ActionId persist = 0;  // outstanding; 0: none
  Instant persist_deadline = Instant::never();
  Instant persist_again_at = Instant::never();  // after a failure
  bool ledger_failed = false;
  bool ledger_known = false;  // Started has come

  // -- the peer
  PeerFacts peer;             // boot 0: never heard
  bool peer_answers = false;  // on some link, now
  bool peer_suspect = false;
  bool peer_silent = false;  // on all links: proved by probes, or never heard at start
  bool peer_monitor_stale = false;
  Instant heard_at;     // newest news of the peer
  Instant facts_after;  // `peer` counts as present only if received after this (a silence)
  Instant idle_since = Instant::never();  // nobody is in command, and the peer is awake
  Instant silent_since = Instant::never();
  Instant peer_restart_until;  // its planned restart: its monitor may be silent until then
  Instant peer_good_since = Instant::never();  // eligible without a break since
  std::array<bool, kLinks> link_answers{};

  // -- ourselves
  bool services_ok = true;
  bool network_ok = true;
  bool volume_ok = true;
  bool in_step = false;  // our volume: with the node in command; in command: the standby with us
  uint64_t followed_term = 0;  // of the peer's command, the last time that we followed
  bool resync_asked = false;
  uint16_t progress_permille = 0;
  Instant progress_at;
  Instant worse_since = Instant::never();  // in command, and worse off than the peer
  Instant forgive_at = Instant::never();   // failed services of a standby count as dormant again

  // -- policy
  bool maintenance = false;
  uint64_t maintenance_until_wall_s = 0;
  bool automatic_off = false;              // flap limit
  Instant last_move = Instant::never();    // end of the last failover or failback; never: none
  Instant ready_since = Instant::never();  // in step and automatic without a break since
  std::array<Instant, 8> moves{};          // automatic moves, newest first; zero: none

  bool witness_held = false;  // the witness may still hold a grant of ours that we no longer need
  Instant conflict_said_at;   // alarms about our address, limited
  Instant now;                // of the last step: what lies before it has been weighed
  bool unweighed = false;     // ... but not after a stall: what has arrived since is heard first

  ActionId next_action = 1;
};

// Pieces of the truth that several rooms ask for.
bool is_serving(const State& state) noexcept;             // in command
bool is_climbing(const State& state) noexcept;            // walking up, the guard not yet open
bool is_automatic(const State& state) noexcept;           // would this node take over by itself?
bool may_acknowledge_alone(const State& state) noexcept;  // solo, and the ledger durably says so
bool is_eligible(const State& state) noexcept;            // could take command now

}  // namespace cb::core
