// SPDX-License-Identifier: Apache-2.0
#include "core/volume/digest.h"

namespace cb::core::volume {
namespace {

// Both halves of the full product: every bit of either factor reaches every bit of the answer.
uint64_t fold(uint64_t a, uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15u;
constexpr uint64_t kOdd2 = 0xc2b2ae3d27d4eb4fu;
constexpr uint64_t kOdd3 = 0x165667b19e3779f9u;

}  // namespace

Digest chain(const Digest& before, ConstBytes bytes) noexcept {
  uint64_t a = before.high ^ kOdd1;
  uint64_t b = before.low ^ kOdd2 ^ bytes.size();
  std::size_t at = 0;
  while (at < bytes.size()) {
    uint64_t word = 0;
    for (int i = 0; i < 8 && at < bytes.size(); ++i) {
      word |= static_cast<uint64_t>(bytes[at++]) << (8 * i);
    }
    // The old value is added back: a zero factor must not wipe out what came before.
    a = fold(a ^ word, kOdd3) + b;
    b = fold(b + word, kOdd1) ^ a;
  }
  return {fold(a, kOdd2) + b, fold(b, kOdd3) ^ a};
}

}  // namespace cb::core::volume
