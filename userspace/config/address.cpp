// SPDX-License-Identifier: Apache-2.0
#include "config/address.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace cb::config {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool Address::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

std::string Address::text() const {
  return is_v4() ? to_text(ipv4_of(*this)) : to_text(Ipv6{bytes});
}

std::string Prefix::text() const { return address.text() + "/" + std::to_string(length); }

Address address_of(const Ipv4& address) noexcept {
  Address result;
  std::copy(kMapped.begin(), kMapped.end(), result.bytes.begin());
  std::copy(address.bytes.begin(), address.bytes.end(), result.bytes.begin() + kMapped.size());
  return result;
}

Address address_of(const Ipv6& address) noexcept { return Address{address.bytes}; }

Ipv4 ipv4_of(const Address& address) {
  CB_CHECK(address.is_v4());
  Ipv4 result;
  std::copy(address.bytes.begin() + kMapped.size(), address.bytes.end(), result.bytes.begin());
  return result;
}

std::optional<Address> parse_address(std::string_view text) {
  if (const auto v4 = parse_ipv4(text)) {
    return address_of(*v4);
  }
  if (const auto v6 = parse_ipv6(text)) {
    return address_of(*v6);
  }
  return std::nullopt;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  if (slash == std::string_view::npos) {
    return Prefix{*address, -1};
  }
  const auto length = parse_number(text.substr(slash + 1), address->is_v4() ? 32 : 128);
  if (!length) {
    return std::nullopt;
  }
  return Prefix{*address, static_cast<int>(*length)};
}

bool is_zero(const Address& address) noexcept {
  return address == Address{} || address == address_of(Ipv4{});
}

bool is_host_address(const Address& address) noexcept {
  if (is_zero(address)) {
    return false;
  }
  if (address.is_v4()) {
    const uint8_t first = address.bytes[kMapped.size()];
    return first != 0 && first != 127 && first < 224;
  }
  Address loopback;
  loopback.bytes.back() = 1;
  return address.bytes[0] != 0xff && !(address == loopback);
}

bool same_subnet(const Address& a, const Address& b, int length) {
  if (a.is_v4() != b.is_v4() || length < 0) {
    return false;
  }
  const auto bits = static_cast<unsigned>(length);
  return a.is_v4() ? cb::same_subnet(ipv4_of(a), ipv4_of(b), bits)
                   : cb::same_subnet(Ipv6{a.bytes}, Ipv6{b.bytes}, bits);
}

bool is_subnet_edge(const Address& address, int length) {
  if (!address.is_v4() || length < 0 || length >= 31) {
    return false;
  }
  uint32_t number = 0;
  for (const uint8_t byte : ipv4_of(address).bytes) {
    number = number << 8 | byte;
  }
  const uint32_t host_bits = length == 0 ? UINT32_MAX : (uint32_t{1} << (32 - length)) - 1;
  return (number & host_bits) == 0 || (number & host_bits) == host_bits;
}

}  // namespace cb::config
