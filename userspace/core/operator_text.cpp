// SPDX-License-Identifier: Apache-2.0
//
// One line an operator can act on. The words for events follow the meaning of the reference's log,
// not its wording.
#include "core/state_text.h"

namespace cb::core {

std::string_view text_of(SubState sub) noexcept {
  switch (sub) {
    case SubState::None: return "";
    case SubState::Starting: return "starting: asking the peer before anything else";
    case SubState::WaitingForPeer:
      return "waiting for the peer; start it, or take command here with 'crossbeat failover'";
    case SubState::Alone: return "in command, without a standby";
    case SubState::Synchronizing: return "data is being brought into step";
    case SubState::Protected: return "in command, the standby is ready";
    case SubState::Degraded: return "in command, but the pair is not whole";
    case SubState::Ready: return "standing by, ready to take over";
    case SubState::NotReady: return "standing by, but could not take over now";
    case SubState::PeerSilentWaiting:
      return "the peer is silent, but it is not proved that it is down: waiting";
    case SubState::PeerSilentManual:
      return "the peer is silent, and taking over is left to you: 'crossbeat failover'";
    case SubState::Arbitrating: return "asking whether the peer is down or we are cut off";
    case SubState::GoingUp: return "taking command";
    case SubState::GoingDown: return "stepping down";
    case SubState::HandingOver: return "command is changing hands";
    case SubState::PeerInCommand: return "up; the peer is in command";
    case SubState::Stopping: return "stopping on purpose";
    case SubState::PeerStopped:
      return "the peer was stopped on purpose; take command with 'crossbeat failover' if it stays "
             "away";
    case SubState::Conflict: return "both nodes served the address; this one is yielding";
    case SubState::OperatorNeeded:
      return "cannot decide alone: an operator must look at both nodes";
  }
  return "";
}

std::string_view text_of(Reason reason) noexcept {
  switch (reason) {
    case Reason::None: return "";
    case Reason::Unpaired: return "there is no pairing; pair with 'crossbeat pair'";
    case Reason::ColdStart: return "both nodes are starting, or nobody was in command";
    case Reason::PeerSilent: return "the peer answers on no link";
    case Reason::PeerMonitorStale: return "the peer's kernel answers, but its monitor does not run";
    case Reason::PeerReleased: return "the peer handed command over";
    case Reason::PeerInCommand: return "the peer is in command";
    case Reason::PeerHigherTerm: return "the peer serves in a newer term";
    case Reason::PeerGoodbye: return "the peer was stopped on purpose";
    case Reason::PeerCameBack: return "the peer answers again";
    case Reason::OperatorSwitchover: return "an operator asked for a switchover";
    case Reason::OperatorFailover: return "an operator asked for a failover";
    case Reason::OperatorFailback: return "an operator asked for a failback";
    case Reason::OperatorForced: return "an operator forced it and accepted the named risk";
    case Reason::AutomaticFailback: return "automatic failback: the primary is back and in step";
    case Reason::ServicesFailed:
      return "services are down and did not come back by restarting them";
    case Reason::NetworkLost: return "the service interface or its gateway does not answer here";
    case Reason::Isolated:
      return "our gateway does not answer: this node may be the one that is cut off";
    case Reason::AddressDefended: return "somebody answers for the virtual address";
    case Reason::NoArbitration:
      return "arbitration refused or gave no answer; see 'crossbeat doctor'";
    case Reason::FenceFailed:
      return "the fence did not confirm that the peer is down; check its device";
    case Reason::StaleData: return "the peer may have gone on without us: data here may be old";
    case Reason::CatchingUp: return "data here is still being brought into step";
    case Reason::VolumeFailed: return "the volume failed; see 'crossbeat doctor'";
    case Reason::LadderFailed: return "a step of the last move failed; see 'crossbeat events'";
    case Reason::HandOverTimedOut: return "the peer did not take command in time";
    case Reason::ManualMode: return "failover is manual";
    case Reason::Maintenance: return "maintenance is on: nothing moves by itself";
    case Reason::HoldDown: return "too soon after the last move (hold-down); wait, or use --force";
    case Reason::FlapLimit:
      return "too many automatic moves: automatic mode is off until an operator sets it again";
    case Reason::LedgerProves: return "the ledger proves that the peer cannot have served since";
    case Reason::LedgerFailed:
      return "the ledger cannot be written; check the disk of /var/lib/crossbeat";
    case Reason::GracefulStop: return "this node is being stopped or restarted on purpose";
    case Reason::SelfStalled: return "this node itself did not run for a while";
    case Reason::Unpairing: return "the pairing is being removed";
    case Reason::Busy: return "another move is running; try again when it has ended";
    case Reason::AlreadyInCommand: return "this node is in command already";
    case Reason::PeerYielding:
      return "the peer still serves in an older term; it yields when it hears of the newer one";
    case Reason::PeerWasSolo:
      return "when last heard, the peer needed no lease of this node: it may still serve";
    case Reason::EarlierGrant:
      return "the standby restarted a moment ago: it takes over from a dead peer only when every "
             "grant from before is over";
    case Reason::PeerUnheard: return "the peer has not said yet what it is";
  }
  return "";
}

std::string_view text_of(Report report) noexcept {
  switch (report) {
    case Report::None: return "";
    case Report::StateChanged: return "state changed";
    case Report::FailoverInvoked: return "failover begins: command leaves the primary instance";
    case Report::FailoverReconfiguring: return "failover: opening the instance's data here";
    case Report::FailoverStartingServices: return "starting the instance's services here";
    case Report::FailoverComplete: return "failover complete: this instance is served here";
    case Report::FailoverGivenUp:
      return "takeover given up: it could not be proved that the peer is down";
    case Report::FailbackInvoked: return "failback begins: data returns to the primary";
    case Report::FailbackComplete: return "failback complete: the primary is in command again";
    case Report::HeartbeatsUp: return "heartbeats are up";
    case Report::HeartbeatsDown: return "heartbeats are down on all links";
    case Report::LinkDown: return "a link to the peer is silent";
    case Report::LinkUp: return "a link to the peer answers";
    case Report::SynchronizationStarted: return "bringing data into step began";
    case Report::Active: return "active: this node is in command";
    case Report::WentSolo: return "serving without the peer's lease";
    case Report::LeftSolo: return "serving under the peer's lease again";
    case Report::ConflictSeen: return "ALARM: somebody else uses the virtual address";
    case Report::Yielded: return "yielded: the peer serves in a newer term";
    case Report::AutomaticModeOff: return "ALARM: too many automatic moves, automatic mode is off";
    case Report::MarkedStale: return "marked stale: not eligible until data is in step";
    case Report::PeerStoppedGracefully: return "the peer was stopped on purpose";
    case Report::HandOverRefused: return "handing over was refused";
    case Report::OperatorRefused: return "refused";
    case Report::LadderRungFailed: return "a step of the move failed";
    case Report::SelfStalled: return "this monitor did not run for a while";
    case Report::ArbitrationSaid: return "arbitration answered";
    case Report::MaintenanceOn: return "maintenance is on";
    case Report::MaintenanceOff: return "maintenance is off";
  }
  return "";
}

std::string_view text_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Granted: return "the peer is down, as far as can be known";
    case Verdict::Isolated: return "our gateway does not answer";
    case Verdict::Defended: return "somebody answers for the virtual address";
    case Verdict::Refused: return "the witness stands by the peer";
    case Verdict::Unavailable: return "no answer";
  }
  return "";
}

}  // namespace cb::core
