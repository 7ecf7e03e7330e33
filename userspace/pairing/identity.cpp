// SPDX-License-Identifier: Apache-2.0
#include "pairing/identity.h"

#include <algorithm>

#include "pairing/message.h"

namespace cb::pairing {
namespace {

bool names(const std::vector<config::Prefix>& list, const config::Address& address) {
  return std::any_of(list.begin(), list.end(),
                     [&](const config::Prefix& prefix) { return prefix.address == address; });
}

// The prefixes of the interface that say which networks it is on: without the virtual addresses
// that this node may hold just now (often /32), the health monitor address first, no more than a
// hello carries.
std::vector<config::Prefix> networks_of(const config::MachineFacts::Interface& interface,
                                        const LocalIdentity& self) {
  std::vector<config::Prefix> networks;
  for (const config::Prefix& prefix : interface.addresses) {
    const bool is_virtual =
        names(self.virtual_addresses, prefix.address) ||
        std::any_of(self.pairs.begin(), self.pairs.end(), [&](const config::Pair& pair) {
          return names(pair.virtual_addresses, prefix.address);
        });
    if (!is_virtual) {
      networks.push_back(prefix);
    }
  }
  std::stable_partition(networks.begin(), networks.end(), [&](const config::Prefix& prefix) {
    return prefix.address == self.hm_address;
  });
  if (networks.size() > kNetworksMax) {
    networks.resize(kNetworksMax);
  }
  return networks;
}

}  // namespace

LocalIdentity identity_of(const config::Node& node, const config::MachineFacts& machine,
                          std::string_view version, std::string_view udi,
                          const std::vector<config::Pair>& pairs) {
  LocalIdentity self;
  self.role = node.role;
  self.name = node.name;
  self.version = version;
  self.product_version = node.product.version;
  self.udi = udi;
  self.hm_address = node.hm_address;
  self.port = node.port;
  if (node.role == core::Role::Primary) {
    self.virtual_addresses = node.virtual_addresses;
  }
  self.direct = !node.direct_interface.empty();
  self.automatic_failover = node.automatic_failover;
  self.automatic_failback = node.automatic_failback;
  self.failover_wait = node.failover_wait;
  self.instance_number = node.instance_number;
  self.pairs = pairs;
  for (const config::MachineFacts::Interface& interface : machine.interfaces) {
    if (interface.name == node.network_interface) {
      self.networks = networks_of(interface, self);
    }
  }
  return self;
}

}  // namespace cb::pairing
