// SPDX-License-Identifier: Apache-2.0
//
// The set of ranges against a deliberately naive one.
#include "core/transport/ranges.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "base/prng.h"

namespace cb::core::transport {
namespace {

TEST(Ranges, AreWhatASetOfNumbersIs) {
  constexpr uint64_t kNumbers = 200;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Prng prng(seed);
    auto ranges = std::make_unique<Ranges>();
    std::set<uint64_t> naive;
    for (int i = 0; i < 400; ++i) {
      const uint64_t from = prng.below(kNumbers);
      const uint64_t to = from + prng.below(20);
      if (prng.chance(1, 2)) {
        ASSERT_TRUE(ranges->add({from, to}));
        for (uint64_t n = from; n < to; ++n) {
          naive.insert(n);
        }
      } else {
        ranges->remove({from, to});
        for (uint64_t n = from; n < to; ++n) {
          naive.erase(n);
        }
      }
      bool all = true;
      bool any = false;
      for (uint64_t n = from; n < to; ++n) {
        all &= naive.count(n) > 0;
        any |= naive.count(n) > 0;
      }
      ASSERT_EQ(ranges->holds({from, to}), all) << "seed " << seed;
      ASSERT_EQ(ranges->touches({from, to}), any) << "seed " << seed;
      uint64_t count = 0;
      for (std::size_t k = 0; k < ranges->size(); ++k) {
        const Range& range = (*ranges)[k];
        ASSERT_LT(range.from, range.to);
        ASSERT_TRUE(k == 0 || (*ranges)[k - 1].to < range.from) << "they touch";
        count += range.to - range.from;
        ASSERT_TRUE(naive.count(range.from) > 0 && naive.count(range.to - 1) > 0);
      }
      ASSERT_EQ(count, naive.size()) << "seed " << seed;
    }
  }
}

TEST(Ranges, RefuseWhatDoesNotFitAndStayAsTheyWere) {
  auto ranges = std::make_unique<Ranges>();
  for (uint64_t i = 0; i < kHolesMax; ++i) {
    ASSERT_TRUE(ranges->add({i * 10, i * 10 + 5}));
  }
  EXPECT_FALSE(ranges->add({7, 8}));
  EXPECT_FALSE(ranges->holds({7, 8}));
  ranges->remove({2, 3});  // would need one more: stays whole
  EXPECT_TRUE(ranges->holds({0, 5}));
  EXPECT_TRUE(ranges->add({5, 10}));  // joins two: there is room again
  EXPECT_TRUE(ranges->add({22, 23}));
  ASSERT_TRUE(ranges->add({100'000, 100'001}));
  ranges->add_roughly({200'000, 200'010});  // swallows the gap
  EXPECT_TRUE(ranges->holds({100'000, 200'010}));
  ranges->add_roughly({27, 28});
  EXPECT_TRUE(ranges->holds({27, 28}));
}

}  // namespace
}  // namespace cb::core::transport
