// SPDX-License-Identifier: Apache-2.0
//
// The guard: which frames it judges, and when the address is open.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

constexpr auto kOn = static_cast<uint32_t>(TC_ACT_UNSPEC);
constexpr auto kShot = static_cast<uint32_t>(TC_ACT_SHOT);

constexpr Ipv4 kVip{{192, 0, 2, 100}};
constexpr Ipv4 kClientIp{{192, 0, 2, 50}};
constexpr Mac kClient{{2, 0, 0, 0, 0, 5}};
constexpr Ipv6 kVip6{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}};
constexpr Ipv6 kClientIp6{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}};
constexpr Ipv6 kNearIp6{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr Ipv6 kSolicited{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 1, 0}};
constexpr Ipv6 kAllNodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr unsigned kSlot = 9;
constexpr uint16_t kRequest = 1;
constexpr uint16_t kReply = 2;

struct Row {
  const char* what;
  Program side;
  Bytes frame;
  bool judged;  // does the guard decide about it?
};

std::vector<Row> rows() {
  const uint8_t filler[1400] = {};
  const auto in = [&](Ipv4 from, Ipv4 to) {
    return Frame(kNear, kClient).ipv4(from, to, 6).payload(filler, 40).bytes();
  };
  const auto out = [&](Ipv4 from, Ipv4 to) {
    return Frame(kClient, kNear).ipv4(from, to, 6).payload(filler, 40).bytes();
  };
  const Ipv6 nobody{};
  constexpr auto kIn = Program::GuardIn;
  constexpr auto kOut = Program::GuardOut;
  return {
      {"a client's packet to the address", kIn, in(kClientIp, kVip), true},
      {"a client's packet to the node", kIn, in(kClientIp, kNearIp), false},
      {"a packet from the address, whose owner is the peer", kIn, in(kVip, kNearIp), false},
      {"a large packet", kIn,
       Frame(kNear, kClient).ipv4(kClientIp, kVip, 6).payload(filler, 1400).bytes(), true},
      {"a fragment", kIn,
       Frame(kNear, kClient).ipv4(kClientIp, kVip, 17, 0, 100).payload(filler, 40).bytes(), true},
      {"IPv4 with options", kIn,
       Frame(kNear, kClient).ipv4(kClientIp, kVip, 6, 10).payload(filler, 40).bytes(), true},
      {"a tagged packet", kIn,
       Frame(kNear, kClient).vlan(7).ipv4(kClientIp, kVip, 6).payload(filler, 40).bytes(), true},
      {"a packet with two tags", kIn,
       Frame(kNear, kClient)
           .vlan(7, CB_ETH_QINQ)
           .vlan(8)
           .ipv4(kClientIp, kVip, 6)
           .payload(filler, 40)
           .bytes(),
       true},
      {"no header", kIn, Frame(kNear, kClient).bytes(), false},

      {"our packet from the address", kOut, out(kVip, kClientIp), true},
      {"our packet from the node", kOut, out(kNearIp, kClientIp), false},
      {"our packet to the address, whose owner is the peer", kOut, out(kNearIp, kVip), false},
      {"our tagged packet", kOut,
       Frame(kClient, kNear).vlan(7).ipv4(kVip, kClientIp, 6).payload(filler, 40).bytes(), true},

      {"who has the address?", kIn,
       Frame(kBroadcast, kClient).arp(kRequest, kClient, kClientIp, kVip).bytes(), true},
      {"tagged: who has the address?", kIn,
       Frame(kBroadcast, kClient).vlan(3).arp(kRequest, kClient, kClientIp, kVip).bytes(), true},
      {"is the address free? (ARP probe)", kIn,
       Frame(kBroadcast, kFar).arp(kRequest, kFar, {}, kVip).bytes(), true},
      {"the peer announces itself by request", kIn,
       Frame(kBroadcast, kFar).arp(kRequest, kFar, kVip, kVip).bytes(), false},
      {"the peer announces itself by reply", kIn,
       Frame(kBroadcast, kFar).arp(kReply, kFar, kVip, kVip).bytes(), false},
      {"the peer defends the address", kIn,
       Frame(kNear, kFar).arp(kReply, kFar, kVip, kNearIp).bytes(), false},
      {"who has the node?", kIn,
       Frame(kBroadcast, kClient).arp(kRequest, kClient, kClientIp, kNearIp).bytes(), false},
      {"ARP of another hardware", kIn,
       [] {
         auto f = Frame(kBroadcast, kClient).arp(kRequest, kClient, kClientIp, kVip).bytes();
         f[15] = 6;
         return f;
       }(),
       false},
      {"half an ARP packet", kIn,
       cut_to(Frame(kBroadcast, kClient).arp(kRequest, kClient, kClientIp, kVip).bytes(), 40),
       false},

      {"we say that we have it", kOut,
       Frame(kClient, kNear).arp(kReply, kNear, kVip, kClientIp).bytes(), true},
      {"we announce ourselves by request", kOut,
       Frame(kBroadcast, kNear).arp(kRequest, kNear, kVip, kVip).bytes(), true},
      {"we announce ourselves by reply", kOut,
       Frame(kBroadcast, kNear).arp(kReply, kNear, kVip, kVip).bytes(), true},
      {"we ask in the address's name", kOut,
       Frame(kBroadcast, kNear).arp(kRequest, kNear, kVip, kClientIp).bytes(), true},
      {"we ask who has the address", kOut,
       Frame(kBroadcast, kNear).arp(kRequest, kNear, kNearIp, kVip).bytes(), false},
      {"we ask whether the address is free", kOut,
       Frame(kBroadcast, kNear).arp(kRequest, kNear, {}, kVip).bytes(), false},

      {"a client's packet to the IPv6 address", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kVip6, 6).payload(filler, 40).bytes(), true},
      {"a client's packet to the node's IPv6 address", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kNearIp6, 6).payload(filler, 40).bytes(), false},
      {"a tagged IPv6 packet", kIn,
       Frame(kNear, kClient).vlan(4).ipv6(kClientIp6, kVip6, 6).payload(filler, 40).bytes(), true},
      {"our packet from the IPv6 address", kOut,
       Frame(kClient, kNear).ipv6(kVip6, kClientIp6, 6).payload(filler, 40).bytes(), true},
      {"our packet to the IPv6 address", kOut,
       Frame(kClient, kNear).ipv6(kNearIp6, kVip6, 6).payload(filler, 40).bytes(), false},

      {"who has the IPv6 address?", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kSolicited, 58).nd(CB_NS, kVip6).bytes(), true},
      {"is the IPv6 address still there?", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kVip6, 58).nd(CB_NS, kVip6).bytes(), true},
      {"is the IPv6 address free? (DAD)", kIn,
       Frame(kNear, kFar).ipv6(nobody, kSolicited, 58).nd(CB_NS, kVip6).bytes(), true},
      {"two tags: who has the IPv6 address?", kIn,
       Frame(kNear, kClient)
           .vlan(1)
           .vlan(2)
           .ipv6(kClientIp6, kSolicited, 58)
           .nd(CB_NS, kVip6)
           .bytes(),
       true},
      {"the peer announces the IPv6 address", kIn,
       Frame(kNear, kFar).ipv6(kVip6, kAllNodes, 58).nd(CB_NA, kVip6).bytes(), false},
      {"who has the node's IPv6 address?", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kSolicited, 58).nd(CB_NS, kNearIp6).bytes(), false},
      {"half a solicitation", kIn,
       cut_to(Frame(kNear, kClient).ipv6(kClientIp6, kSolicited, 58).nd(CB_NS, kVip6).bytes(), 70),
       false},
      {"a ping to all", kIn,
       Frame(kNear, kClient).ipv6(kClientIp6, kAllNodes, 58).nd(128, kVip6).bytes(), false},

      {"we announce the IPv6 address", kOut,
       Frame(kClient, kNear).ipv6(kNearIp6, kAllNodes, 58).nd(CB_NA, kVip6).bytes(), true},
      {"we announce it in its own name", kOut,
       Frame(kClient, kNear).ipv6(kVip6, kAllNodes, 58).nd(CB_NA, kVip6).bytes(), true},
      {"we ask in the IPv6 address's name", kOut,
       Frame(kClient, kNear).ipv6(kVip6, kSolicited, 58).nd(CB_NS, kClientIp6).bytes(), true},
      {"we ask who has the IPv6 address", kOut,
       Frame(kClient, kNear).ipv6(kNearIp6, kSolicited, 58).nd(CB_NS, kVip6).bytes(), false},
      {"we answer for the node", kOut,
       Frame(kClient, kNear).ipv6(kNearIp6, kClientIp6, 58).nd(CB_NA, kNearIp6).bytes(), false},
      {"something else altogether", kOut, Frame(kClient, kNear).heartbeat({}).bytes(), false},
  };
}

