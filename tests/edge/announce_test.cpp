// SPDX-License-Identifier: Apache-2.0
#include "edge/announce.h"

#include <cerrno>

#include "base/clock.h"
#include "edge/frames.h"
#include "tests/edge/bed.h"

namespace cb::test {
namespace {

const config::Prefix kVirtual = prefix("10.99.0.11/24");
const config::Prefix kVirtual6 = prefix("fd00:99::11/64");

Bytes bytes_of(std::span<const std::uint8_t> frame) { return {frame.begin(), frame.end()}; }

class AnnounceEdgeTest : public NetworkTest {
 protected:
  AnnounceEdgeTest() : wire(bed.in_peer([] { return std::make_unique<Wire>("edg1"); })) {
    // Only what is announced: a kernel may send of its own accord (neighbour discovery, IGMP).
    wire->listen(*loop, [this](const Bytes& frame) {
      if (is_announcement(frame)) {
        seen.push_back(frame);
        times.push_back(boottime_now());
      }
    });
  }

  static bool is_announcement(const Bytes& frame) {
    if (const auto arp = edge::parse_arp(frame)) {
      return arp->sender == arp->target;
    }
    return frame.size() == edge::kNaFrameBytes && frame[54] == 136;
  }

  void open(std::vector<Duration> schedule = {}, Duration refresh = {}) {
    auto opened = edge::AnnounceEdge::open(*loop, {"edg0", std::move(schedule), refresh});
    ASSERT_TRUE(opened) << to_text(opened.error());
    announce = std::move(*opened);
  }
  int announce_now(std::vector<config::Prefix> addresses) {
    int result = -1;
    announce->announce(addresses, [&](int error) { result = error; });
    EXPECT_GE(result, 0) << "the answer comes before it returns";
    return result;
  }
  bool arrive(std::size_t count) {
    return until([&] { return seen.size() >= count; });
  }

