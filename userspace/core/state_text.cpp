// SPDX-License-Identifier: Apache-2.0
#include "core/state_text.h"

namespace cb::core {

std::string_view name_of(StateName name) noexcept {
  switch (name) {
    case StateName::Terminated: return "TERMINATED";
    case StateName::PrimaryActive: return "PRIMARY_ACTIVE";
    case StateName::SecondaryActive: return "SECONDARY_ACTIVE";
    case StateName::FailoverInvoked: return "FAILOVER_INVOKED";
    case StateName::FailoverActive: return "FAILOVER_ACTIVE";
    case StateName::FailbackActive: return "FAILBACK_ACTIVE";
    case StateName::FailbackComplete: return "FAILBACK_COMPLETE";
    case StateName::SecondaryAlone: return "SECONDARY_ALONE";
    case StateName::GracefulShutdown: return "GRACEFUL_SHUTDOWN";
  }
  return "UNKNOWN";
}

std::string_view name_of(SubState sub) noexcept {
  switch (sub) {
    case SubState::None: return "none";
    case SubState::Starting: return "starting";
    case SubState::WaitingForPeer: return "waiting-for-peer";
    case SubState::Alone: return "alone";
    case SubState::Synchronizing: return "synchronizing";
    case SubState::Protected: return "protected";
    case SubState::Degraded: return "degraded";
    case SubState::Ready: return "ready";
    case SubState::NotReady: return "not-ready";
    case SubState::PeerSilentWaiting: return "peer-silent-waiting";
    case SubState::PeerSilentManual: return "peer-silent-manual";
    case SubState::Arbitrating: return "arbitrating";
    case SubState::GoingUp: return "going-up";
    case SubState::GoingDown: return "going-down";
    case SubState::HandingOver: return "handing-over";
    case SubState::PeerInCommand: return "peer-in-command";
    case SubState::Stopping: return "stopping";
    case SubState::PeerStopped: return "peer-stopped";
    case SubState::Conflict: return "conflict";
    case SubState::OperatorNeeded: return "operator-needed";
  }
  return "unknown";
}

std::string_view name_of(Reason reason) noexcept {
  switch (reason) {
    case Reason::None: return "none";
    case Reason::Unpaired: return "unpaired";
    case Reason::ColdStart: return "cold-start";
    case Reason::PeerSilent: return "peer-silent";
    case Reason::PeerMonitorStale: return "peer-monitor-stale";
    case Reason::PeerReleased: return "peer-released";
    case Reason::PeerInCommand: return "peer-in-command";
    case Reason::PeerHigherTerm: return "peer-higher-term";
    case Reason::PeerGoodbye: return "peer-goodbye";
    case Reason::PeerCameBack: return "peer-came-back";
    case Reason::OperatorSwitchover: return "operator-switchover";
    case Reason::OperatorFailover: return "operator-failover";
    case Reason::OperatorFailback: return "operator-failback";
    case Reason::OperatorForced: return "operator-forced";
    case Reason::AutomaticFailback: return "automatic-failback";
    case Reason::ServicesFailed: return "services-failed";
    case Reason::NetworkLost: return "network-lost";
    case Reason::Isolated: return "isolated";
    case Reason::AddressDefended: return "address-defended";
    case Reason::NoArbitration: return "no-arbitration";
    case Reason::FenceFailed: return "fence-failed";
    case Reason::StaleData: return "stale-data";
    case Reason::CatchingUp: return "catching-up";
    case Reason::VolumeFailed: return "volume-failed";
    case Reason::LadderFailed: return "ladder-failed";
    case Reason::HandOverTimedOut: return "hand-over-timed-out";
    case Reason::ManualMode: return "manual-mode";
    case Reason::Maintenance: return "maintenance";
    case Reason::HoldDown: return "hold-down";
    case Reason::FlapLimit: return "flap-limit";
    case Reason::LedgerProves: return "ledger-proves";
    case Reason::LedgerFailed: return "ledger-failed";
    case Reason::GracefulStop: return "graceful-stop";
    case Reason::SelfStalled: return "self-stalled";
    case Reason::Unpairing: return "unpairing";
    case Reason::Busy: return "busy";
    case Reason::AlreadyInCommand: return "already-in-command";
    case Reason::PeerYielding: return "peer-yielding";
    case Reason::PeerWasSolo: return "peer-was-solo";
    case Reason::EarlierGrant: return "earlier-grant";
    case Reason::PeerUnheard: return "peer-unheard";
  }
  return "unknown";
}

std::string_view name_of(Report report) noexcept {
  switch (report) {
    case Report::None: return "none";
    case Report::StateChanged: return "state-changed";
    case Report::FailoverInvoked: return "failover-invoked";
    case Report::FailoverReconfiguring: return "failover-reconfiguring";
    case Report::FailoverStartingServices: return "failover-starting-services";
    case Report::FailoverComplete: return "failover-complete";
    case Report::FailoverGivenUp: return "failover-given-up";
    case Report::FailbackInvoked: return "failback-invoked";
    case Report::FailbackComplete: return "failback-complete";
    case Report::HeartbeatsUp: return "heartbeats-up";
    case Report::HeartbeatsDown: return "heartbeats-down";
    case Report::LinkDown: return "link-down";
    case Report::LinkUp: return "link-up";
    case Report::SynchronizationStarted: return "synchronization-started";
    case Report::Active: return "active";
    case Report::WentSolo: return "went-solo";
    case Report::LeftSolo: return "left-solo";
    case Report::ConflictSeen: return "conflict-seen";
    case Report::Yielded: return "yielded";
    case Report::AutomaticModeOff: return "automatic-mode-off";
    case Report::MarkedStale: return "marked-stale";
    case Report::PeerStoppedGracefully: return "peer-stopped-gracefully";
    case Report::HandOverRefused: return "hand-over-refused";
    case Report::OperatorRefused: return "operator-refused";
    case Report::LadderRungFailed: return "ladder-rung-failed";
    case Report::SelfStalled: return "self-stalled";
    case Report::ArbitrationSaid: return "arbitration-said";
    case Report::MaintenanceOn: return "maintenance-on";
    case Report::MaintenanceOff: return "maintenance-off";
  }
  return "unknown";
}

std::string_view name_of(Role role) noexcept {
  switch (role) {
    case Role::Primary: return "primary";
    case Role::Secondary: return "secondary";
  }
  return "unknown";
}

std::string_view name_of(Link link) noexcept {
  switch (link) {
    case Link::Direct: return "direct";
    case Link::Network: return "network";
  }
  return "unknown";
}

std::string_view name_of(GuardMode mode) noexcept {
  switch (mode) {
    case GuardMode::Closed: return "closed";
    case GuardMode::Leased: return "leased";
    case GuardMode::Solo: return "solo";
  }
  return "unknown";
}

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Granted: return "granted";
    case Verdict::Isolated: return "isolated";
    case Verdict::Defended: return "defended";
    case Verdict::Refused: return "refused";
    case Verdict::Unavailable: return "unavailable";
  }
  return "unknown";
}

