// SPDX-License-Identifier: Apache-2.0
#include "core/step.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "bpf/crossbeat_wire.h"
#include "core/work.h"

namespace cb::core {
namespace {

// Somebody else says that our address is his. With the peer it is settled by terms (weigh); a
// stranger is an alarm, and our announcement repeats what is true.
void on_conflict_in_command(Work& w) noexcept {
  State& s = w.s;
  if (s.conflict_said_at != Instant{} && w.now < s.conflict_said_at + kAlarmPause) {
    return;
  }
  s.conflict_said_at = w.now;
  report(w, Report::ConflictSeen);
  announce_again(w);
}

bool climbs_on_proof(const State& s) noexcept {
  return is_climbing(s) && s.solo != SoloBasis::None && s.solo != SoloBasis::Unpaired &&
         s.solo != SoloBasis::Forced;
}

// While climbing alone, an answer for the address means that the proof of silence was wrong.
void on_conflict_while_climbing(Work& w) noexcept {
  if (climbs_on_proof(w.s)) {
    report(w, Report::ConflictSeen);
    give_up_climb(w, Reason::AddressDefended);
  }
}

// We did not run: what we proved before may have changed under us.
void on_stall(Work& w) noexcept {
  if (climbs_on_proof(w.s)) {
    give_up_climb(w, Reason::SelfStalled);
  }
}

// PRIMARY_ACTIVE, FAILOVER_ACTIVE, FAILBACK_COMPLETE
void on_command(Work& w) noexcept {
  switch (w.e.kind) {
    case EventKind::ActionDone: on_rung_answered(w); return;
    case EventKind::AddressConflict: on_conflict_in_command(w); return;
    case EventKind::OperatorSwitchover:
    case EventKind::OperatorFailback: ask_for_move(w); return;
    case EventKind::OperatorFailover: ask_for_failover(w); return;
    case EventKind::OperatorUnpair: unpair(w); return;
    case EventKind::ShutdownRequested: ask_to_stop(w); return;
    // Facts: absorbed, and weighed below.
    case EventKind::Started:
    case EventKind::Tick:
    case EventKind::PeerHeard:
    case EventKind::LinkSilent:
    case EventKind::LinkAnswered:
    case EventKind::PeerSuspect:
    case EventKind::PeerSilent:
    case EventKind::PeerAnswered:
    case EventKind::PeerMonitorStale:
    case EventKind::PeerMonitorFresh:
    case EventKind::SelfStalled:
    case EventKind::ArbitrationDone:
    case EventKind::ServicesUp:
    case EventKind::ServicesDown:
    case EventKind::NetworkUp:
    case EventKind::NetworkDown:
    case EventKind::VolumeInStep:
    case EventKind::VolumeFellBehind:
    case EventKind::VolumeProgress:
    case EventKind::VolumeFailed:
    case EventKind::OperatorMaintenance:
    case EventKind::OperatorFailoverType:
    case EventKind::OperatorFailbackType: return;
  }
}

// TERMINATED, SECONDARY_ACTIVE, SECONDARY_ALONE, GRACEFUL_SHUTDOWN; a cold start climbs from here
void on_standby(Work& w) noexcept {
  switch (w.e.kind) {
    case EventKind::ActionDone: on_rung_answered(w); return;
    case EventKind::SelfStalled: on_stall(w); return;
    case EventKind::AddressConflict: on_conflict_while_climbing(w); return;
    case EventKind::OperatorSwitchover:
    case EventKind::OperatorFailback: ask_for_move(w); return;
    case EventKind::OperatorFailover: ask_for_failover(w); return;
    case EventKind::OperatorUnpair: unpair(w); return;
    case EventKind::ShutdownRequested: ask_to_stop(w); return;
    // Facts: absorbed, and weighed below.
    case EventKind::Started:
    case EventKind::Tick:
    case EventKind::PeerHeard:
    case EventKind::LinkSilent:
    case EventKind::LinkAnswered:
    case EventKind::PeerSuspect:
    case EventKind::PeerSilent:
    case EventKind::PeerAnswered:
    case EventKind::PeerMonitorStale:
    case EventKind::PeerMonitorFresh:
    case EventKind::ArbitrationDone:
    case EventKind::ServicesUp:
    case EventKind::ServicesDown:
    case EventKind::NetworkUp:
    case EventKind::NetworkDown:
    case EventKind::VolumeInStep:
    case EventKind::VolumeFellBehind:
    case EventKind::VolumeProgress:
    case EventKind::VolumeFailed:
    case EventKind::OperatorMaintenance:
    case EventKind::OperatorFailoverType:
    case EventKind::OperatorFailbackType: return;
  }
}

// FAILOVER_INVOKED, FAILBACK_ACTIVE: a move is running, and another has to wait for its end
void on_move(Work& w) noexcept {
  switch (w.e.kind) {
    case EventKind::ActionDone: on_rung_answered(w); return;
    case EventKind::SelfStalled: on_stall(w); return;
    case EventKind::AddressConflict:
      w.s.in_command ? on_conflict_in_command(w) : on_conflict_while_climbing(w);
      return;
    case EventKind::OperatorSwitchover:
    case EventKind::OperatorFailback:
    case EventKind::OperatorFailover:
    case EventKind::OperatorUnpair: refuse(w, Reason::Busy); return;
    case EventKind::ShutdownRequested: ask_to_stop(w); return;
    // Facts: absorbed, and weighed below.
    case EventKind::Started:
    case EventKind::Tick:
    case EventKind::PeerHeard:
    case EventKind::LinkSilent:
    case EventKind::LinkAnswered:
    case EventKind::PeerSuspect:
    case EventKind::PeerSilent:
    case EventKind::PeerAnswered:
    case EventKind::PeerMonitorStale:
    case EventKind::PeerMonitorFresh:
    case EventKind::ArbitrationDone:
    case EventKind::ServicesUp:
    case EventKind::ServicesDown:
    case EventKind::NetworkUp:
    case EventKind::NetworkDown:
    case EventKind::VolumeInStep:
    case EventKind::VolumeFellBehind:
    case EventKind::VolumeProgress:
    case EventKind::VolumeFailed:
    case EventKind::OperatorMaintenance:
    case EventKind::OperatorFailoverType:
    case EventKind::OperatorFailbackType: return;
  }
}

// Before the ledger is known nothing can be promised, neither to the peer nor to an operator.
void on_unknown(Work& w) noexcept {
  switch (w.e.kind) {
    case EventKind::Started: begin(w); return;
    case EventKind::OperatorSwitchover:
    case EventKind::OperatorFailback:
    case EventKind::OperatorFailover:
    case EventKind::OperatorUnpair: refuse(w, Reason::ColdStart); return;
    case EventKind::ShutdownRequested: ask_to_stop(w); return;
    // Facts: absorbed, and weighed once it is known.
    case EventKind::Tick:
    case EventKind::PeerHeard:
    case EventKind::LinkSilent:
    case EventKind::LinkAnswered:
    case EventKind::PeerSuspect:
    case EventKind::PeerSilent:
    case EventKind::PeerAnswered:
    case EventKind::PeerMonitorStale:
    case EventKind::PeerMonitorFresh:
    case EventKind::SelfStalled:
    case EventKind::ArbitrationDone:
    case EventKind::ActionDone:
    case EventKind::ServicesUp:
    case EventKind::ServicesDown:
    case EventKind::NetworkUp:
    case EventKind::NetworkDown:
    case EventKind::VolumeInStep:
    case EventKind::VolumeFellBehind:
    case EventKind::VolumeProgress:
    case EventKind::VolumeFailed:
    case EventKind::AddressConflict:
    case EventKind::OperatorMaintenance:
    case EventKind::OperatorFailoverType:
    case EventKind::OperatorFailbackType: return;
  }
}

void on_event(Work& w) noexcept {
  if (!w.s.ledger_known) {
    on_unknown(w);
    return;
  }
  switch (w.s.name) {
    case StateName::PrimaryActive:
    case StateName::FailoverActive:
    case StateName::FailbackComplete: on_command(w); return;
    case StateName::Terminated:
    case StateName::SecondaryActive:
    case StateName::SecondaryAlone:
    case StateName::GracefulShutdown: on_standby(w); return;
    case StateName::FailoverInvoked:
    case StateName::FailbackActive: on_move(w); return;
  }
}

// One ladder may end in a step and another begin; more than that is a bug in the rules.
constexpr int kLaddersInAStep = 4;
constexpr int kWeighings = 4;

void weigh_once(Work& w) noexcept {
  State& s = w.s;
  if (s.ladder != Ladder::None) {
    weigh_ladder(w);
  }
  const bool leaving = s.stopping || s.restarting || s.unpairing;
  if (s.in_command) {
    weigh_command(w);
  } else if (s.ladder == Ladder::None && (!leaving || s.intent == CB_INTENT_HAND_OVER)) {
    weigh_standby(w);
  }
  if (s.stopping || s.restarting) {
    weigh_stop(w);
  } else if (s.unpairing) {
    weigh_unpairing(w);
  }
}

// What a rule leaves behind may be what another waits for, and the next event may be long in
// coming.
void weigh_all(Work& w) noexcept {
  const auto position = [&] {
    return std::array<int, 6>{static_cast<int>(w.s.name),   static_cast<int>(w.s.sub),
                              static_cast<int>(w.s.ladder), static_cast<int>(w.s.goal),
                              static_cast<int>(w.s.guard),  static_cast<int>(w.s.intent)};
  };
  for (int i = 0; i < kWeighings; ++i) {
    const auto before = position();
    weigh_once(w);
    if (position() == before || w.s.exited) {
      return;
    }
  }
}

void weigh(Work& w) noexcept {
  int ladders = 0;
  do {
    CB_CHECK(ladders++ < kLaddersInAStep);
    weigh_all(w);
  } while (!w.s.exited && walk(w));
}

}  // namespace

State initial(const Settings& settings) noexcept {
  State s;
  s.settings = settings;
  s.reason = settings.paired ? Reason::ColdStart : Reason::Unpaired;
  s.in_step = !settings.has_volume;
  return s;
}

Step step(const State& state, const Event& event, Instant now) noexcept {
  Work w{state, event, std::max(now, state.now), {}};
  if (!state.exited) {
    w.s.now = w.now;
    absorb(w);
    on_event(w);
    // What we know is of before the stall. The news of the peer, or a Tick, comes at once.
    w.s.unweighed = event.kind == EventKind::SelfStalled;
    if (w.s.ledger_known && !w.s.unweighed) {
      weigh(w);
      refine(w);
      keep_ledger(w);
    }
  }
  CB_CHECK_MSG(w.s.term >= state.term, "a term went back");
  invariants(w.s);
  return Step{w.s, w.actions};
}

}  // namespace cb::core
