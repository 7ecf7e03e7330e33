// SPDX-License-Identifier: Apache-2.0
//
// Who has these addresses? Asked before two nodes are paired.
#include <vector>

#include "edge/arp.h"
#include "edge/frames.h"
#include "tests/edge/bed.h"

namespace cb::test {
namespace {

using edge::ArpEdge;

const Ipv4 kPeer = v4("10.99.0.254");
const Ipv4 kVirtual = v4("10.99.0.11");
const Mac kPeerMac = mac("02:00:00:00:00:02");
const Mac kStranger = mac("02:00:00:00:00:99");

class ArpLookTest : public NetworkTest {
 protected:
  ArpLookTest() : wire(bed.in_peer([] { return std::make_unique<Wire>("edg1"); })) {
    auto opened = ArpEdge::open(*loop, {"edg0", v4("10.99.0.1")});
    EXPECT_TRUE(opened) << to_text(opened.error());
    arp = std::move(*opened);
  }
  std::vector<ArpEdge::Seen> look() {
    std::optional<std::vector<ArpEdge::Seen>> seen;
    arp->look({kPeer, kVirtual}, Duration::from_ms(40), [&](const auto& found) {
      EXPECT_FALSE(seen.has_value()) << "answered twice";
      seen = found;
    });
    EXPECT_FALSE(seen.has_value()) << "answered before the turn";
    EXPECT_TRUE(until([&] { return seen.has_value(); }));
    return seen.value_or(std::vector<ArpEdge::Seen>{});
  }

  std::unique_ptr<Wire> wire;
  std::unique_ptr<ArpEdge> arp;
};

TEST_F(ArpLookTest, FindsWhoAnswersAndNobodyElse) {
  EXPECT_TRUE(look().empty());
  bed.peer_run("ip addr add 10.99.0.254/24 dev edg1");
  EXPECT_EQ(look(), (std::vector<ArpEdge::Seen>{{kPeer, kPeerMac}}));
}

TEST_F(ArpLookTest, TellsOfEveryMachineThatClaimsAnAddress) {
  bed.peer_run("ip addr add 10.99.0.254/24 dev edg1");
  std::optional<std::vector<ArpEdge::Seen>> seen;
  arp->look({kPeer, kVirtual}, Duration::from_ms(40), [&](const auto& found) { seen = found; });
  for (const Ipv4& address : {kVirtual, kPeer, v4("10.99.0.77")}) {
    wire->send(
        edge::to_frame(edge::Arp{edge::ArpOperation::Reply, kStranger, mac("02:00:00:00:00:01"),
                                 kStranger, address, mac("02:00:00:00:00:01"), v4("10.99.0.1")}));
  }
  ASSERT_TRUE(until([&] { return seen.has_value(); }));
  EXPECT_EQ(seen->size(), 3u);
  for (const ArpEdge::Seen& wanted :
       {ArpEdge::Seen{kPeer, kPeerMac}, {kPeer, kStranger}, {kVirtual, kStranger}}) {
    EXPECT_NE(std::find(seen->begin(), seen->end(), wanted), seen->end());
  }
}

TEST_F(ArpLookTest, FindsNobodyOnADeadInterfaceAndMayBeCancelled) {
  bed.peer_run("ip addr add 10.99.0.254/24 dev edg1");
  // Down before anything is asked: an answer that has come already would count, and rightly so.
  bed.node("ip link set edg0 down");
  bool called = false;
  arp->cancel(arp->look({kPeer}, Duration::from_ms(4), [&](const auto&) { called = true; }));
  EXPECT_TRUE(look().empty());
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace cb::test
