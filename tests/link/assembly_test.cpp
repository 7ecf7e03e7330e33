// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/assembly.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace cb::link {
namespace {

constexpr Mac kFrom{{2, 0, 0, 0, 0, 1}};

class Packet {
 public:
  explicit Packet(std::uint32_t number, std::size_t total = 10'000) : number_(number) {
    bytes_.resize(total);
    for (std::size_t i = 0; i < total; ++i) {
      bytes_[i] = static_cast<std::uint8_t>(i * 7 + number);
    }
  }
  Frame piece(std::size_t from, std::size_t to) const {
    Frame frame;
    frame.source = kFrom;
    frame.number = number_;
    frame.total = bytes_.size();
    frame.at = from;
    frame.bytes = ConstBytes(bytes_).subspan(from, to - from);
    return frame;
  }
  bool operator==(ConstBytes other) const { return std::ranges::equal(bytes_, other); }

 private:
  std::uint32_t number_;
  std::vector<std::uint8_t> bytes_;
};

TEST(Assembly, PiecesInOrderMakeThePacket) {
  Assembly assembly;
  const Packet packet(1);
  EXPECT_FALSE(assembly.take(packet.piece(0, 4000)));
  EXPECT_FALSE(assembly.take(packet.piece(4000, 8000)));
  const auto whole = assembly.take(packet.piece(8000, 10'000));
  ASSERT_TRUE(whole);
  EXPECT_TRUE(packet == *whole);
}

TEST(Assembly, PiecesInAnyOrderOfAnySizeMakeThePacket) {
  Prng prng(20);
  Assembly assembly;
  for (std::uint32_t round = 0; round < 500; ++round) {
    const Packet packet(round);
    std::vector<std::size_t> cuts = {0, 10'000};
    const std::size_t more = prng.below(30);
    for (std::size_t i = 0; i < more; ++i) {
      cuts.push_back(1 + prng.below(9998));
    }
    std::ranges::sort(cuts);
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<std::size_t> order(cuts.size() - 1);
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = i;
    }
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[prng.below(i)]);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto whole = assembly.take(packet.piece(cuts[order[i]], cuts[order[i] + 1]));
      ASSERT_EQ(whole.has_value(), i + 1 == order.size()) << "round " << round;
      ASSERT_TRUE(!whole || packet == *whole);
    }
    assembly.release();
  }
  EXPECT_EQ(assembly.refused(), 0u);
  EXPECT_EQ(assembly.incomplete(), 0u);
}

TEST(Assembly, SeveralPacketsAtOnceDoNotMix) {
  Assembly assembly;
  std::vector<Packet> packets;
  for (std::uint32_t i = 0; i < 8; ++i) {
    packets.emplace_back(i);
  }
  for (const Packet& packet : packets) {
    EXPECT_FALSE(assembly.take(packet.piece(5000, 10'000)));
  }
  std::vector<ConstBytes> whole;
  for (const Packet& packet : packets) {
    ASSERT_TRUE(assembly.has_room());
    const auto done = assembly.take(packet.piece(0, 5000));
    ASSERT_TRUE(done);
    whole.push_back(*done);
  }
  EXPECT_FALSE(assembly.has_room());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_TRUE(packets[i] == whole[i]) << "what is finished stays until it is released";
  }
  assembly.release();
  EXPECT_TRUE(assembly.has_room());
}

TEST(Assembly, ADoubledOrOverlappingPieceIsRefused) {
  Assembly assembly;
  const Packet packet(1);
  EXPECT_FALSE(assembly.take(packet.piece(1000, 3000)));
  EXPECT_FALSE(assembly.take(packet.piece(1000, 3000)));
  EXPECT_FALSE(assembly.take(packet.piece(0, 1001)));
  EXPECT_FALSE(assembly.take(packet.piece(2999, 4000)));
  EXPECT_FALSE(assembly.take(packet.piece(0, 10'000)));
  EXPECT_EQ(assembly.refused(), 4u);
  EXPECT_FALSE(assembly.take(packet.piece(0, 1000)));
  const auto whole = assembly.take(packet.piece(3000, 10'000));
  ASSERT_TRUE(whole);
  EXPECT_TRUE(packet == *whole);
}

TEST(Assembly, AnotherLengthUnderTheSameNumberIsRefused) {
  Assembly assembly;
  EXPECT_FALSE(assembly.take(Packet(1, 10'000).piece(0, 5000)));
  EXPECT_FALSE(assembly.take(Packet(1, 5001).piece(5000, 5001)));
  EXPECT_EQ(assembly.refused(), 1u);
}

TEST(Assembly, MoreHolesThanAnHonestSenderMakesAreRefused) {
  Assembly assembly;
  const Packet packet(1);
  for (std::size_t i = 0; i < 2000; ++i) {
    EXPECT_FALSE(assembly.take(packet.piece(i * 4, i * 4 + 1)));
  }
  EXPECT_EQ(assembly.refused(), 2000u - kPiecesMax);
}

TEST(Assembly, FirstPiecesWithoutEndDoNotKeepPacketsOut) {
  Assembly assembly;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(assembly.take(Packet(1000 + i, 100).piece(0, 50)));
  }
  EXPECT_GE(assembly.incomplete(), 9'900u);
  const Packet packet(1);
  EXPECT_FALSE(assembly.take(packet.piece(0, 5000)));
  EXPECT_TRUE(assembly.take(packet.piece(5000, 10'000)));
}

}  // namespace
}  // namespace cb::link