std::string_view name_of(ActionKind kind) noexcept {
  switch (kind) {
    case ActionKind::None: return "none";
    case ActionKind::PersistLedger: return "persist-ledger";
    case ActionKind::Arbitrate: return "arbitrate";
    case ActionKind::CancelArbitration: return "cancel-arbitration";
    case ActionKind::Burst: return "burst";
    case ActionKind::Report: return "report";
    case ActionKind::ClaimTerm: return "claim-term";
    case ActionKind::Fence: return "fence";
    case ActionKind::CloseLease: return "close-lease";
    case ActionKind::AddAddress: return "add-address";
    case ActionKind::OpenGuard: return "open-guard";
    case ActionKind::Announce: return "announce";
    case ActionKind::PromoteVolume: return "promote-volume";
    case ActionKind::MountVolume: return "mount-volume";
    case ActionKind::StartServices: return "start-services";
    case ActionKind::StopServices: return "stop-services";
    case ActionKind::UnmountVolume: return "unmount-volume";
    case ActionKind::DemoteVolume: return "demote-volume";
    case ActionKind::CloseGuard: return "close-guard";
    case ActionKind::RemoveAddress: return "remove-address";
    case ActionKind::Resync: return "resync";
    case ActionKind::Exit: return "exit";
  }
  return "unknown";
}

