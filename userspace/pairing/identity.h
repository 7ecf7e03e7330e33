// SPDX-License-Identifier: Apache-2.0
//
// What a node says of itself when it pairs. Made by the agent from its configuration; nothing here
// reads a file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "bpf/crossbeat_wire.h"
#include "config/config.h"
#include "config/ir.h"
#include "config/platform.h"
#include "core/types.h"
#include "pairing/message.h"

namespace cb::pairing {

// What this node judges a pairing by, besides the two hellos.
struct RuleBook {
  config::Platforms platforms;
  std::string platforms_problem;  // platforms.toml cannot be read: nothing pairs
  config::Licence licence;        // the maker's demand
  std::string today;              // "2026-01-31", for licences that end
};

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
  config::Platform platform;
  std::string licence;  // the text of this node's licence file; empty: none
  RuleBook rules;
  // Secondary: what it can give back to a primary of this pairing; may be empty.
  std::function<Restored(const config::Pair&)> restored;
};

LocalIdentity identity_of(const config::Node& node, const config::MachineFacts& machine,
                          std::string_view version, std::string_view udi,
                          const std::vector<config::Pair>& pairs);

}  // namespace cb::pairing
