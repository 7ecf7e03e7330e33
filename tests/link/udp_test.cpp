// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>

#include "tests/link/ends.h"

namespace cb::test {
namespace {

std::unique_ptr<link::Link> open_udp_link(loop::Loop& loop, link::UdpOptions options) {
  auto link = link::open(loop, options);
  EXPECT_TRUE(link) << to_text(link.error());
  return std::move(*link);
}

class UdpPair {
 public:
  explicit UdpPair(Cabling cabling = {}, link::UdpOptions options = {}) {
    programs_ = cable(bed, cabling);
    options.interface = "edg0";
    options.self = v4("10.99.0.1");
    options.peer = v4("10.99.0.2");
    near = std::make_unique<End>(*loop, open_udp_link(*loop, options));
    options.interface = "edg1";
    std::swap(options.self, options.peer);
    far = std::make_unique<End>(*loop, bed.in_peer([&] { return open_udp_link(*loop, options); }));
  }

  Bed bed;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::unique_ptr<End> near, far;

 private:
  std::vector<std::unique_ptr<Xdp>> programs_;
};

class UdpLinkOver : public testing::TestWithParam<Cabling> {};

TEST_P(UdpLinkOver, CarriesPacketsBothWays) {
  for (const bool segmentation : {true, false}) {
    UdpPair pair(GetParam(), {.segmentation = segmentation});
    const std::size_t most = pair.near->link().packet_max();
    EXPECT_EQ(most, GetParam().mtu - 28);
    const auto packets = [&] {
      std::vector<Bytes> all = {packet(1, 0), packet(most - 1, 1), packet(500, 2)};
      for (std::size_t i = 0; i < 150; ++i) {
        all.push_back(packet(most, i));
      }
      all.push_back(packet(70, 9));
      return all;
    };
    for (int round = 0; round < 5; ++round) {
      expect_carried(*pair.loop, *pair.near, *pair.far, packets());
      expect_carried(*pair.loop, *pair.far, *pair.near, packets());
    }
    EXPECT_EQ(pair.near->facts().refused, 0u);
    EXPECT_EQ(pair.near->facts().dropped_here, 0u);
    EXPECT_EQ(pair.near->facts().how.starts_with("UDP, segmentation offload"), segmentation)
        << pair.near->facts().how;
  }
}

INSTANTIATE_TEST_SUITE_P(Cables, UdpLinkOver,
                         testing::Values(Cabling{1500, false, false}, Cabling{1500, false, true},
                                         Cabling{1500, true, true}, Cabling{9000, false, false},
                                         Cabling{9000, true, true}),
                         [](const auto& of) { return text_of(of.param); });

TEST(UdpLink, FollowsMtuAndCarrier) {
  UdpPair pair;
  pair.bed.node("ip link set edg0 mtu 1400");
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->link().packet_max() == 1372; }));
  EXPECT_GT(pair.near->changes, 0);
  pair.near->send({packet(1400, 1)});
  EXPECT_TRUE(pair.near->idle());
  EXPECT_EQ(pair.near->facts().refused, 1u) << "nothing is sent in fragments";
  pair.bed.node("ip link set edg0 down");
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return !pair.near->facts().carrier; }));
  pair.near->send({packet(100, 1)});
  EXPECT_TRUE(pair.near->idle());
  pair.bed.node("ip link set edg0 up");
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().carrier; }));
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(1372, 1), packet(100, 2)});
}

TEST(UdpLink, FindsAnInterfaceThatWasReplaced) {
  UdpPair pair;
  pair.bed.node("ip link del edg0");
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->link().packet_max() == 0; }));
  pair.near->send({packet(100, 1)});
  EXPECT_TRUE(pair.near->idle());
  pair.bed.make_veth();
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->link().packet_max() == 1472; }));
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(1472, 1), packet(100, 2)});
  expect_carried(*pair.loop, *pair.far, *pair.near, {packet(1472, 1), packet(100, 2)});
}