std::string_view name_of(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::Started: return "started";
    case EventKind::Tick: return "tick";
    case EventKind::PeerHeard: return "peer-heard";
    case EventKind::LinkSilent: return "link-silent";
    case EventKind::LinkAnswered: return "link-answered";
    case EventKind::PeerSuspect: return "peer-suspect";
    case EventKind::PeerSilent: return "peer-silent";
    case EventKind::PeerAnswered: return "peer-answered";
    case EventKind::PeerMonitorStale: return "peer-monitor-stale";
    case EventKind::PeerMonitorFresh: return "peer-monitor-fresh";
    case EventKind::SelfStalled: return "self-stalled";
    case EventKind::ArbitrationDone: return "arbitration-done";
    case EventKind::ActionDone: return "action-done";
    case EventKind::ServicesUp: return "services-up";
    case EventKind::ServicesDown: return "services-down";
    case EventKind::NetworkUp: return "network-up";
    case EventKind::NetworkDown: return "network-down";
    case EventKind::VolumeInStep: return "volume-in-step";
    case EventKind::VolumeFellBehind: return "volume-fell-behind";
    case EventKind::VolumeProgress: return "volume-progress";
    case EventKind::VolumeFailed: return "volume-failed";
    case EventKind::AddressConflict: return "address-conflict";
    case EventKind::OperatorSwitchover: return "operator-switchover";
    case EventKind::OperatorFailover: return "operator-failover";
    case EventKind::OperatorFailback: return "operator-failback";
    case EventKind::OperatorMaintenance: return "operator-maintenance";
    case EventKind::OperatorUnpair: return "operator-unpair";
    case EventKind::OperatorFailoverType: return "operator-failover-type";
    case EventKind::OperatorFailbackType: return "operator-failback-type";
    case EventKind::ShutdownRequested: return "shutdown-requested";
  }
  return "unknown";
}

std::string_view name_of(Ladder ladder) noexcept {
  switch (ladder) {
    case Ladder::None: return "none";
    case Ladder::Up: return "up";
    case Ladder::Down: return "down";
  }
  return "unknown";
}

std::string_view name_of(Goal goal) noexcept {
  switch (goal) {
    case Goal::None: return "none";
    case Goal::TakeOver: return "take-over";
    case Goal::TakeHandOver: return "take-hand-over";
    case Goal::TakeBack: return "take-back";
    case Goal::ColdStart: return "cold-start";
    case Goal::Resume: return "resume";
    case Goal::FenceFirst: return "fence-first";
    case Goal::HandOver: return "hand-over";
    case Goal::Yield: return "yield";
    case Goal::Stop: return "stop";
    case Goal::Unpair: return "unpair";
    case Goal::CleanUp: return "clean-up";
  }
  return "unknown";
}

std::string_view name_of(SoloBasis basis) noexcept {
  switch (basis) {
    case SoloBasis::None: return "none";
    case SoloBasis::Unpaired: return "unpaired";
    case SoloBasis::Policy: return "policy";
    case SoloBasis::PeerBehind: return "peer-behind";
    case SoloBasis::Arbitration: return "arbitration";
    case SoloBasis::Goodbye: return "goodbye";
    case SoloBasis::PeerStale: return "peer-stale";
    case SoloBasis::Proof: return "proof";
    case SoloBasis::Forced: return "forced";
  }
  return "unknown";
}

}  // namespace cb::core
