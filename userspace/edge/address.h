// SPDX-License-Identifier: Apache-2.0
//
// Virtual addresses on the service interface. IPv4 is added as /32 and IPv6 as /128, whatever
// prefix is configured, so that the connected route and the source address of other traffic stay as
// they are; without duplicate address detection (arbitration has asked already), with our label and
// protocol id.
//
// An address that should be there and was removed by somebody else (network managers do that) is
// put back at once, and reported; not more often than five times in ten seconds, then once in ten
// seconds. An interface that went and came back gets its addresses again.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/ir.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

using loop::Done;

// IFA_PROTO of our addresses: which program put it there (kernel 5.18 and later keep it).
inline constexpr std::uint8_t kAddressProtocol = 0xC8;

struct HeldAddress {
  config::Prefix prefix;
  std::string label;          // IPv4 only
  std::uint8_t protocol = 0;  // IFA_PROTO
  std::uint32_t flags = 0;    // IFA_F_
  bool ours = false;          // our label or our protocol id
};

struct AddressOptions {
  std::string interface;
  std::string label;        // IPv4; empty: "<interface>:1". Longer than 15 characters: none is used
  int repairs_at_once = 5;  // in repair_span; from then on
  Duration repair_span = Duration::from_s(10);  // one repair in each
  // Somebody else removed an address of ours; text is for the event log.
  std::function<void(const config::Prefix&, const std::string& text)> on_foreign_removal;
  // It is back: announce it again.
  std::function<void(const config::Prefix&)> on_repaired;
};

class AddressEdge {
 public:
  // Blocks (reads the interface's state): at start only. The interface need not exist yet.
  // hands: the urgent ones.
  static Result<std::unique_ptr<AddressEdge>> open(loop::Loop& loop, loop::Hands& hands,
                                                   AddressOptions options);
  ~AddressEdge();
  AddressEdge(const AddressEdge&) = delete;
  AddressEdge& operator=(const AddressEdge&) = delete;

  // Success when it is there in the end, also when it was before. From now on it is wanted, also
  // when the answer is an error (ENODEV: there is no such interface now).
  void add(const config::Prefix& address, Instant deadline, Done done);
  // Success when no form of it (any prefix length) is on the interface in the end, also when none
  // was, or no interface.
  void remove(const config::Prefix& address, Instant deadline, Done done);
  // For start and reconcile: removes everything that carries our label or protocol id, and every
  // form of `known`, except what add() made wanted.
  void clear_leftovers(std::vector<config::Prefix> known, Instant deadline, Done done);

  // What the kernel has on the interface now. Blocks for a netlink dump: not inside a turn.
  Result<std::vector<HeldAddress>> read() const;
  // Whether the kernel's notices say that this address is on the interface. Free.
  bool holds(const config::Prefix& address) const;

  // Settings of the host that an operator should look at (arp_ignore, arp_announce). For the
  // status.
  std::vector<std::string> warnings() const;

 private:
  struct Parts;
  explicit AddressEdge(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cb::edge