class Guard : public ::testing::Test {
 protected:
  void SetUp() override {
    bed.reset();
    ASSERT_TRUE(bed.kernel().set_address(kSlot, edge::guard_key(kVip)).has_value());
    ASSERT_TRUE(bed.kernel().set_address(kSlot, edge::guard_key(kVip6)).has_value());
  }
  cb_guarded counted() {
    const auto counted = bed.kernel().guarded(kSlot);
    EXPECT_TRUE(counted.has_value());
    return counted.has_value() ? *counted : cb_guarded{};
  }
  cb_pair& pair() { return bed.kernel().pairs()[kSlot]; }
  cb_lease& lease() { return bed.kernel().leases()[kSlot]; }
  cb_node& node() { return *bed.kernel().node(); }
  uint32_t client_packet() {
    return bed
        .run(Program::GuardIn,
             Frame(kNear, kClient).ipv4(kClientIp, kVip, 6).payload("x", 1).bytes())
        .verdict;
  }

  Bed& bed = Bed::shared();
};

TEST_F(Guard, JudgesExactlyTheTrafficOfItsAddresses) {
  struct State {
    const char* what;
    uint32_t mode;
    bool leased, fresh, open;
    __u64 cb_guarded::*counter;
  };
  const State states[] = {
      {"closed, whatever else holds", CB_GUARD_CLOSED, true, true, false,
       &cb_guarded::dropped_closed},
      {"a mode that is none", 77, true, true, false, &cb_guarded::dropped_closed},
      {"leased and fresh", CB_GUARD_LEASED, true, true, true, &cb_guarded::passed},
      {"the lease is over", CB_GUARD_LEASED, false, true, false, &cb_guarded::dropped_lease},
      {"the monitor is not fresh", CB_GUARD_LEASED, true, false, false,
       &cb_guarded::dropped_monitor},
      {"solo without a monitor", CB_GUARD_SOLO, false, false, true, &cb_guarded::passed},
  };
  for (const State& state : states) {
    SCOPED_TRACE(state.what);
    const uint64_t now = now_ns();
    pair().guard_mode = state.mode;
    lease().lease_until_ns = state.leased ? now + 3600 * kSecond : now;
    node().fresh_until_ns = state.fresh ? now + 3600 * kSecond : now;
    for (const Row& row : rows()) {
      SCOPED_TRACE(row.what);
      const cb_guarded before = counted();
      const RunResult result = bed.run(row.side, row.frame);
      const cb_guarded after = counted();
      EXPECT_EQ(result.verdict, row.judged && !state.open ? kShot : kOn);
      EXPECT_EQ(result.out, row.frame);
      EXPECT_EQ(after.*state.counter - before.*state.counter, row.judged ? 1u : 0u);
      const uint64_t all = (after.passed - before.passed) +
                           (after.dropped_closed - before.dropped_closed) +
                           (after.dropped_lease - before.dropped_lease) +
                           (after.dropped_monitor - before.dropped_monitor);
      EXPECT_EQ(all, row.judged ? 1u : 0u);
      if (row.judged) {
        EXPECT_GE(state.open ? after.last_passed_ns : after.last_dropped_ns, now);
      }
    }
  }
}

