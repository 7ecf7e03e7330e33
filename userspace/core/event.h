// SPDX-License-Identifier: Apache-2.0
// event.h - everything from outside becomes an event; step() sees nothing else. Flat and trivially
// copyable: events print, compare, are kept by the recorder and are made from bytes by the fuzzer.
#pragma once

#include "core/action.h"
#include "core/types.h"

namespace cb::core {

enum class EventKind : uint8_t {
  Started,  // first event ever: `ledger`, and `granted_until` from the pinned maps (or never having
            // granted: zero);
            //   `kept_running` when the programs and the address survived (a monitor restart in the
            //   same boot); then `guard` is what the kernel still has, and `value` the term of the
            //   kept facts if they say SERVING
  Tick,     // next_deadline() has come
  PeerHeard,         // `peer`: its facts changed, or were heard again after silence
  LinkSilent,        // `link`: detector's verdict
  LinkAnswered,      // `link`
  PeerSuspect,       // probes overdue on some link, not yet silence: arbitration may be asked ahead
  PeerSilent,        // silent on all configured links
  PeerAnswered,      // the peer's kernel answers again on some link
  PeerMonitorStale,  // its kernel answers; its monitor's age is past its grace (its guard has
                     // closed a leased address)
  PeerMonitorFresh,
  SelfStalled,      // `span`: our own loop did not run for this long
  ArbitrationDone,  // `verdict`, `action` id of the question
  ActionDone,       // `action` id, `kind`, `error` (0 or errno; ETIMEDOUT when late)
  ServicesUp,       // health of our services (only meaningful while they should run)
  ServicesDown,     //   after the local restarts
  NetworkUp,        // service interface has carrier and gateway answers
  NetworkDown,
  VolumeInStep,  // standing by: with the node in command; in command: the standby is in step with
                 // us
  VolumeFellBehind,     // ... and the opposite. After Started the edge says how things stand
  VolumeProgress,       // `value` permille
  VolumeFailed,         // `error`
  AddressConflict,      // somebody else announces or answers for our virtual address
  OperatorSwitchover,   // hand command over to the peer (either node may be asked)
  OperatorFailover,     // take command here; `force` accepts a named risk
  OperatorFailback,     // give command back to the primary; `force` skips hold-down
  OperatorMaintenance,  // `on`
  OperatorUnpair,
  OperatorFailoverType,  // `on`: automatic
  OperatorFailbackType,  // `on`: automatic
  ShutdownRequested,  // graceful stop of this node's monitor; `on`: planned restart (keep serving,
                      // ask for a long grant)
};
inline constexpr int kEventKinds = static_cast<int>(EventKind::ShutdownRequested) + 1;

struct Event {
  EventKind kind = EventKind::Tick;
  Link link = Link::Direct;
  Verdict verdict = Verdict::Granted;
  ActionKind action_kind = ActionKind::None;
  ActionId action = 0;
  int error = 0;
  bool on = false;
  bool force = false;
  bool kept_running = false;
  GuardMode guard = GuardMode::Closed;
  uint64_t value = 0;
  Duration span{};
  Instant granted_until{};
  PeerFacts peer{};
  LedgerRecord ledger{};
};

}  // namespace cb::core
