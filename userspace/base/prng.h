// SPDX-License-Identifier: Apache-2.0
//
// Prng: the seeded generator of the simulator and the tests (xoshiro256**, seeded through
// splitmix64; both by Blackman and Vigna, public domain algorithms). The same seed gives the same
// draws on every machine. Not for keys: those come from libsodium.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/instant.h"

namespace cb {

class Prng {
 public:
  explicit constexpr Prng(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
      word = mixed ^ (mixed >> 31);
    }
  }

  constexpr std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Even over 0 .. n-1. The draws of the last, incomplete round are thrown away, not folded in.
  constexpr std::uint64_t below(std::uint64_t n) {
    CB_CHECK(n > 0);
    const std::uint64_t unfair = (0 - n) % n;
    std::uint64_t draw = next();
    while (draw < unfair) {
      draw = next();
    }
    return draw % n;
  }

  // Even over low .. high, both included.
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
    CB_CHECK(low <= high);
    const std::uint64_t width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    const std::uint64_t draw = width + 1 == 0 ? next() : below(width + 1);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + draw);
  }
  constexpr Duration between(Duration low, Duration high) {
    return Duration{between(low.nanoseconds, high.nanoseconds)};
  }

  // True in part out of whole draws; chance(0, n) never, chance(n, n) always.
  constexpr bool chance(std::uint64_t part, std::uint64_t whole) { return below(whole) < part; }

  // A generator of its own, so that draws in one place do not shift those in another.
  constexpr Prng fork() noexcept { return Prng(next()); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace cb
