// SPDX-License-Identifier: Apache-2.0
// types.h - the words of DESIGN.md section 1 as plain data. No behaviour, no clock, no allocation.
#pragma once

#include <array>
#include <cstdint>

#include "base/instant.h"

namespace cb::core {

enum class Role : uint8_t { Primary = 0, Secondary = 1 };

// The nine names are an interface: gethainfo, events, metrics and JSON print them exactly so
// (state_text.h). The numbers travel in frames and ledgers: append, never renumber.
enum class StateName : uint8_t {
  Terminated = 0,
  PrimaryActive = 1,
  SecondaryActive = 2,
  FailoverInvoked = 3,
  FailoverActive = 4,
  FailbackActive = 5,
  FailbackComplete = 6,
  SecondaryAlone = 7,
  GracefulShutdown = 8,
};
inline constexpr int kStateNames = 9;

// Finer detail beside the name. Travels in frames: append, never renumber.
enum class SubState : uint8_t {
  None = 0,
  Starting,           // asking the peer before anything else
  WaitingForPeer,     // nobody reachable; the ledger does not prove that we may serve
  Alone,              // in command, no peer in step
  Synchronizing,      // data is on its way; see progress
  Protected,          // in command, standby ready
  Degraded,           // in command, one link down or standby not eligible
  Ready,              // standby, could take over now
  NotReady,           // standby, could not; see reason
  PeerSilentWaiting,  // standby, silence undecided, failover_wait runs
  PeerSilentManual,   // standby, silence proved, but failover is manual
  Arbitrating,        // asking whether dead or cut off
  GoingUp,            // the up ladder is running
  GoingDown,          // the down ladder is running
  HandingOver,        // released; the peer is taking command
  PeerInCommand,      // the peer commands, we wait (a primary that came back)
  Stopping,           // graceful stop is running
  PeerStopped,        // the peer stopped on purpose
  Conflict,           // both served; the lower term is yielding
  OperatorNeeded,     // cannot go on without an operator; see reason
};

// Why the last transition happened, or why the node is not ready. One line of text each
// (state_text.h).
enum class Reason : uint8_t {
  None = 0,
  Unpaired,
  ColdStart,
  PeerSilent,
  PeerMonitorStale,  // its kernel answers, its monitor does not run
  PeerReleased,      // the peer handed over
  PeerInCommand,
  PeerHigherTerm,  // we served in a lower term: yield
  PeerGoodbye,
  PeerCameBack,
  OperatorSwitchover,
  OperatorFailover,
  OperatorFailback,
  OperatorForced,
  AutomaticFailback,
  ServicesFailed,
  NetworkLost,      // service interface or gateway lost while the peer still has them
  Isolated,         // arbitration: our gateway does not answer
  AddressDefended,  // arbitration: somebody answers for the virtual address
  NoArbitration,    // arbitration gave no answer
  FenceFailed,
  StaleData,
  CatchingUp,
  VolumeFailed,
  LadderFailed,  // a rung failed or timed out
  HandOverTimedOut,
  ManualMode,
  Maintenance,
  HoldDown,
  FlapLimit,
  LedgerProves,  // served alone before, and the peer cannot have
  LedgerFailed,
  GracefulStop,
  SelfStalled,
  Unpairing,
  Busy,  // another move is running
  AlreadyInCommand,
  PeerYielding,  // it serves in an older term than ours, and yields when it hears of that
  PeerWasSolo,   // when last heard it needed no lease of ours: it may serve still
  EarlierGrant,  // the standby restarted, and a grant of its earlier life may still be running
  PeerUnheard,   // it was not heard, or answers and has not said yet what it is
};

enum class GuardMode : uint8_t { Closed = 0, Leased = 1, Solo = 2 };  // == enum cb_guard_mode

enum class Link : uint8_t { Direct = 0, Network = 1 };
inline constexpr int kLinks = 2;

// Arbitration kinds, in the order asked. Bits, since a list may be configured.
enum ArbitrationBit : uint8_t {
  kArbitrateGateway = 1 << 0,
  kArbitrateWitness = 1 << 1,
  kArbitrateFence = 1 << 2,
  kArbitrateNone = 1 << 3,  // explicit acceptance of the risk
};

enum class Verdict : uint8_t {
  Granted,      // dead, as far as can be known: we may serve
  Isolated,     // our gateway does not answer: we are the ones cut off
  Defended,     // somebody answers for the virtual address
  Refused,      // the witness gave the term to the peer
  Unavailable,  // no answer in time (witness down, fence failed)
};

// What an instance's peer last said in a heartbeat. Values, already authenticated.
struct PeerFacts {
  uint64_t boot = 0;  // 0: never heard
  uint64_t session = 0;
  uint64_t term = 0;
  uint64_t command_term = 0;
  uint64_t position = 0;
  uint32_t flags = 0;  // enum cb_fact
  StateName state = StateName::Terminated;
  Role role = Role::Primary;
  SubState sub_state = SubState::None;
  uint8_t intent = 0;   // enum cb_intent
  bool grants = false;  // its newest frame gave us a lease
  uint16_t progress_permille = 0;
  uint32_t wanted_grant_us = 0;
  std::array<uint8_t, kLinks> unanswered{};
  Instant received;  // our clock
  bool operator==(const PeerFacts&) const = default;
};

// What must survive a crash. Written durably by the ledger edge; see action.h PersistLedger.
struct LedgerRecord {
  uint64_t term = 0;           // newest term seen or claimed
  uint64_t reserved_term = 0;  // terms up to this one may be claimed without another write
  uint64_t command_term = 0;   // term in which we were last in command, 0 never
  uint64_t position = 0;       // data position when written
  StateName state = StateName::Terminated;
  bool in_command = false;  // we were serving when this was written
  bool solo = false;        // ... without a lease, by arbitration or policy
  bool peer_stale = false;  // we served solo: the peer cannot be newer than we are
  bool stale = false;       // we did not take over when silence began: not eligible until in step
  bool peer_left = false;   // the peer left gracefully as standby
  bool stopped_gracefully = false;
  bool maintenance = false;
  uint64_t maintenance_until_wall_s = 0;  // 0: until switched off
  bool operator==(const LedgerRecord&) const = default;
};

// What the configuration says, as the core needs it. Immutable while running but for an operator's
// change.
struct Settings {
  Role role = Role::Primary;
  bool paired = false;  // false: a primary alone (serves solo) or a secondary without an instance
  bool automatic_failover = false;
  bool automatic_failback = false;
  bool direct_link = false;
  uint8_t arbitration = kArbitrateGateway;  // bits
  bool has_fence = false;
  bool has_volume = false;
  bool address_last = false;  // up ladder: start services before the address
  bool has_services = false;
  uint32_t grant_us = 0;     // what a standby grants in every frame
  Duration failover_wait{};  // undecided silence
  Duration wait_for_peer{};  // at start; never shorter than the longest grant
  Duration hold_down{};
  Duration action_deadline{};   // for a rung without its own
  Duration service_deadline{};  // start or stop of all services
  Duration volume_deadline{};   // a volume's rung, when that is longer than action_deadline
  Duration fence_deadline{};
  Duration arbitration_deadline{};
  Duration hand_over_deadline{};     // from released to the peer in command
  Duration planned_restart_grant{};  // what a planned restart asks for
  Duration confirm{};  // a verdict counts when the peer stayed unheard this long after it; zero:
                       // grant_us / 4
  int automatic_moves_max = 3;  // in automatic_moves_window, then automatic mode is off
  Duration automatic_moves_window{};
};

}  // namespace cb::core
