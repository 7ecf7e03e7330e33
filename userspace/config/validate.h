// SPDX-License-Identifier: Apache-2.0
//
// What cannot be seen in one key alone: addresses in their subnets, names of interfaces, kinds that
// need one another. Reports through the notes, at the line of the key that is to be changed; keys
// that are already known to be broken are left alone.
#pragma once

#include "config/config.h"
#include "config/reader.h"

namespace cb::config {

// Fills in what the file left out and this machine knows: name, address, gateway, label, serial.
void fill_in_from_machine(Node& node, const MachineFacts& machine, Notes& notes);

void validate(const Node& node, const MachineFacts& machine, Notes& notes);

// For the two above: the interface, or nullptr.
const MachineFacts::Interface* find_interface(const MachineFacts& machine, std::string_view name);
// The length of the interface's prefix that the address is in, or -1.
int subnet_length(const MachineFacts::Interface& interface, const Address& address);

}  // namespace cb::config