TEST_F(Guard, IsShutAsItComesIntoTheWorld) {
  EXPECT_EQ(client_packet(), kShot);
  EXPECT_EQ(counted().dropped_closed, 1u);
}

TEST_F(Guard, ClosesByItselfWhenTheLeaseEnds) {
  pair().guard_mode = CB_GUARD_LEASED;
  const uint64_t until = now_ns() + 20 * kMillisecond;
  lease().lease_until_ns = until;
  // Ask until it is closed: every packet judged surely before the end must pass, every one surely
  // after must not.
  uint32_t verdict = kOn;
  uint64_t asked = 0;
  do {
    asked = now_ns();
    verdict = client_packet();
    const uint64_t answered = now_ns();
    if (answered < until) {
      ASSERT_EQ(verdict, kOn);
    } else if (asked >= until) {
      ASSERT_EQ(verdict, kShot);
    }
  } while (asked < until + kMillisecond);
  EXPECT_EQ(verdict, kShot);
  EXPECT_GT(counted().passed, 0u);
}

TEST_F(Guard, AnswersForEachSlotApart) {
  const Ipv4 other{{192, 0, 2, 101}};
  ASSERT_TRUE(bed.kernel().set_address(4, edge::guard_key(other)).has_value());
  bed.kernel().pairs()[4].guard_mode = CB_GUARD_SOLO;
  EXPECT_EQ(client_packet(), kShot);
  const Bytes frame = Frame(kNear, kClient).ipv4(kClientIp, other, 6).payload("x", 1).bytes();
  EXPECT_EQ(bed.run(Program::GuardIn, frame).verdict, kOn);
  EXPECT_EQ(bed.kernel().guarded(4)->passed, 1u);
  EXPECT_EQ(counted().dropped_closed, 1u);
}

