// SPDX-License-Identifier: Apache-2.0
//
// Addresses as plain values, bytes in network order. Text is for base/text.h.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace cb {

struct Mac {
  std::array<std::uint8_t, 6> bytes{};
  constexpr auto operator<=>(const Mac&) const noexcept = default;
  constexpr bool is_zero() const noexcept { return *this == Mac{}; }
  constexpr bool is_group() const noexcept { return (bytes[0] & 1) != 0; }  // multicast, broadcast
};

struct Ipv4 {
  std::array<std::uint8_t, 4> bytes{};
  constexpr auto operator<=>(const Ipv4&) const noexcept = default;
  constexpr bool is_zero() const noexcept { return *this == Ipv4{}; }
};

struct Ipv6 {
  std::array<std::uint8_t, 16> bytes{};
  constexpr auto operator<=>(const Ipv6&) const noexcept = default;
  constexpr bool is_zero() const noexcept { return *this == Ipv6{}; }
};

// Whether the first prefix_bits of both are equal. A prefix longer than the address counts as all
// of it.
template <class Address>
constexpr bool same_subnet(const Address& a, const Address& b, unsigned prefix_bits) noexcept {
  for (std::size_t i = 0; i < a.bytes.size() && prefix_bits > 0; ++i) {
    const unsigned bits = prefix_bits < 8 ? prefix_bits : 8;
    const auto mask = static_cast<std::uint8_t>(0xff00u >> bits);
    if (((a.bytes[i] ^ b.bytes[i]) & mask) != 0) {
      return false;
    }
    prefix_bits -= bits;
  }
  return true;
}

}  // namespace cb
