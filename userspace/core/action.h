// SPDX-License-Identifier: Apache-2.0
// action.h - every wish of the core. The agent starts each at its edge, in order; each that
// "answers" is answered by exactly one event (ActionDone or ArbitrationDone) with the same id, also
// when it failed or timed out.
#pragma once

#include "base/fixed_list.h"
#include "core/types.h"

namespace cb::core {

using ActionId = uint32_t;  // unique within a monitor's life; 0 is none

enum class ActionKind : uint8_t {
  None,
  PersistLedger,  // write `ledger` durably; answers. Never more than one is outstanding
  Arbitrate,  // ask whether the peer is dead or we are cut off; `term`: the one we would serve in
              // (witness). Also asked by the node that holds the address: "defended" means by
              // somebody else. Answers with ArbitrationDone
  CancelArbitration,  // withdraws the question, and at a witness the grant that it gave; no answer
  Burst,              // probe now, on all links
  Report,             // one entry of the event log: `report`, `value`; no answer
  // up ladder; each answers
  ClaimTerm,  // `term` is claimed: within the reservation it is only published; the ledger follows
  Fence,
  CloseLease,  // stop granting; done when the last grant has run out plus the drift margin of the
               // longest grant that may be running: `value` microseconds (lease_closed_at)
  AddAddress,
  OpenGuard,  // `guard`: Leased or Solo
  Announce,
  PromoteVolume,
  MountVolume,
  StartServices,
  // down ladder; each answers
  StopServices,
  UnmountVolume,
  DemoteVolume,  // on the way to a hand-over it fails unless the peer holds everything
  CloseGuard,
  RemoveAddress,
  // data
  Resync,  // bring this node's volume into step with the node in command; answered by Volume*
           // events
  // end
  Exit,  // graceful stop is complete: the process may end
};
inline constexpr int kActionKinds = static_cast<int>(ActionKind::Exit) + 1;

// Entries of the event log that the core reports. Texts: core/state_text.h (our wording of the
// reference's events).
enum class Report : uint8_t {
  None,
  StateChanged,  // value: from << 8 | to
  FailoverInvoked,
  FailoverReconfiguring,
  FailoverStartingServices,
  FailoverComplete,
  FailoverGivenUp,
  FailbackInvoked,
  FailbackComplete,
  HeartbeatsUp,
  HeartbeatsDown,
  LinkDown,
  LinkUp,
  SynchronizationStarted,
  Active,
  WentSolo,
  LeftSolo,
  ConflictSeen,  // alarm
  Yielded,
  AutomaticModeOff,  // alarm: flap limit
  MarkedStale,
  PeerStoppedGracefully,
  HandOverRefused,   // value: Reason
  OperatorRefused,   // value: Reason
  LadderRungFailed,  // value: ActionKind << 16 | errno
  SelfStalled,
  ArbitrationSaid,  // value: Verdict
  MaintenanceOn,
  MaintenanceOff,
};

struct Action {
  ActionKind kind = ActionKind::None;
  ActionId id = 0;
  GuardMode guard = GuardMode::Closed;
  Report report = Report::None;
  Reason reason = Reason::None;
  uint64_t term = 0;
  uint64_t value = 0;
  Duration deadline{};    // the edge answers ETIMEDOUT after it
  LedgerRecord ledger{};  // PersistLedger
};

inline constexpr int kActionsMax = 24;
using Actions = FixedList<Action, kActionsMax>;

}  // namespace cb::core
