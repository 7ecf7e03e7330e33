// SPDX-License-Identifier: Apache-2.0
//
// Sizes as the configuration writes them: a number and a unit, "10GiB", "512M".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cb::config {

// Units: KiB MiB GiB TiB, also as K M G T, all powers of 1024; without a unit, bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

// An exact form, in the largest unit that divides: parse_size(size_text(n)) == n.
std::string size_text(std::uint64_t bytes);

}  // namespace cb::config
