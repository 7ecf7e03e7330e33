// SPDX-License-Identifier: Apache-2.0
#include "agent/peer_view.h"

#include <gtest/gtest.h>

namespace cb::agent::test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// Two machines that started 30 days apart, whose wall clocks agree.
TEST(WallClock, OfThePeerIsComparedWhereverItsOwnBootWas) {
  const uint64_t wall = 1'800'000'000 * kSecond;
  const uint64_t ours = 1000 * kSecond;                  // since our boot
  const uint64_t theirs = (30u * 86'400 + 7) * kSecond;  // since the peer's, at the same moment
  cb_peer_facts said{};
  said.stamp_ns = theirs;
  said.wall_offset_ns = wall - theirs;
  said.received_ns = ours;
  EXPECT_EQ(wall_offset_here(said), static_cast<int64_t>(wall - ours));

  said.wall_offset_ns += 5 * kSecond;  // its clock is 5 s ahead
  EXPECT_EQ(wall_offset_here(said) - static_cast<int64_t>(wall - ours), 5'000'000'000);

  said.received_ns = ours + 20'000;  // the way took 20 us
  EXPECT_EQ(wall_offset_here(said) - static_cast<int64_t>(wall - ours), 5'000'000'000 - 20'000);
}

}  // namespace
}  // namespace cb::agent::test
