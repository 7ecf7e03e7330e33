// SPDX-License-Identifier: Apache-2.0
//
// What the file left out, from what this machine is.
#include <algorithm>

#include "config/address.h"
#include "config/defaults.h"
#include "config/validate.h"

namespace cb::config {
namespace {

// 8e1f4c2a... -> 8e1f4c2a-...: the form in which serials are printed.
std::string as_uuid(std::string id) {
  if (id.size() == 32) {
    for (const std::size_t at : {20u, 16u, 12u, 8u}) {
      id.insert(at, 1, '-');
    }
  }
  return id;
}

}  // namespace

const MachineFacts::Interface* find_interface(const MachineFacts& machine, std::string_view name) {
  for (const auto& interface : machine.interfaces) {
    if (interface.name == name) {
      return &interface;
    }
  }
  return nullptr;
}

int subnet_length(const MachineFacts::Interface& interface, const Address& address) {
  for (const Prefix& prefix : interface.addresses) {
    if (same_subnet(prefix.address, address, prefix.length)) {
      return prefix.length;
    }
  }
  return -1;
}

void fill_in_from_machine(Node& node, const MachineFacts& machine, Notes& notes) {
  if (!notes.is_given("node.name")) {
    node.name = machine.host_name;
  }
  if (node.address_label.empty() && !node.network_interface.empty()) {
    // Too long a name leaves no room for ":1"; the kernel then uses the name itself.
    const bool fits = node.network_interface.size() + 2 <= kLabelMax;
    node.address_label = node.network_interface + (fits ? ":1" : "");
  }
  const auto* interface = find_interface(machine, node.network_interface);
  const auto is_virtual = [&](const Address& address) {
    return std::any_of(node.virtual_addresses.begin(), node.virtual_addresses.end(),
                       [&](const Prefix& prefix) { return prefix.address == address; });
  };
  if (interface != nullptr && !notes.is_given("network.address")) {
    for (const Prefix& prefix : interface->addresses) {
      if (prefix.address.is_v4() && !is_virtual(prefix.address)) {
        node.hm_address = prefix.address;
        break;
      }
    }
  }
  const int length = interface == nullptr ? -1 : subnet_length(*interface, node.hm_address);
  // The default route may lead through another interface; then it says nothing about this one.
  if (!notes.is_given("network.gateway") &&
      same_subnet(machine.default_gateway, node.hm_address, length)) {
    node.gateway = machine.default_gateway;
  }
  for (Prefix& prefix : node.virtual_addresses) {
    if (prefix.length < 0) {
      const int known = interface == nullptr ? -1 : subnet_length(*interface, prefix.address);
      prefix.length = known >= 0 ? known : prefix.address.is_v4() ? 32 : 128;
    }
  }
  if (node.product.udi_product.empty()) {
    node.product.udi_product = kUdiProduct;
  }
  if (node.product.udi_version.empty()) {
    node.product.udi_version = kUdiVersion;
  }
  if (node.product.udi_serial.empty()) {
    node.product.udi_serial =
        node.name + (machine.machine_id.empty() ? "" : "_" + as_uuid(machine.machine_id));
  }
}

}  // namespace cb::config
