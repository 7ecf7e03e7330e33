// SPDX-License-Identifier: Apache-2.0
#include "config/size.h"

#include <array>

namespace cb::config {
namespace {

struct Unit {
  std::string_view name;
  std::string_view brief;
  unsigned shift;
};
constexpr std::array kUnits = {Unit{"TiB", "T", 40}, Unit{"GiB", "G", 30}, Unit{"MiB", "M", 20},
                               Unit{"KiB", "K", 10}, Unit{"", "B", 0}};

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    if (__builtin_mul_overflow(number, std::uint64_t{10}, &number) ||
        __builtin_add_overflow(number, digit, &number)) {
      return std::nullopt;
    }
    ++digits;
  }
  std::string_view name = text.substr(digits);
  if (name.size() > 1 && name.starts_with(' ')) {
    name.remove_prefix(1);
  }
  for (const Unit& unit : kUnits) {
    if (digits != 0 && (name == unit.name || name == unit.brief)) {
      const std::uint64_t bytes = number << unit.shift;
      return bytes >> unit.shift == number ? std::optional(bytes) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::string size_text(std::uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    const std::uint64_t whole = bytes >> unit.shift;
    if (whole != 0 && whole << unit.shift == bytes) {
      return std::to_string(whole) + std::string(unit.name);
    }
  }
  return "0";
}

}  // namespace cb::config
