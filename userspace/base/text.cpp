// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstdio>

namespace cb {
namespace {

std::optional<std::uint8_t> parse_nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

// inet_pton wants a terminated string, and an embedded zero must not end the text early.
template <class Address>
std::optional<Address> parse_by_inet(int family, std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  text.copy(terminated.data(), text.size());
  Address address;
  if (::inet_pton(family, terminated.data(), address.bytes.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

template <class Address>
std::string text_by_inet(int family, const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  CB_CHECK(::inet_ntop(family, address.bytes.data(), text.data(), text.size()) != nullptr);
  return text.data();
}

}  // namespace

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(at + 1);
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t limit) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stopped != end || number > limit) {
    return std::nullopt;
  }
  return number;
}

std::optional<Ipv4> parse_ipv4(std::string_view text) { return parse_by_inet<Ipv4>(AF_INET, text); }

std::optional<Ipv6> parse_ipv6(std::string_view text) {
  return parse_by_inet<Ipv6>(AF_INET6, text);
}

std::optional<Mac> parse_mac(std::string_view text) {
  Mac mac;
  if (text.size() != mac.bytes.size() * 3 - 1) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    const auto high = parse_nibble(text[i * 3]);
    const auto low = parse_nibble(text[i * 3 + 1]);
    if (!high || !low || (i > 0 && text[i * 3 - 1] != ':')) {
      return std::nullopt;
    }
    mac.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return mac;
}

std::string to_text(const Ipv4& address) { return text_by_inet(AF_INET, address); }

std::string to_text(const Ipv6& address) { return text_by_inet(AF_INET6, address); }

std::string to_text(const Mac& address) {
  std::string text;
  for (const std::uint8_t byte : address.bytes) {
    if (!text.empty()) {
      text += ':';
    }
    text += to_hex({&byte, 1});
  }
  return text;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return std::nullopt;
  }
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = parse_nibble(text[i]);
    const auto low = parse_nibble(text[i + 1]);
    if (!high || !low) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<std::uint8_t>(*high << 4 | *low));
  }
  return bytes;
}

std::string to_text(Duration duration) {
  if (duration == Duration::forever()) {
    return "never";
  }
  struct Unit {
    double nanoseconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
  const auto total = static_cast<double>(duration.nanoseconds);
  const double size = total < 0 ? -total : total;
  Unit unit = kUnits.back();
  for (const Unit& candidate : kUnits) {
    if (size >= candidate.nanoseconds) {
      unit = candidate;
      break;
    }
  }
  const double value = total / unit.nanoseconds;
  const bool fraction = unit.nanoseconds > 1 && size / unit.nanoseconds < 100;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), fraction ? "%.1f %s" : "%.0f %s", value, unit.name);
  return text.data();
}

}  // namespace cb
