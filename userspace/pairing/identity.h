// SPDX-License-Identifier: Apache-2.0
//
// What a node says of itself when it pairs. Made by the agent from its configuration; nothing here
// reads a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "bpf/crossbeat_wire.h"
#include "config/config.h"
#include "config/ir.h"
#include "core/types.h"

namespace cb::pairing {

struct LocalIdentity {
  core::Role role = core::Role::Primary;
  std::string name;             // at most 64 printable ASCII characters
  std::string version;          // of the software, at most 32
  std::string product_version;  // of the product on it, at most 32; empty: the software's
  std::string udi;              // at most 128
  config::Address hm_address;
  std::uint16_t port = 7388;
  std::vector<config::Prefix> networks;           // of the network interface; one holds hm_address
  std::vector<config::Prefix> virtual_addresses;  // primary only
  bool direct = false;                            // has a direct link
  bool automatic_failover = false;                // the primary's settings become the pairing's
  bool automatic_failback = false;
  Duration failover_wait{};
  int instance_number = 3;
  std::optional<config::PairVolume> volume;  // primary only, once its first copy was made
  std::vector<config::Pair> pairs;           // held now, with keys
  int pairings_max = CB_PAIRINGS_MAX;
};

LocalIdentity identity_of(const config::Node& node, const config::MachineFacts& machine,
                          std::string_view version, std::string_view udi,
                          const std::vector<config::Pair>& pairs);

}  // namespace cb::pairing
