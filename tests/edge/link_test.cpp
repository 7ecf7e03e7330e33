// SPDX-License-Identifier: Apache-2.0
#include "edge/link.h"

#include <algorithm>
#include <fstream>

#include "tests/base/temporary_folder.h"
#include "tests/edge/bed.h"

namespace cb::test {
namespace {

using edge::LinkFacts;
using edge::LinkState;

class LinkEdgeTest : public NetworkTest {
 protected:
  void open(std::vector<std::string> interfaces = {"edg0"}) {
    auto opened = edge::LinkEdge::open(*loop, *hands, std::move(interfaces),
                                       [this](const LinkFacts& now, const LinkFacts& before) {
                                         EXPECT_NE(now, before);
                                         seen.push_back(now);
                                       });
    ASSERT_TRUE(opened) << to_text(opened.error());
    links = std::move(*opened);
  }
  bool becomes(LinkState state) {
    return until([&] { return links->facts("edg0").state == state; });
  }

  std::unique_ptr<edge::LinkEdge> links;
  std::vector<LinkFacts> seen;
};

TEST_F(LinkEdgeTest, KnowsTheFactsFromTheStart) {
  open();
  const LinkFacts& facts = links->facts("edg0");
  EXPECT_EQ(facts.state, LinkState::Up);
  EXPECT_EQ(facts.index, static_cast<int>(if_nametoindex("edg0")));
  EXPECT_EQ(facts.mac, mac("02:00:00:00:00:01"));
  EXPECT_EQ(facts.mtu, 1500u);
  EXPECT_EQ(facts.addresses, std::vector{prefix("10.99.0.1/24")});
  EXPECT_TRUE(seen.empty());
}

TEST_F(LinkEdgeTest, TellsCarrierLossAndCarrierFromBeingSetDown) {
  open();
  bed.peer_run("ip link set edg1 down");
  EXPECT_TRUE(becomes(LinkState::NoCarrier));
  bed.peer_run("ip link set edg1 up");
  EXPECT_TRUE(becomes(LinkState::Up));
  bed.node("ip link set edg0 down");
  EXPECT_TRUE(becomes(LinkState::Down));
  bed.node("ip link set edg0 up");
  EXPECT_TRUE(becomes(LinkState::Up));
}

TEST_F(LinkEdgeTest, FollowsAnInterfaceThatGoesAndComesBackUnderAnotherIndex) {
  open();
  const int before = links->facts("edg0").index;
  bed.node("ip link del edg0");
  EXPECT_TRUE(becomes(LinkState::Gone));
  EXPECT_EQ(links->facts("edg0").index, 0);
  EXPECT_TRUE(links->facts("edg0").addresses.empty());
  bed.make_veth();
  EXPECT_TRUE(becomes(LinkState::Up));
  EXPECT_NE(links->facts("edg0").index, before);
  EXPECT_TRUE(until([&] { return links->facts("edg0").addresses.size() == 1; }));
}

TEST_F(LinkEdgeTest, AnInterfaceThatIsRenamedIsGone) {
  open();
  bed.node("ip link set edg0 down");
  bed.node("ip link set edg0 name edg9");
  EXPECT_TRUE(becomes(LinkState::Gone));
  bed.node("ip link set edg9 name edg0");
  EXPECT_TRUE(becomes(LinkState::Down));
}

TEST_F(LinkEdgeTest, LeavingABridgeIsNotTheEndOfAnInterface) {
  open();
  bed.node("ip link add edg-br type bridge");
  bed.node("ip link set edg0 master edg-br");
  bed.node("ip link set edg0 nomaster");
  bed.node("ip link set edg0 mtu 1400");
  EXPECT_TRUE(until([&] { return links->facts("edg0").mtu == 1400; }));
  EXPECT_TRUE(std::none_of(seen.begin(), seen.end(),
                           [](const LinkFacts& facts) { return facts.state == LinkState::Gone; }));
}

TEST_F(LinkEdgeTest, TellsAnotherMacAndAddresses) {
  open();
  bed.node("ip link set edg0 address 02:00:00:00:00:77");
  EXPECT_TRUE(until([&] { return links->facts("edg0").mac == mac("02:00:00:00:00:77"); }));
  bed.node("ip addr add 10.99.0.9/24 dev edg0");
  EXPECT_TRUE(until([&] { return links->facts("edg0").addresses.size() == 2; }));
  bed.node("ip addr del 10.99.0.9/24 dev edg0");
  EXPECT_TRUE(until([&] { return links->facts("edg0").addresses.size() == 1; }));
}

TEST_F(LinkEdgeTest, IsQuietAboutOtherInterfaces) {
  open();
  bed.node("ip link add edg-other type veth peer name edg-else");
  bed.node("ip addr add 10.77.0.1/24 dev edg-other");
  bed.node("ip link set edg-other up");
  bed.node("ip link set edg0 mtu 1400");
  EXPECT_TRUE(until([&] { return links->facts("edg0").mtu == 1400; }));
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(),
                          [](const LinkFacts& facts) { return facts.name == "edg0"; }));
}

TEST_F(LinkEdgeTest, AnInterfaceThatIsNotThereYetIsGoneUntilItComes) {
  open({"edg0", "edg-late"});
  EXPECT_EQ(links->facts("edg-late").state, LinkState::Gone);
  bed.node("ip link add edg-late type veth peer name edg-else");
  EXPECT_TRUE(until([&] { return links->facts("edg-late").state == LinkState::Down; }));
}

TEST_F(LinkEdgeTest, ReadsEverythingAnewWhenNoticesWereLost) {
  open();
  TemporaryFolder folder;
  {
    std::ofstream batch(folder.at("batch"));
    for (int i = 0; i < 8000; ++i) {
      batch << "addr add 10.98.0.1/32 dev edg0\naddr del 10.98.0.1/32 dev edg0\n";
    }
    batch << "link set edg0 down\n";
  }
  bed.node("ip -batch " + folder.at("batch"));
  EXPECT_TRUE(becomes(LinkState::Down));
}

}  // namespace
}  // namespace cb::test
