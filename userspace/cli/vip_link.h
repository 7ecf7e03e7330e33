// SPDX-License-Identifier: Apache-2.0
//
// A virtual address by hand, without the monitor: exactly as the monitor's own edge does it (a host
// prefix, our label and protocol id, no duplicate address detection), for appliance makers' scripts
// and for the night when there is no monitor.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/ir.h"

namespace cb::cli {

struct AddressOn {
  config::Prefix prefix;
  std::string label;
};

// Adding what is there, or removing what is not, is success. Errors carry the errno.
Result<> add_by_hand(const config::Address& address, const std::string& interface,
                     const std::string& label);
Result<> remove_by_hand(const config::Address& address, const std::string& interface);

// Gratuitous ARP (a request and a reply) or an unsolicited neighbour advertisement.
Result<> announce_by_hand(const config::Address& address, const std::string& interface);

// The addresses of ours: those with our label.
Result<std::vector<AddressOn>> held_by_hand(const std::string& interface);

}  // namespace cb::cli
