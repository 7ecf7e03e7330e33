// SPDX-License-Identifier: Apache-2.0
#include "tests/link/ends.h"

namespace cb::test {
namespace {

class PacketLinkOver : public testing::TestWithParam<Cabling> {};

std::vector<Bytes> packets_of_all_sizes(link::Link& link, std::size_t mtu) {
  const std::size_t most = link.packet_max();
  std::vector<Bytes> packets;
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{37}, std::size_t{38}, std::size_t{39}, std::size_t{1000},
        mtu - 9, mtu - 8, mtu - 7, mtu + 1, std::size_t{20'000}, most - 1, most}) {
    if (size <= most) {
      packets.push_back(packet(size, packets.size()));
    }
  }
  return packets;
}

TEST_P(PacketLinkOver, CarriesPacketsOfAllSizesBothWays) {
  Pair pair(GetParam());
  ASSERT_TRUE(pair.wait_for_superframes()) << pair.near->facts().how;
  EXPECT_EQ(pair.near->link().packet_max(), GetParam().mtu == 1500 ? 44u * 1460 : 7u * 8960);
  for (int round = 0; round < 3; ++round) {
    expect_carried(*pair.loop, *pair.near, *pair.far,
                   packets_of_all_sizes(pair.near->link(), GetParam().mtu));
    expect_carried(*pair.loop, *pair.far, *pair.near,
                   packets_of_all_sizes(pair.far->link(), GetParam().mtu));
  }
  for (End* end : {pair.near.get(), pair.far.get()}) {
    EXPECT_EQ(end->facts().dropped_here, 0u);
    EXPECT_EQ(end->facts().refused, 0u);
    EXPECT_EQ(end->facts().foreign, 0u);
    EXPECT_EQ(end->facts().incomplete, 0u);
    EXPECT_TRUE(end->facts().how.starts_with("superframes")) << end->facts().how;
  }
}

TEST_P(PacketLinkOver, CarriesAStreamOfLargePackets) {
  Pair pair(GetParam());
  ASSERT_TRUE(pair.wait_for_superframes());
  for (std::size_t round = 0; round < 10; ++round) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < 30; ++i) {
      packets.push_back(packet(pair.near->link().packet_max(), i + 30 * round));
    }
    expect_carried(*pair.loop, *pair.near, *pair.far, std::move(packets));
  }
}

TEST_P(PacketLinkOver, HandsShortAndLongPacketsOverAsTheyWereSent) {
  Pair pair(GetParam());
  ASSERT_TRUE(pair.wait_for_superframes());
  const std::size_t most = pair.near->link().packet_max();
  std::vector<Bytes> packets;
  for (const std::size_t size : {most, std::size_t{100}, most, most, most, most, std::size_t{500},
                                 std::size_t{20'000}, std::size_t{1}, most, most}) {
    packets.push_back(packet(size, packets.size()));
  }
  pair.far->arrived.clear();
  pair.near->send(packets);
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.far->arrived.size() >= packets.size(); }));
  EXPECT_TRUE(pair.far->arrived == packets);
}

TEST_P(PacketLinkOver, CarriesPlainFramesWhereSuperframesAreNotWanted) {
  Pair pair(GetParam(), {.superframes = link::Superframes::Never});
  EXPECT_EQ(pair.near->link().packet_max(), GetParam().mtu - 8);
  for (std::size_t round = 0; round < 5; ++round) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < 100; ++i) {
      packets.push_back(packet(pair.near->link().packet_max(), i));
    }
    expect_carried(*pair.loop, *pair.near, *pair.far, std::move(packets));
  }
  EXPECT_EQ(pair.near->facts().how, "plain frames, as configured");
}

INSTANTIATE_TEST_SUITE_P(Cables, PacketLinkOver,
                         testing::Values(Cabling{1500, false, false}, Cabling{1500, false, true},
                                         Cabling{1500, true, false}, Cabling{1500, true, true},
                                         Cabling{9000, false, false}, Cabling{9000, false, true},
                                         Cabling{9000, true, false}, Cabling{9000, true, true}),
                         [](const auto& of) { return text_of(of.param); });

TEST(PacketLink, FollowsTheMtu) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  const int changes = pair.near->changes;
  pair.bed.node("ip link set edg0 mtu 9000");
  pair.bed.peer_run("ip link set edg1 mtu 9000");
  ASSERT_TRUE(turn_until(*pair.loop, [&] {
    return pair.near->link().packet_max() == 7 * 8960 && pair.far->link().packet_max() == 7 * 8960;
  }));
  EXPECT_GT(pair.near->changes, changes);
  expect_carried(*pair.loop, *pair.near, *pair.far,
                 {packet(8992, 1), packet(7 * 8960, 2), packet(100, 3)});
  pair.bed.node("ip link set edg0 mtu 1000");  // too small for superframes to be worth it
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->link().packet_max() == 992; }));
  pair.near->send({packet(5000, 1)});
  EXPECT_EQ(pair.near->facts().refused, 1u) << "what no longer fits is counted and gone";
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(992, 1)});
}

