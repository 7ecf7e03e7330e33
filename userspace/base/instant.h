// SPDX-License-Identifier: Apache-2.0
//
// Time as plain values. An Instant is nanoseconds of CLOCK_BOOTTIME, the one clock that eBPF
// (bpf_ktime_get_boot_ns) and user space share; a Duration is a difference of two. Nothing here
// reads a clock: base/clock.h does. Sums saturate, so that Instant::never() plus anything stays
// never.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

#include "base/check.h"

namespace cb {

namespace detail {

constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return b > 0 ? std::numeric_limits<std::int64_t>::max()
                 : std::numeric_limits<std::int64_t>::min();
  }
  return sum;
}

constexpr std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a, b, &difference)) {
    return b < 0 ? std::numeric_limits<std::int64_t>::max()
                 : std::numeric_limits<std::int64_t>::min();
  }
  return difference;
}

constexpr std::int64_t saturating_multiply(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    return (a < 0) == (b < 0) ? std::numeric_limits<std::int64_t>::max()
                              : std::numeric_limits<std::int64_t>::min();
  }
  return product;
}

}  // namespace detail

struct Duration {
  std::int64_t nanoseconds = 0;

  static constexpr Duration from_ns(std::int64_t n) noexcept { return {n}; }
  static constexpr Duration from_us(std::int64_t n) noexcept {
    return {detail::saturating_multiply(n, 1'000)};
  }
  static constexpr Duration from_ms(std::int64_t n) noexcept {
    return {detail::saturating_multiply(n, 1'000'000)};
  }
  static constexpr Duration from_s(std::int64_t n) noexcept {
    return {detail::saturating_multiply(n, 1'000'000'000)};
  }
  // Longer than any wait.
  static constexpr Duration forever() noexcept {
    return {std::numeric_limits<std::int64_t>::max()};
  }

  // Whole units, rounded towards zero.
  constexpr std::int64_t as_ns() const noexcept { return nanoseconds; }
  constexpr std::int64_t as_us() const noexcept { return nanoseconds / 1'000; }
  constexpr std::int64_t as_ms() const noexcept { return nanoseconds / 1'000'000; }
  constexpr std::int64_t as_s() const noexcept { return nanoseconds / 1'000'000'000; }

  constexpr auto operator<=>(const Duration&) const noexcept = default;

  constexpr Duration operator-() const noexcept {
    return {detail::saturating_subtract(0, nanoseconds)};
  }
  constexpr Duration& operator+=(Duration d) noexcept { return *this = *this + d; }
  constexpr Duration& operator-=(Duration d) noexcept { return *this = *this - d; }

  friend constexpr Duration operator+(Duration a, Duration b) noexcept {
    return {detail::saturating_add(a.nanoseconds, b.nanoseconds)};
  }
  friend constexpr Duration operator-(Duration a, Duration b) noexcept {
    return {detail::saturating_subtract(a.nanoseconds, b.nanoseconds)};
  }
  friend constexpr Duration operator*(Duration d, std::int64_t factor) noexcept {
    return {detail::saturating_multiply(d.nanoseconds, factor)};
  }
  friend constexpr Duration operator*(std::int64_t factor, Duration d) noexcept {
    return d * factor;
  }
  friend constexpr Duration operator/(Duration d, std::int64_t divisor) {
    CB_CHECK(divisor > 0);
    return {d.nanoseconds / divisor};
  }
  friend constexpr std::int64_t operator/(Duration a, Duration b) {
    CB_CHECK(b.nanoseconds > 0);
    return a.nanoseconds / b.nanoseconds;
  }
  friend constexpr Duration operator%(Duration a, Duration b) {
    CB_CHECK(b.nanoseconds > 0);
    return {a.nanoseconds % b.nanoseconds};
  }
};

struct Instant {
  std::int64_t nanoseconds = 0;

  static constexpr Instant from_ns(std::int64_t n) noexcept { return {n}; }
  // Later than every other instant: "no deadline".
  static constexpr Instant never() noexcept { return {std::numeric_limits<std::int64_t>::max()}; }
  constexpr bool is_never() const noexcept { return *this == never(); }

  constexpr std::int64_t as_ns() const noexcept { return nanoseconds; }

  constexpr auto operator<=>(const Instant&) const noexcept = default;

  constexpr Instant& operator+=(Duration d) noexcept { return *this = *this + d; }
  constexpr Instant& operator-=(Duration d) noexcept { return *this = *this - d; }

  friend constexpr Instant operator+(Instant t, Duration d) noexcept {
    return t.is_never() ? t : Instant{detail::saturating_add(t.nanoseconds, d.nanoseconds)};
  }
  friend constexpr Instant operator+(Duration d, Instant t) noexcept { return t + d; }
  friend constexpr Instant operator-(Instant t, Duration d) noexcept {
    return t.is_never() ? t : Instant{detail::saturating_subtract(t.nanoseconds, d.nanoseconds)};
  }
  friend constexpr Duration operator-(Instant a, Instant b) noexcept {
    return {detail::saturating_subtract(a.nanoseconds, b.nanoseconds)};
  }
};

// 250_us, 10_ms: using namespace cb::literals;
inline namespace literals {

constexpr Duration operator""_ns(unsigned long long n) {
  return Duration::from_ns(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_us(unsigned long long n) {
  return Duration::from_us(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_ms(unsigned long long n) {
  return Duration::from_ms(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_s(unsigned long long n) {
  return Duration::from_s(static_cast<std::int64_t>(n));
}

}  // namespace literals
}  // namespace cb