TEST_F(Guard, ForgetsAnAddressThatIsTakenFromIt) {
  ASSERT_TRUE(bed.kernel().clear_address(edge::guard_key(kVip)).has_value());
  EXPECT_EQ(client_packet(), kOn);
  EXPECT_EQ(counted().passed, 0u);
  ASSERT_TRUE(bed.kernel().clear_address(edge::guard_key(kVip)).has_value()) << "twice is no error";
  ASSERT_TRUE(bed.kernel().set_address(kSlot, edge::guard_key(kVip)).has_value());
  EXPECT_EQ(client_packet(), kShot);
  ASSERT_TRUE(bed.kernel().clear_addresses(kSlot).has_value());
  for (const Row& row : rows()) {
    EXPECT_EQ(bed.run(row.side, row.frame).verdict, kOn) << row.what;
  }
}

TEST_F(Guard, WatchesAsManyAddressesAsPromisedAndSaysWhenItCannot) {
  ASSERT_TRUE(bed.kernel().clear_addresses(kSlot).has_value());
  for (uint8_t i = 0; i < CB_ADDRESSES_MAX; ++i) {
    ASSERT_TRUE(bed.kernel().set_address(kSlot, edge::guard_key(Ipv4{{10, 0, 0, i}})).has_value())
        << int{i};
  }
  EXPECT_FALSE(bed.kernel().set_address(kSlot, edge::guard_key(Ipv4{{10, 0, 1, 0}})).has_value());
  ASSERT_TRUE(bed.kernel().clear_addresses(kSlot).has_value());
  EXPECT_TRUE(bed.kernel().set_address(kSlot, edge::guard_key(Ipv4{{10, 0, 1, 0}})).has_value());
}

}  // namespace
}  // namespace cb::test