TEST(UdpLink, WaitsForItsAddressAndRoute) {
  Bed bed;
  auto loop = open_loop();
  bed.node("ip addr del 10.99.0.1/24 dev edg0");
  End near(*loop,
           open_udp_link(*loop,
                         {.interface = "edg0", .self = v4("10.99.0.1"), .peer = v4("10.99.0.2")}));
  EXPECT_EQ(near.link().packet_max(), 0u);
  EXPECT_TRUE(near.facts().how.starts_with("no route to the peer")) << near.facts().how;
  bed.node("ip addr add 10.99.0.1/24 dev edg0");
  ASSERT_TRUE(turn_until(*loop, [&] { return near.link().packet_max() == 1472; }));
  End far(*loop, bed.in_peer([&] {
    return open_udp_link(*loop,
                         {.interface = "edg1", .self = v4("10.99.0.2"), .peer = v4("10.99.0.1")});
  }));
  expect_carried(*loop, near, far, {packet(1472, 1)});
}

// Until the peer's process runs its kernel says "port unreachable", which ends nothing.
TEST(UdpLink, OutlivesAPeerThatIsNotThere) {
  Bed bed;
  auto loop = open_loop();
  End near(*loop,
           open_udp_link(*loop,
                         {.interface = "edg0", .self = v4("10.99.0.1"), .peer = v4("10.99.0.2")}));
  for (int i = 0; i < 10; ++i) {
    near.send({packet(100, 1), packet(100, 2)});
    ASSERT_TRUE(loop->turn(boottime_now()));
  }
  EXPECT_TRUE(near.idle());
  End far(*loop, bed.in_peer([&] {
    return open_udp_link(*loop,
                         {.interface = "edg1", .self = v4("10.99.0.2"), .peer = v4("10.99.0.1")});
  }));
  // The first may be told of what became of an earlier one.
  ASSERT_TRUE(turn_until(*loop, [&] {
    near.send({packet(100, 3)});
    return far.received() > 0;
  }));
}

TEST(UdpLink, HearsOnlyItsPeer) {
  UdpPair pair;
  pair.bed.peer_run("ip addr add 10.99.0.3/24 dev edg1");
  const Fd stranger = pair.bed.in_peer([] {
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_port = __builtin_bswap16(link::kPort);
    self.sin_addr.s_addr = __builtin_bswap32(0x0a630003);
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&self), sizeof self), 0);
    sockaddr_in to = self;
    to.sin_addr.s_addr = __builtin_bswap32(0x0a630001);
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return socket;
  });
  for (int i = 0; i < 100; ++i) {
    const Bytes bytes = packet(100, 1);
    static_cast<void>(::send(stranger.get(), bytes.data(), bytes.size(), 0));
  }
  expect_carried(*pair.loop, *pair.far, *pair.near, {packet(100, 2)});
  EXPECT_EQ(pair.near->received(), 1u);
}

TEST(UdpLink, CountsWhatItHadNoRoomFor) {
  UdpPair pair({}, {.segmentation = false, .receive_bytes = 256 * 1024});
  pair.far->keeps = false;
  constexpr std::size_t kCount = 2000;
  for (std::size_t i = 0; i < kCount; ++i) {
    pair.near->send({packet(1000, i)});
  }
  ASSERT_TRUE(turn_until(
      *pair.loop, [&] { return pair.far->received() + pair.far->facts().dropped_here >= kCount; }));
  EXPECT_GT(pair.far->facts().dropped_here, 0u);
  EXPECT_GT(pair.far->received(), 50u);
}

TEST(UdpLink, AnEmptyDatagramIsForeign) {
  UdpPair pair;
  const Fd same = pair.bed.in_peer([] {
    Fd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = __builtin_bswap32(0x0a630001);
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return socket;
  });
  const std::array<std::uint8_t, 8> header = {
      link::kPort >> 8, link::kPort & 0xff, link::kPort >> 8, link::kPort & 0xff, 0, 8, 0, 0};
  ASSERT_EQ(::send(same.get(), header.data(), header.size(), 0), 8);
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().foreign == 1; }));
  EXPECT_EQ(pair.near->received(), 0u);
}

}  // namespace
}  // namespace cb::test
