// SPDX-License-Identifier: Apache-2.0
//
// Why a pairing, an unpairing or a call did not happen. Only the number crosses the wire: the words
// shown to an operator are always this node's own, never a text that a peer sent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cb::pairing {

// Numbers travel: append, never renumber.
enum class Refusal : std::uint8_t {
  None = 0,
  Malformed = 1,         // a message that is not one of ours, or not now
  Protocol = 2,          // no protocol version in common
  SoftwareVersion = 3,   // not the same software version
  PeerNotSecondary = 4,  // only a secondary takes a pairing
  SelfNotPrimary = 5,    // only a primary starts one
  SameNode = 6,          // both health monitor addresses are the same
  AddressFamily = 7,     // one health monitor address is IPv4, the other IPv6
  NotSameSubnet = 8,     // the health monitor addresses
  NoVirtualAddress = 9,
  VirtualIsHealth = 10,     // a virtual address equals a health monitor address
  VirtualNotInSubnet = 11,  // a virtual address outside the subnet of one of the nodes
  VirtualInUse = 12,        // a virtual address that another pairing of the secondary has
  SourceAddress = 13,       // the connection does not come from the address that the hello names
  TargetAddress = 14,       // the secondary's own address is not the one that was asked for
  NoCode = 15,              // the secondary shows no code, or it is over or used up
  WrongCode = 16,           // another code, or messages altered on their way
  Capacity = 17,            // the secondary has as many pairings as it can have
  Busy = 18,                // too many connections or attempts just now
  SaveFailed = 19,          // the secondary could not save the pairing
  NotNow = 20,              // the node refuses in its present state (the agent's decision)
  UnknownPairing = 21,      // a call about a pairing that the node does not have
  BadMac = 22,              // a call, commit or answer that is not authentic
  // Only ever found on this side:
  Unreachable = 23,
  TimedOut = 24,
  Disconnected = 25,
  OwnSaveFailed = 26,
  BadCode = 27,        // mistyped: the check character does not fit
  BadIdentity = 28,    // this node's own settings cannot be paired with
  AlreadyPaired = 29,  // this primary has another secondary
  NoOwnAddress = 30,   // this node does not have its health monitor address
  // Travel again; an older peer reads them as NotNow:
  Platform = 31,         // the platform matrix, or a secondary that has less than the primary
  Together = 32,         // these primaries may not share this secondary
  PlatformRules = 33,    // the sender's own platforms.toml cannot be read
  NotNeighbours = 34,    // no answer to ARP: not one network in fact
  VirtualAnswered = 35,  // another machine has a virtual address
  PrimaryLicence = 36,   // the maker demands a licence, and the primary's does not hold
  SecondaryLicence = 37,
  NothingToRecover = 38,  // the secondary has no pairing with this primary
};
inline constexpr int kRefusals = 39;

// May a peer send this number?
constexpr bool is_wire_refusal(std::uint8_t number) {
  return (number >= 1 && number <= 22) || (number >= 31 && number < kRefusals);
}

std::string_view name_of(Refusal refusal);  // "wrong-code": for logs and JSON

// One clear failure for an operator.
struct Failure {
  Refusal refusal = Refusal::None;
  std::string what;   // what is wrong
  std::string next;   // what to do
  int exit_code = 1;  // of the command line: 1 failed, 4 refused by a rule, 5 timed out
  explicit operator bool() const { return refusal != Refusal::None; }
};

// `detail` is shown where it helps: an address, a version. Always a text of this node or a checked
// value.
Failure failure_of(Refusal refusal, std::string_view peer, std::string_view detail = {});

}  // namespace cb::pairing