TEST(PacketLink, FollowsTheCarrier) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  EXPECT_TRUE(pair.near->facts().carrier);
  const int changes = pair.near->changes;
  pair.bed.peer_run("ip link set edg1 down");
  ASSERT_TRUE(turn_until(
      *pair.loop, [&] { return !pair.near->facts().carrier && !pair.far->facts().carrier; }));
  EXPECT_GT(pair.near->changes, changes);
  pair.far->send({packet(100, 1), packet(100, 2)});
  EXPECT_TRUE(pair.far->idle()) << "what cannot leave is not kept";
  EXPECT_EQ(pair.far->facts().refused, 2u);
  pair.bed.peer_run("ip link set edg1 up");
  ASSERT_TRUE(turn_until(*pair.loop,
                         [&] { return pair.near->facts().carrier && pair.far->facts().carrier; }));
  ASSERT_TRUE(pair.wait_for_superframes());
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, 1), packet(100, 2)});
  expect_carried(*pair.loop, *pair.far, *pair.near, {packet(50'000, 1), packet(100, 2)});
}

TEST(PacketLink, FindsAnInterfaceThatWasReplaced) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  for (int round = 0; round < 2; ++round) {
    pair.bed.node("ip link del edg0");
    ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->link().packet_max() == 0; }));
    EXPECT_EQ(pair.near->facts().how, "no such interface");
    pair.near->send({packet(100, 1)});
    EXPECT_TRUE(pair.near->idle());
    pair.bed.make_veth();
    ASSERT_TRUE(pair.wait_for_superframes());
    expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, 1), packet(100, 2)});
    expect_carried(*pair.loop, *pair.far, *pair.near, {packet(50'000, 1), packet(100, 2)});
  }
}

TEST(PacketLink, LearnsTheAddressOfAPeerWithAnotherCard) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  pair.bed.peer_run("ip link set edg1 down");
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return !pair.near->facts().carrier; }));
  pair.bed.peer_run("ip link set edg1 address 02:00:00:00:00:77");
  pair.bed.peer_run("ip link set edg1 up");
  ASSERT_TRUE(turn_until(*pair.loop, [&] {
    pair.near->send({packet(100, 1)});
    return pair.far->received() > 0;
  }));
}

TEST(PacketLink, BelievesWhoKnowsThePeer) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  pair.near_raw->set_peer(mac("02:00:00:00:00:99"));
  pair.far->send({packet(100, 1), packet(50'000, 2)});
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().foreign >= 2; }));
  EXPECT_EQ(pair.near->received(), 0u);
  pair.near_raw->set_peer(mac("02:00:00:00:00:02"));
  expect_carried(*pair.loop, *pair.far, *pair.near, {packet(100, 1), packet(50'000, 2)});
}

TEST(PacketLink, KeepsChannelsApart) {
  Pair pair;
  const auto other = [&](const char* interface) {
    return open_packet_link(*pair.loop, {.interface = interface, .channel = 9});
  };
  End near(*pair.loop, other("edg0"));
  End far(*pair.loop, pair.bed.in_peer([&] { return other("edg1"); }));
  ASSERT_TRUE(pair.wait_for_superframes());
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return Pair::large(near) && Pair::large(far); }));
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(100, 1), packet(50'000, 2)});
  expect_carried(*pair.loop, near, far, {packet(100, 3), packet(50'000, 4)});
  EXPECT_EQ(far.received(), 2u);
  EXPECT_EQ(pair.far->received(), 2u);
  EXPECT_EQ(far.facts().foreign + pair.far->facts().foreign, 0u);
}

// Nobody takes a turn meanwhile, so the rings fill up.
TEST(PacketLink, CountsWhatItsRingsHadNoRoomFor) {
  Pair pair({}, {.ring_bytes = 1 << 20});
  ASSERT_TRUE(pair.wait_for_superframes());
  constexpr std::size_t kSmall = 3000;
  constexpr std::size_t kLarge = 60;
  for (std::size_t i = 0; i < kSmall; ++i) {
    pair.near->send({packet(1000, i)});
  }
  for (std::size_t i = 0; i < kLarge; ++i) {
    pair.near->send({packet(60'000, i)});
  }
  pair.far->keeps = false;
  ASSERT_TRUE(turn_until(*pair.loop, [&] {
    return pair.far->received() + pair.far->facts().dropped_here >= kSmall + kLarge;
  }));
  EXPECT_GT(pair.far->facts().dropped_here, 0u);
  EXPECT_GT(pair.far->received(), 500u);
  pair.far->keeps = true;
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, 1), packet(100, 2)});
}

TEST(PacketLink, WorksOnAnInterfaceThatComesLater) {
  Bed bed;
  auto loop = open_loop();
  bed.node("ip link del edg0");
  End near(*loop, open_packet_link(*loop, {.interface = "edg0"}));
  EXPECT_EQ(near.link().packet_max(), 0u);
  bed.make_veth();
  End far(*loop, bed.in_peer([&] { return open_packet_link(*loop, {.interface = "edg1"}); }));
  ASSERT_TRUE(turn_until(*loop, [&] { return Pair::large(near) && Pair::large(far); }));
  expect_carried(*loop, near, far, {packet(50'000, 1), packet(100, 2)});
}

TEST(PacketLink, RefusesAnImpossibleName) {
  auto loop = open_loop();
  EXPECT_FALSE(link::open_packet(*loop, {.interface = ""}));
  EXPECT_FALSE(link::open_packet(*loop, {.interface = "a-name-of-17-char"}));
}

}  // namespace
}  // namespace cb::test