  std::unique_ptr<Wire> wire;
  std::unique_ptr<edge::AnnounceEdge> announce;
  std::vector<Bytes> seen;
  std::vector<Instant> times;
};

TEST_F(AnnounceEdgeTest, SendsRequestAndReplyByteExact) {
  open();
  EXPECT_EQ(announce_now({kVirtual}), 0);
  ASSERT_TRUE(arrive(2));
  const Mac self = mac("02:00:00:00:00:01");
  EXPECT_EQ(seen[0], bytes_of(edge::to_frame(edge::gratuitous_request(self, v4("10.99.0.11")))));
  EXPECT_EQ(seen[1], bytes_of(edge::to_frame(edge::gratuitous_reply(self, v4("10.99.0.11")))));
  EXPECT_EQ(announce->stats().sent, 2u);
}

TEST_F(AnnounceEdgeTest, SendsAnUnsolicitedAdvertisementForIpv6) {
  open();
  EXPECT_EQ(announce_now({kVirtual6}), 0);
  ASSERT_TRUE(arrive(1));
  EXPECT_EQ(seen[0], bytes_of(edge::unsolicited_na(mac("02:00:00:00:00:01"),
                                                   Ipv6{kVirtual6.address.bytes})));
}

// The peer's kernel is the judge: it takes the address over although it had just learnt another
// place.
TEST_F(AnnounceEdgeTest, MovesTheEntryOfAKernelThatKnewAnotherPlace) {
  open();
  const Instant limit = boottime_now() + Duration::from_s(10);
  while (bed.peer_run("ip -6 route show table all").find("multicast ff00::/8 dev edg1") ==
         std::string::npos) {
    ASSERT_LT(boottime_now(), limit) << "the peer's IPv6 does not get ready";
  }
  bed.node("ip addr add 10.99.0.11/32 dev edg0");
  bed.node("ip addr add fd00:99::11/128 dev edg0 nodad");
  bed.peer_run("ip neigh add 10.99.0.11 lladdr 02:00:00:00:00:99 dev edg1 nud reachable");
  bed.peer_run("ip neigh add fd00:99::11 lladdr 02:00:00:00:00:99 dev edg1 nud reachable");
  EXPECT_EQ(announce_now({kVirtual, kVirtual6}), 0);
  ASSERT_TRUE(arrive(3));
  EXPECT_NE(bed.peer_run("ip neigh show 10.99.0.11").find("02:00:00:00:00:01"), std::string::npos);
  EXPECT_NE(bed.peer_run("ip neigh show fd00:99::11").find("02:00:00:00:00:01"), std::string::npos);
}

TEST_F(AnnounceEdgeTest, KeepsTheScheduleAndThenRefreshes) {
  open({Duration{}, Duration::from_ms(20), Duration::from_ms(60)}, Duration::from_ms(50));
  const Instant began = boottime_now();
  EXPECT_EQ(announce_now({kVirtual6}), 0);  // one frame each
  ASSERT_TRUE(arrive(5));
  const std::vector<Duration> least = {Duration{}, Duration::from_ms(20), Duration::from_ms(60),
                                       Duration::from_ms(110), Duration::from_ms(160)};
  for (std::size_t i = 0; i < least.size(); ++i) {
    EXPECT_GE(times[i] - began, least[i]) << i;
  }
}

TEST_F(AnnounceEdgeTest, IsSilentAfterStop) {
  open({Duration{}, Duration::from_ms(10), Duration::from_ms(20)}, Duration::from_ms(10));
  EXPECT_EQ(announce_now({kVirtual, kVirtual6}), 0);
  ASSERT_TRUE(arrive(6));
  announce->stop({kVirtual});
  turn_for(Duration::from_ms(20));
  seen.clear();
  turn_for(Duration::from_ms(50));
  EXPECT_FALSE(seen.empty()) << "the other address is still announced";
  for (const Bytes& frame : seen) {
    EXPECT_FALSE(edge::parse_arp(frame)) << "ARP of the stopped address";
  }
  announce->stop({kVirtual6});
  turn_for(Duration::from_ms(20));
  seen.clear();
  turn_for(Duration::from_ms(50));
  EXPECT_TRUE(seen.empty());
}

TEST_F(AnnounceEdgeTest, BeginsAgainOnDemandAndOnlyForWhatIsHeld) {
  open({Duration{}, Duration::from_ms(5)});
  EXPECT_EQ(announce_now({kVirtual6}), 0);
  ASSERT_TRUE(arrive(2));
  turn_for(Duration::from_ms(30));
  EXPECT_EQ(seen.size(), 2u);
  announce->again();
  ASSERT_TRUE(arrive(4));
  announce->again(kVirtual6);
  ASSERT_TRUE(arrive(6));
  announce->again(kVirtual);  // not announced now
  turn_for(Duration::from_ms(30));
  EXPECT_EQ(seen.size(), 6u);
}

TEST_F(AnnounceEdgeTest, SaysThatAFilterDoesNotLetItThrough) {
  open();
  {
    const ClosedGate gate("edg0");
    EXPECT_EQ(announce_now({kVirtual}), ENOBUFS);
    EXPECT_EQ(announce->stats().refused, 2u);
    turn_for(Duration::from_ms(10));
    EXPECT_TRUE(seen.empty());
  }
  announce->again();
  EXPECT_TRUE(arrive(2));
}

TEST_F(AnnounceEdgeTest, FollowsAnInterfaceThatIsReplaced) {
  open();
  bed.node("ip link del edg0");
  EXPECT_EQ(announce_now({kVirtual}), ENODEV);
  bed.make_veth();
  bed.node("ip link set edg0 address 02:00:00:00:00:55");
  wire = bed.in_peer([] { return std::make_unique<Wire>("edg1"); });
  wire->listen(*loop, [this](const Bytes& frame) { seen.push_back(frame); });
  EXPECT_EQ(announce->send_once(kVirtual.address), 0);
  EXPECT_TRUE(until([&] {
    const auto arp = seen.empty() ? std::nullopt : edge::parse_arp(seen.back());
    return arp && arp->sender_mac == mac("02:00:00:00:00:55");
  }));
}

TEST_F(AnnounceEdgeTest, AnInterfaceThatIsDownIsAnError) {
  open();
  bed.node("ip link set edg0 down");
  EXPECT_EQ(announce_now({kVirtual}), ENETDOWN);
}

}  // namespace
}  // namespace cb::test
