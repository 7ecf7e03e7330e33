// SPDX-License-Identifier: Apache-2.0
//
// Addresses as text, and which ones belong together.
#pragma once

#include <optional>
#include <string_view>

#include "base/net.h"
#include "config/ir.h"

namespace cb::config {

Address address_of(const Ipv4& address) noexcept;
Address address_of(const Ipv6& address) noexcept;
Ipv4 ipv4_of(const Address& address);  // only when is_v4()

// "10.10.10.11" or "fd00::11".
std::optional<Address> parse_address(std::string_view text);

// "10.10.10.11/24"; without "/..." the length is -1, to be filled in by the caller.
std::optional<Prefix> parse_prefix(std::string_view text);

bool is_zero(const Address& address) noexcept;

// Not of one machine alone: multicast, broadcast, loopback, unspecified.
bool is_host_address(const Address& address) noexcept;

// Of one family, and equal in the first `length` bits of that family.
bool same_subnet(const Address& a, const Address& b, int length);

// The subnet's own address or its broadcast address (IPv4, shorter than /31).
bool is_subnet_edge(const Address& address, int length);

}  // namespace cb::config
