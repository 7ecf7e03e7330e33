// SPDX-License-Identifier: Apache-2.0
//
// A bounded run of the fuzzer's body, with damage that is drawn from a printed seed.
#include <gtest/gtest.h>

#include <random>

#include "base/prng.h"
#include "tests/pairing/fuzz_one.h"

namespace cb::pairing {
namespace {

std::string damaged(std::string input, const std::vector<std::string>& seeds, Prng& prng) {
  for (std::uint64_t times = 1 + prng.below(4); times > 0; --times) {
    const std::size_t at = input.empty() ? 0 : prng.below(input.size());
    switch (prng.below(6)) {
      case 0: input.resize(at); break;
      case 1: input.insert(at, 1 + prng.below(8), static_cast<char>(prng.below(256))); break;
      case 2: input.erase(at, 1 + prng.below(8)); break;
      case 3: {
        const std::string& other = seeds[prng.below(seeds.size())];
        input += other.substr(prng.below(other.size()));
        break;
      }
      default:
        if (!input.empty()) {
          input[at] = static_cast<char>(input[at] ^ (1 << prng.below(8)));
        }
    }
  }
  return input;
}

TEST(FuzzBounded, HoldsForManyDamagedMessages) {
  ASSERT_TRUE(crypto_ready());
  const std::uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Prng prng(seed);
  const std::vector<std::string> seeds = test::fuzz_seeds();
  for (const std::string& input : seeds) {
    test::fuzz_one(input);
  }
  for (int i = 0; i < 20'000; ++i) {
    test::fuzz_one(damaged(seeds[prng.below(seeds.size())], seeds, prng));
  }
}

}  // namespace
}  // namespace cb::pairing
