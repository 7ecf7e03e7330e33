// SPDX-License-Identifier: Apache-2.0
#include "config/size.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace cb::config::test {
namespace {

TEST(Size, IsANumberAndAPowerOf1024) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("10GiB"), 10ull << 30);
  EXPECT_EQ(parse_size("10 G"), 10ull << 30);
  EXPECT_EQ(parse_size("3K"), 3072u);
  EXPECT_EQ(parse_size("2TiB"), 2ull << 40);
}

TEST(Size, IsNothingElse) {
  for (const char* text : {"", "G", "-1", "1.5G", "10GB", "10g", "1 ", "1  G", "99999999999T",
                           "18446744073709551616"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Size, OfItsOwnTextIsTheSame) {
  Prng prng(3);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bytes = prng.next() >> prng.below(64);
    EXPECT_EQ(parse_size(size_text(bytes)), bytes) << size_text(bytes);
  }
}

}  // namespace
}  // namespace cb::config::test
