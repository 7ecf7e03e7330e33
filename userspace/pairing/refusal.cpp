// SPDX-License-Identifier: Apache-2.0
#include "pairing/refusal.h"

namespace cb::pairing {
namespace {

constexpr int kFailed = 1;
constexpr int kByRule = 4;
constexpr int kTimedOut = 5;

struct Words {
  std::string_view name;
  int exit_code;
  std::string_view what;  // %p: the peer's address
  std::string_view next;
};

constexpr std::string_view kSameVersion =
    "install the same Crossbeat version on both nodes, then pair again";
constexpr std::string_view kNewCode =
    "run `crossbeat pairing-code` on the secondary and pair again with the code it shows";
constexpr std::string_view kCheckVirtual =
    "correct [virtual] address in this node's crossbeat.toml, restart the monitor, then pair again";
constexpr std::string_view kCheckAddresses =
    "correct [network] address in crossbeat.toml of the node that is wrong: both health monitor "
    "addresses and the virtual address must be different addresses of one subnet";
constexpr std::string_view kReach =
    "check that the monitor runs there (`crossbeat status`), that the address is the secondary's "
    "health monitor address, and that no firewall blocks the port (TCP and UDP, [network] port)";

Words words_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::None: return {"none", 0, "", ""};
    case Refusal::Malformed:
      return {
          "malformed", kFailed, "%p does not speak Crossbeat's pairing protocol",
          "check the address and [network] port: they must be those of the other node's monitor"};
    case Refusal::Protocol:
      return {"protocol", kByRule, "this node and %p have no pairing protocol in common",
              kSameVersion};
    case Refusal::SoftwareVersion:
      return {"software-version", kByRule, "this node and %p run different software versions",
              kSameVersion};
    case Refusal::PeerNotSecondary:
      return {
          "peer-not-secondary", kByRule, "%p is not a secondary",
          "give the health monitor address of the secondary; a node's role is [node] role in its "
          "crossbeat.toml"};
    case Refusal::SelfNotPrimary:
      return {"self-not-primary", kByRule, "this node is not a primary",
              "run `crossbeat pair` on the primary; a secondary only shows a code (`crossbeat "
              "pairing-code`)"};
    case Refusal::SameNode:
      return {"same-node", kByRule, "%p is this node's own health monitor address",
              "give the health monitor address of the secondary"};
    case Refusal::AddressFamily:
      return {"address-family", kByRule,
              "the health monitor addresses of this node and %p are not of one family (IPv4, IPv6)",
              kCheckAddresses};
    case Refusal::NotSameSubnet:
      return {"not-same-subnet", kByRule,
              "the health monitor addresses of this node and %p are not in one subnet",
              kCheckAddresses};
    case Refusal::NoVirtualAddress:
      return {"no-virtual-address", kByRule, "the primary has no virtual address to protect",
              kCheckVirtual};
    case Refusal::VirtualIsHealth:
      return {"virtual-is-health", kByRule,
              "a virtual address is the same as a node's health monitor address", kCheckVirtual};
    case Refusal::VirtualNotInSubnet:
      return {"virtual-not-in-subnet", kByRule,
              "a virtual address is not in the subnet of both nodes' network interfaces",
              kCheckVirtual};
    case Refusal::VirtualInUse:
      return {"virtual-in-use", kByRule,
              "%p already protects one of the virtual addresses for another primary",
              kCheckVirtual};
    case Refusal::SourceAddress:
      return {"source-address", kByRule,
              "%p sees this node under another address than its health monitor address",
              "the two nodes must reach each other without address translation; check [network] "
              "address on both"};
    case Refusal::TargetAddress:
      return {"target-address", kByRule, "%p is not the other node's health monitor address",
              "give the address that `crossbeat status` on the secondary shows as health monitor "
              "address"};
    case Refusal::NoCode:
      return {"no-code", kByRule, "%p has no pairing code at the moment, or it is over or used up",
              kNewCode};
    case Refusal::WrongCode:
      return {"wrong-code", kByRule,
              "the code is not the one that %p shows (or somebody alters messages on the network)",
              "compare the code with the one on the secondary's screen and try again; after three "
              "failed tries the secondary needs a new one (`crossbeat pairing-code`)"};
    case Refusal::Capacity:
      return {"capacity", kByRule, "%p already has as many primaries as it can take",
              "unpair one of them (`crossbeat unpair` on that primary) or use another secondary"};
    case Refusal::Busy:
      return {"busy", kFailed, "%p is busy with other connections", "try again in a minute"};
    case Refusal::SaveFailed:
      return {"save-failed", kFailed, "%p could not save the pairing",
              "look at the secondary's log (health-monitor.log), make room on its disk, then pair "
              "again with a new code"};
    case Refusal::NotNow:
      return {
          "not-now", kByRule, "%p refuses in its present state",
          "look at `crossbeat status` on the other node; let it finish what it is doing, then try "
          "again"};
    case Refusal::UnknownPairing:
      return {"unknown-pairing", kFailed, "%p does not know this pairing",
              "remove it here with `crossbeat unpair`, then pair again"};
    case Refusal::BadMac:
      return {"bad-mac", kFailed,
              "%p has another key for this pairing, or somebody alters messages on the network",
              "remove the pairing on both nodes with `crossbeat unpair`, then pair again"};
    case Refusal::Unreachable: return {"unreachable", kFailed, "%p cannot be reached", kReach};
    case Refusal::TimedOut: return {"timed-out", kTimedOut, "%p did not answer in time", kReach};
    case Refusal::Disconnected:
      return {"disconnected", kFailed, "%p closed the connection",
              "look at the log of the other node (health-monitor.log), then try again"};
    case Refusal::OwnSaveFailed:
      return {
          "own-save-failed", kFailed, "this node could not save the pairing",
          "look at this node's log (health-monitor.log), make room on its disk, then pair again "
          "with a new code"};
    case Refusal::BadCode:
      return {"bad-code", kFailed, "the code cannot be right",
              "type it again as the secondary shows it"};
    case Refusal::BadIdentity:
      return {"bad-identity", kByRule, "this node's own settings cannot be paired with",
              "run `crossbeat config check` and correct what it names"};
    case Refusal::AlreadyPaired:
      return {"already-paired", kByRule, "this primary is paired with another secondary",
              "a primary has one secondary: run `crossbeat unpair` first"};
    case Refusal::NoOwnAddress:
      return {"no-own-address", kFailed, "this node does not have its health monitor address",
              "check that the network interface is up and has the address of [network] address"};
    case Refusal::Platform:
      return {"platform", kByRule, "this node and %p are not machines that may be a pair",
              "use a secondary that the rules allow; they are in platforms.toml (docs/"
              "configuration.md, Platforms), and a machine's model is [product] model"};
    case Refusal::Together:
      return {"together", kByRule, "the secondary may not take this primary besides its others",
              "use another secondary, or unpair one of its primaries; the rules are in "
              "platforms.toml ([[together]])"};
    case Refusal::PlatformRules:
      return {"platform-rules", kByRule,
              "the rules about machines that may be a pair cannot be read",
              "run `crossbeat config check` on both nodes and correct platforms.toml where it "
              "names it, then `crossbeat restart` there"};
    case Refusal::NotNeighbours:
      return {"not-neighbours", kByRule,
              "this node and %p do not reach each other directly (no answer to ARP)",
              "put both nodes' network interfaces into one layer-2 network: the same VLAN, no "
              "router and no isolation of ports between them"};
    case Refusal::VirtualAnswered:
      return {"virtual-answered", kByRule, "another machine has one of the virtual addresses",
              "find the machine with this address and give it another one, or correct [virtual] "
              "address in the primary's crossbeat.toml"};
    case Refusal::PrimaryLicence:
      return {"primary-licence", kByRule, "the primary is not activated",
              "run `crossbeat licence add FILE` on the primary, with the licence that the maker "
              "gave you for it, then pair again"};
    case Refusal::SecondaryLicence:
      return {"secondary-licence", kByRule, "the secondary is not activated",
              "run `crossbeat licence add FILE` on the secondary, with the licence that the maker "
              "gave you for it, then pair again"};
    case Refusal::NothingToRecover:
      return {"nothing-to-recover", kByRule, "%p has no pairing with this node's address",
              "give this node the health-monitor address that it had; `crossbeat status` on the "
              "secondary names its primaries"};
  }
  return {"unknown", kFailed, "the reason is not known", "try again"};
}

}  // namespace

std::string_view name_of(Refusal refusal) { return words_of(refusal).name; }

Failure failure_of(Refusal refusal, std::string_view peer, std::string_view detail) {
  const Words words = words_of(refusal);
  Failure failure;
  failure.refusal = refusal;
  failure.exit_code = words.exit_code;
  failure.next = words.next;
  failure.what = words.what;
  if (const auto at = failure.what.find("%p"); at != std::string::npos) {
    failure.what.replace(at, 2, peer);
  }
  if (!detail.empty()) {
    failure.what += ": ";
    failure.what += detail;
  }
  return failure;
}

}  // namespace cb::pairing
