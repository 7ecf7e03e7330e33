// SPDX-License-Identifier: Apache-2.0
#include "pairing/rules.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/pairing/nodes.h"

namespace cb::pairing {
namespace {

using test::address;
using test::other_pair;
using test::prefix;

struct Row {
  const char* what;
  Refusal refusal;
  std::function<void(Hello& primary, Hello& secondary)> change;
};

const Row kRows[] = {
    {"as it should be", Refusal::None, [](Hello&, Hello&) {}},
    {"both are primaries", Refusal::PeerNotSecondary,
     [](Hello&, Hello& s) { s.role = core::Role::Primary; }},
    {"both are secondaries", Refusal::SelfNotPrimary,
     [](Hello& p, Hello&) { p.role = core::Role::Secondary; }},
    {"protocols without overlap", Refusal::Protocol,
     [](Hello& p, Hello&) { p.protocol_min = p.protocol_max = 2; }},
    {"protocols that overlap", Refusal::None, [](Hello& p, Hello&) { p.protocol_max = 9; }},
    {"an older secondary", Refusal::SoftwareVersion, [](Hello&, Hello& s) { s.version = "0.0.9"; }},
    {"an older primary", Refusal::SoftwareVersion, [](Hello& p, Hello&) { p.version = "0.0.9"; }},
    {"a newer product on the secondary", Refusal::SoftwareVersion,
     [](Hello& p, Hello& s) {
       p.product_version = "8.0.110.0";
       s.product_version = "8.0.120.0";
     }},
    {"a product without a version of its own on one side", Refusal::SoftwareVersion,
     [](Hello& p, Hello&) { p.product_version = "8.0.110.0"; }},
    {"the same product on both", Refusal::None,
     [](Hello& p, Hello& s) { p.product_version = s.product_version = "8.0.110.0"; }},
    {"one address for both", Refusal::SameNode,
     [](Hello& p, Hello& s) { s.hm_address = p.hm_address; }},
    {"IPv4 and IPv6", Refusal::AddressFamily,
     [](Hello&, Hello& s) { s.hm_address = address("fd00:66::2"); }},
    {"the secondary has another address than was asked for", Refusal::TargetAddress,
     [](Hello& p, Hello&) { p.target = address("10.66.0.9"); }},
    {"the primary is seen under another address", Refusal::SourceAddress,
     [](Hello&, Hello& s) { s.target = address("10.66.0.9"); }},
    {"the primary's subnet is too small for the secondary", Refusal::NotSameSubnet,
     [](Hello& p, Hello&) { p.networks = {prefix("10.66.0.1/31")}; }},
    {"the secondary's subnet is too small for the primary", Refusal::NotSameSubnet,
     [](Hello&, Hello& s) { s.networks = {prefix("10.66.0.2/31")}; }},
    {"the secondary claims a network that it is not in", Refusal::NotSameSubnet,
     [](Hello&, Hello& s) { s.networks = {prefix("10.66.1.2/24")}; }},
    {"no virtual address", Refusal::NoVirtualAddress,
     [](Hello& p, Hello&) { p.virtual_addresses.clear(); }},
    {"the virtual address is the primary's own", Refusal::VirtualIsHealth,
     [](Hello& p, Hello&) { p.virtual_addresses = {prefix("10.66.0.1/24")}; }},
    {"the second virtual address is the secondary's own", Refusal::VirtualIsHealth,
     [](Hello& p, Hello&) { p.virtual_addresses.push_back(prefix("10.66.0.2/32")); }},
    {"a virtual address elsewhere", Refusal::VirtualNotInSubnet,
     [](Hello& p, Hello&) { p.virtual_addresses = {prefix("10.66.1.11/24")}; }},
    {"a virtual address that only the primary could serve", Refusal::VirtualNotInSubnet,
     [](Hello& p, Hello&) {
       p.networks.push_back(prefix("10.67.0.1/24"));
       p.virtual_addresses.push_back(prefix("10.67.0.11/24"));
     }},
    {"a virtual address in a second network of both", Refusal::None,
     [](Hello& p, Hello& s) {
       p.networks.push_back(prefix("10.67.0.1/24"));
       s.networks.push_back(prefix("10.67.0.2/24"));
       p.virtual_addresses.push_back(prefix("10.67.0.11/24"));
     }},
    {"an IPv6 virtual address without an IPv6 network", Refusal::VirtualNotInSubnet,
     [](Hello& p, Hello&) { p.virtual_addresses.push_back(prefix("fd00:66::11/64")); }},
    {"an IPv6 virtual address in a network of both", Refusal::None,
     [](Hello& p, Hello& s) {
       p.networks.push_back(prefix("fd00:66::1/64"));
       s.networks.push_back(prefix("fd00:66::2/64"));
       p.virtual_addresses.push_back(prefix("fd00:66::11/64"));
     }},
    {"a virtual address with a mask of its own", Refusal::None,
     [](Hello& p, Hello&) { p.virtual_addresses = {prefix("10.66.0.11/32")}; }},
    {"all in IPv6", Refusal::None,
     [](Hello& p, Hello& s) {
       p.hm_address = s.target = address("fd00:66::1");
       s.hm_address = p.target = address("fd00:66::2");
       p.networks = {prefix("fd00:66::1/64")};
       s.networks = {prefix("fd00:66::2/64")};
       p.virtual_addresses = {prefix("fd00:66::11/64")};
     }},
    {"no direct link", Refusal::None, [](Hello& p, Hello&) { p.direct = false; }},
};

TEST(Rules, Table) {
  for (const Row& row : kRows) {
    Hello primary = make_hello(test::primary_node(), address("10.66.0.2"));
    Hello secondary = make_hello(test::secondary_node(), address("10.66.0.1"));
    row.change(primary, secondary);
    const Finding finding = check_rules(primary, secondary, {});
    EXPECT_EQ(name_of(finding.refusal), name_of(row.refusal)) << row.what << ": " << finding.detail;
  }
}

TEST(Rules, NameTheValuesThatDoNotFit) {
  Hello primary = make_hello(test::primary_node(), address("10.66.0.2"));
  Hello secondary = make_hello(test::secondary_node(), address("10.66.0.1"));
  secondary.version = "0.2.0";
  EXPECT_EQ(check_rules(primary, secondary, {}).detail,
            "the primary runs 0.1.0, the secondary 0.2.0");
  secondary.version = primary.version;
  primary.virtual_addresses = {prefix("10.66.1.11/24")};
  EXPECT_EQ(check_rules(primary, secondary, {}).detail,
            "10.66.1.11 is not in 10.66.0.1/24 of 10.66.0.1");
}

TEST(Room, ASecondaryTakesSixteenPrimaries) {
  LocalIdentity secondary = test::secondary_node();
  const Hello primary = make_hello(test::primary_node(), secondary.hm_address);
  for (int i = 0; i < CB_PAIRINGS_MAX; ++i) {
    EXPECT_FALSE(check_room(secondary, primary)) << i;
    secondary.pairs.push_back(other_pair(i));
  }
  EXPECT_EQ(check_room(secondary, primary).refusal, Refusal::Capacity);
  // One that it has already finds room.
  secondary.pairs[3].primary_hm = primary.hm_address;
  EXPECT_FALSE(check_room(secondary, primary));
}

TEST(Room, AVirtualAddressBelongsToOnePairing) {
  LocalIdentity secondary = test::secondary_node();
  const Hello primary = make_hello(test::primary_node(), secondary.hm_address);
  config::Pair other = other_pair(0);
  other.virtual_addresses.push_back(primary.virtual_addresses[0]);
  secondary.pairs = {other};
  EXPECT_EQ(check_room(secondary, primary).refusal, Refusal::VirtualInUse);
  secondary.pairs[0].virtual_addresses = {{primary.hm_address, 24}};
  EXPECT_EQ(check_room(secondary, primary).refusal, Refusal::VirtualInUse);
  // It is its own when it pairs again.
  secondary.pairs = {other};
  secondary.pairs[0].primary_hm = primary.hm_address;
  EXPECT_FALSE(check_room(secondary, primary));
}

TEST(MakeHello, OffersTheCableToOnePeerOnly) {
  LocalIdentity secondary = test::secondary_node();
  EXPECT_TRUE(make_hello(secondary, address("10.66.0.1")).direct);
  secondary.pairs = {other_pair(0)};
  EXPECT_TRUE(make_hello(secondary, address("10.66.0.1")).direct);
  secondary.pairs[0].direct = true;
  EXPECT_FALSE(make_hello(secondary, address("10.66.0.1")).direct);
  EXPECT_TRUE(make_hello(secondary, secondary.pairs[0].primary_hm).direct);
}

TEST(MakeHello, HasAFreshNonceEachTime) {
  const LocalIdentity node = test::primary_node();
  EXPECT_NE(make_hello(node, address("10.66.0.2")).nonce,
            make_hello(node, address("10.66.0.2")).nonce);
}

TEST(InstanceNumber, IsThePrimarysWishOrTheFirstFreeOne) {
  LocalIdentity secondary = test::secondary_node();
  Hello primary = make_hello(test::primary_node(), address("10.66.0.2"));
  primary.instance_number = 3;
  EXPECT_EQ(instance_number_for(secondary, primary), 3u);
  secondary.pairs = {other_pair(0), other_pair(1)};
  secondary.pairs[0].instance_number = 3;
  secondary.pairs[1].instance_number = 4;
  EXPECT_EQ(instance_number_for(secondary, primary), 5u);
  primary.instance_number = 9;
  EXPECT_EQ(instance_number_for(secondary, primary), 9u);
  // Paired anew it keeps its own.
  primary.instance_number = 4;
  primary.hm_address = secondary.pairs[1].primary_hm;
  EXPECT_EQ(instance_number_for(secondary, primary), 4u);
}

TEST(Identity, LeavesVirtualAddressesOutOfItsNetworks) {
  config::Node node;
  node.role = core::Role::Secondary;
  node.name = "mse2";
  node.network_interface = "eth0";
  node.hm_address = address("10.66.0.2");
  config::MachineFacts machine;
  machine.interfaces.push_back({"eth1", true, true, {prefix("10.9.0.2/24")}});
  machine.interfaces.push_back(
      {"eth0",
       true,
       true,
       {prefix("10.66.0.150/32"), prefix("10.66.7.2/24"), prefix("10.66.0.2/24")}});
  const LocalIdentity self = identity_of(node, machine, "0.1.0", "udi", {other_pair(0)});
  // The health monitor address's network comes first; 10.66.0.150 is held for a peer just now.
  EXPECT_EQ(self.networks,
            (std::vector<config::Prefix>{prefix("10.66.0.2/24"), prefix("10.66.7.2/24")}));
}

}  // namespace
}  // namespace cb::pairing
