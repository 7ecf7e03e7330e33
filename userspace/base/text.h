// SPDX-License-Identifier: Apache-2.0
//
// Small conversions between text and values. Every parse_ is strict: the whole text must be the
// value, and std::nullopt says that it is not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/net.h"

namespace cb {

std::string_view trim(std::string_view text);  // spaces, tabs, line ends
// The parts between separators, empty ones too: "a,,b" has three, "" has one.
std::vector<std::string_view> split(std::string_view text, char separator);

// A decimal number, without sign, spaces or leading zeros, not above limit.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t limit = UINT64_MAX);

std::optional<Ipv4> parse_ipv4(std::string_view text);  // "10.0.0.1"
std::optional<Ipv6> parse_ipv6(std::string_view text);  // "fd00::1", without a zone
std::optional<Mac> parse_mac(std::string_view text);    // "02:00:00:00:00:0a"
std::string to_text(const Ipv4& address);
std::string to_text(const Ipv6& address);  // RFC 5952
std::string to_text(const Mac& address);

std::string to_hex(std::span<const std::uint8_t> bytes);  // lower case, no separators
// An even number of hexadecimal digits, either case.
std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text);

// For people, three digits that matter: "850 ns", "1.4 ms", "12.0 s", "never".
std::string to_text(Duration duration);

}  // namespace cb
