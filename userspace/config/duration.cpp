// SPDX-License-Identifier: Apache-2.0
#include "config/duration.h"

#include <array>
#include <cstdint>

namespace cb::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};

// The longest first: duration_text takes the first that divides.
constexpr std::array kUnits = {
    Unit{"h", 3'600'000'000'000}, Unit{"min", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},           Unit{"ns", 1},
};

constexpr std::size_t kDigitsMax = 9;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<Duration> combine(std::int64_t whole, std::int64_t fraction, std::int64_t divisor,
                                std::int64_t unit) {
  std::int64_t of_fraction = 0;
  std::int64_t total = 0;
  if (__builtin_mul_overflow(fraction, unit, &of_fraction) || of_fraction % divisor != 0 ||
      __builtin_mul_overflow(whole, unit, &total) ||
      __builtin_add_overflow(total, of_fraction / divisor, &total)) {
    return std::nullopt;
  }
  return Duration::from_ns(total);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  std::int64_t whole = 0;
  std::int64_t fraction = 0;
  std::int64_t divisor = 1;  // ten to the digits of the fraction
  std::size_t at = 0;
  std::size_t digits = 0;
  for (; at < text.size() && is_digit(text[at]); ++at, ++digits) {
    if (digits == kDigitsMax) {
      return std::nullopt;
    }
    whole = whole * 10 + (text[at] - '0');
  }
  if (digits == 0) {
    return std::nullopt;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    digits = 0;
    for (; at < text.size() && is_digit(text[at]); ++at, ++digits) {
      if (digits == kDigitsMax) {
        return std::nullopt;
      }
      fraction = fraction * 10 + (text[at] - '0');
      divisor *= 10;
    }
    if (digits == 0) {
      return std::nullopt;
    }
  }
  if (at < text.size() && text[at] == ' ') {
    ++at;
  }
  std::string_view name = text.substr(at);
  if (name == "\xc2\xb5s" || name == "\xce\xbcs") {  // the micro sign, and the Greek letter
    name = "us";
  }
  for (const Unit& unit : kUnits) {
    if (unit.name == name) {
      return combine(whole, fraction, divisor, unit.nanoseconds);
    }
  }
  return std::nullopt;
}

std::string duration_text(Duration duration) {
  if (duration == Duration{}) {
    return "0s";
  }
  for (const Unit& unit : kUnits) {
    if (duration.as_ns() % unit.nanoseconds == 0 &&
        duration.as_ns() / unit.nanoseconds <= 999'999'999) {
      return std::to_string(duration.as_ns() / unit.nanoseconds) + std::string(unit.name);
    }
  }
  std::string fraction = std::to_string(duration.as_ns() % 1'000'000'000);
  fraction.insert(0, kDigitsMax - fraction.size(), '0');
  return std::to_string(duration.as_s()) + "." + fraction + "s";
}

}  // namespace cb::config
