// SPDX-License-Identifier: Apache-2.0
//
// options.h - what one seed switches on. Drawn, printed and judged by; nothing else is random but
// the draws of the world itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/instant.h"
#include "core/types.h"

namespace cb::sim {

enum class Arbiter : uint8_t { Gateway, Fence, Witness };

// One family of faults; a seed in gateway mode draws from one of them at a time.
enum class Domain : uint8_t {
  None,
  Crash,         // a machine loses power and boots again
  MonitorCrash,  // the process dies and is started again; the kernel's maps stay
  Stall,         // the control loop, or the whole process, does not run for a while
  Freeze,        // the whole machine does not run
  DirectCut,     // the cable, one way or both
  ServiceCut,    // the service interface of one node, one way or both
  Loss,          // moderate loss, delay, duplication, reordering on all links
};
inline constexpr int kDomains = 8;

// Bugs that are planted on purpose, to prove that the simulator sees them.
enum class Planted : uint8_t {
  None,
  SkipLeaseWait,      // CloseLease answers at once
  ForgetToPersist,    // the ledger says "written" and writes nothing
  JudgeBeforeDrain,   // silence is judged by what was known before the turn
  AcceptEqualTerm,    // a higher term of the peer is taken for an equal one: nobody yields
  SkipFence,          // the fence says "dead" and does nothing
  GrantWhileServing,  // grants go on whatever the state
  IgnoreStale,        // a stale or lagging node believes that it is in step
  SoloUnasked,        // arbitration always grants, at once
  OpenGuardEarly,     // the guard opens when the climb begins
  ForgetGrants,       // a start forgets what an earlier life granted
  ReuseTerms,         // a start forgets the reserved terms
  TrustForgeries,     // a forged frame is signed with the right key
  NeverYield,         // the guard stays as it was when the core closes it
  ProofForAll,        // every start believes that its ledger proves its right
  DeafToGoodbye,      // a peer that stops on purpose is taken for dead, without being asked
  WitnessForgets,     // a witness starts without what it had granted
  WitnessUnordered,   // a witness does what is late after what was said later
  AnswerAssumed,      // no answer of the witness is taken for a grant
};
inline constexpr int kPlanted = 19;

const char* name_of(Planted bug);
const char* what_is(Planted bug);
const char* name_of(Domain domain);
const char* name_of(Arbiter arbiter);

struct Options {
  uint64_t seed = 0;
  Planted planted = Planted::None;
  bool verbose = false;

  // the pair
  Arbiter arbiter = Arbiter::Gateway;
  bool n_to_1 = false;  // two primaries, one secondary
  bool direct_link = true;
  bool has_volume = false;
  bool has_services = true;
  bool address_last = false;
  bool automatic_failover = true;
  bool automatic_failback = false;
  Duration interval{};  // of probes on the direct link (or the only one)
  int probes_lost = 4;
  Duration failover_wait{};
  Duration hold_down{};

  // clocks
  int drift_ppm = 0;  // up to, each node its own

  // faults
  Domain domain = Domain::None;  // gateway: the only family
  bool crash = false;
  bool monitor_crash = false;
  bool stall = false;
  bool freeze = false;
  bool direct_cut = false;
  bool service_cut = false;
  bool gateway_down = false;
  bool service_failures = false;
  int loss_permille = 0;
  int duplicate_permille = 0;
  int delay_permille = 0;  // of frames that are delayed much, and so reordered
  bool slow_actions = false;
  int action_failures_permille = 0;
  bool old_ledgers = false;
  bool upgrades = false;  // both monitors are restarted in turn, and then the holder is cut off
  bool witness_faults = false;  // it dies, is slow, its answers are lost
  bool operators = false;
  bool attacker = false;
  Duration fault_gap{};   // mean time between two faults
  Duration faults_for{};  // the safety phase

  std::string text() const;
};

// The same seed gives the same options on every machine.
Options draw(uint64_t seed);

}  // namespace cb::sim
