// SPDX-License-Identifier: Apache-2.0
//
// The direct link's program, frame by frame.
#include <linux/bpf.h>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

class Direct : public ::testing::Test {
 protected:
  void SetUp() override {
    bed.reset();
    bed.pair(3, far, 1);
    bed.changes();
  }
  RunResult run(const Bytes& frame) { return bed.run(Program::Direct, frame); }
  cb_path& path() { return bed.kernel().paths()[3 * CB_LINKS + CB_LINK_DIRECT]; }
  cb_lease& lease() { return bed.kernel().leases()[3]; }
  cb_pair& pair() { return bed.kernel().pairs()[3]; }
  cb_path& far_path() { return far.paths[CB_LINK_DIRECT]; }

  // Both prove to each other that they live: our probe is answered.
  void meet() {
    Bytes frame = Frame(kFar, kNear).heartbeat(bed.probe(3, CB_LINK_DIRECT)).bytes();
    ASSERT_EQ(far.receive(CB_LINK_DIRECT, frame, now_ns(), kFar).kind, Outcome::Kind::Answer);
    ASSERT_EQ(run(frame).verdict, static_cast<uint32_t>(XDP_DROP));
    ASSERT_EQ(path().peer_boot, 0x2222u);
    bed.changes();
  }

  Bed& bed = Bed::shared();
  NativeNode far;
};

TEST_F(Direct, LetsPassWhatIsNotOursAndDropsWhatIsOursAndBroken) {
  const Heartbeat good = far.probe(0, CB_LINK_DIRECT, now_ns());
  const auto changed = [&](auto change) {
    Heartbeat hb = good;
    change(hb);
    sign(hb, far);
    return direct_frame(hb);
  };
  const auto udp = [&](uint16_t port) {
    return Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(port, port);
  };
  Heartbeat forged = good;
  forged.grant_us ^= 1;
  const uint8_t filler[64] = {};

  struct Row {
    const char* what;
    Bytes frame;
    uint32_t verdict;
    int drop = -1;  // enum cb_drop
  };
  const Row rows[] = {
      {"somebody's ARP", Frame(kBroadcast, kFar).arp(1, kFar, kFarIp, kNearIp).bytes(), XDP_PASS},
      {"somebody's UDP", udp(53).heartbeat(good).bytes(), XDP_PASS},
      {"somebody's TCP", Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 6).payload(filler, 40).bytes(),
       XDP_PASS},
      {"IPv6", Frame(kNear, kFar).ipv6({}, {}, 17).payload(filler, 40).bytes(), XDP_PASS},
      {"nothing but a header", Frame(kNear, kFar).bytes(), XDP_PASS},
      {"an IPv4 header cut off", cut_to(udp(kPort).heartbeat(good).bytes(), 30), XDP_PASS},
      {"IPv4 that says version 6",
       [&] {
         auto f = udp(kPort).heartbeat(good).bytes();
         f[14] = 0x65;
         return f;
       }(),
       XDP_PASS},
      {"IPv4 with a header of 16 bytes",
       [&] {
         auto f = udp(kPort).heartbeat(good).bytes();
         f[14] = 0x44;
         return f;
       }(),
       XDP_PASS},
      {"a first fragment",
       Frame(kNear, kFar)
           .ipv4(kFarIp, kNearIp, 17, 0, 0x2000)
           .udp(kPort, kPort)
           .heartbeat(good)
           .bytes(),
       XDP_PASS},
      {"a later fragment",
       Frame(kNear, kFar)
           .ipv4(kFarIp, kNearIp, 17, 0, 100)
           .udp(kPort, kPort)
           .heartbeat(good)
           .bytes(),
       XDP_PASS},
      {"UDP to a multicast address",
       Frame(kNear, kFar).ipv4(kFarIp, {{224, 0, 0, 1}}).udp(kPort, kPort).heartbeat(good).bytes(),
       XDP_PASS},
      {"UDP in a broadcast frame",
       Frame(kBroadcast, kFar).ipv4(kFarIp, kNearIp).udp(kPort, kPort).heartbeat(good).bytes(),
       XDP_PASS},
      {"three VLAN tags", Frame(kNear, kFar).vlan(1).vlan(2).vlan(3).heartbeat(good).bytes(),
       XDP_PASS},

      {"our type, empty", cut_to(direct_frame(good), 14), XDP_DROP, CB_DROP_SHORT},
      {"cut after the magic", cut_to(direct_frame(good), 18), XDP_DROP, CB_DROP_SHORT},
      {"one byte missing", cut_to(direct_frame(good), 14 + 127), XDP_DROP, CB_DROP_SHORT},
      {"a datagram one byte short", udp(kPort).payload(&good, 127).bytes(), XDP_DROP,
       CB_DROP_SHORT},
      {"a datagram one byte long", udp(kPort).payload(&good, 128).payload(filler, 1).bytes(),
       XDP_DROP, CB_DROP_SHORT},
      {"a datagram that lies about its length",
       [&] {
         auto f = udp(kPort).heartbeat(good).bytes();
         f[39] ^= 1;
         return f;
       }(),
       XDP_DROP, CB_DROP_SHORT},
      {"another magic", changed([](Heartbeat& h) { h.magic ^= 1; }), XDP_DROP, CB_DROP_MAGIC},
      {"a datagram of another magic",
       [&] {
         Heartbeat h = good;
         h.magic = 0;
         return udp(kPort).heartbeat(h).bytes();
       }(),
       XDP_DROP, CB_DROP_MAGIC},
      {"another version", changed([](Heartbeat& h) { h.version += 1; }), XDP_DROP, CB_DROP_VERSION},
      {"no kind", changed([](Heartbeat& h) { h.kind = 0; }), XDP_DROP, CB_DROP_KIND},
      {"an unknown kind", changed([](Heartbeat& h) { h.kind = 3; }), XDP_DROP, CB_DROP_KIND},
      {"a frame of the network link", changed([](Heartbeat& h) { h.link = CB_LINK_NETWORK; }),
       XDP_DROP, CB_DROP_LINK},
      {"a link that is none", changed([](Heartbeat& h) { h.link = 255; }), XDP_DROP, CB_DROP_LINK},
      {"somebody else's pairing", changed([](Heartbeat& h) { h.pairing ^= 1; }), XDP_DROP,
       CB_DROP_PAIRING},
      {"pairing 0", changed([](Heartbeat& h) { h.pairing = 0; }), XDP_DROP, CB_DROP_PAIRING},
      {"a field changed under way", direct_frame(forged), XDP_DROP, CB_DROP_TAG},
      {"our own boot", changed([](Heartbeat& h) { h.boot = CB_BE64(0x1111); }), XDP_DROP,
       CB_DROP_OTHER_BOOT},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const auto before = row.drop < 0 ? 0 : bed.dropped(static_cast<cb_drop>(row.drop));
    const auto before_in_all = bed.dropped_in_all();
    const NativeNode maps = bed.copy();
    const RunResult result = run(row.frame);
    EXPECT_EQ(result.verdict, row.verdict);
    EXPECT_EQ(bed.dropped_in_all() - before_in_all, row.drop < 0 ? 0u : 1u);
    if (row.drop >= 0) {
      EXPECT_EQ(bed.dropped(static_cast<cb_drop>(row.drop)) - before, 1u);
    } else {
      EXPECT_EQ(result.out, row.frame);
    }
    // Whatever was refused moved nothing.
    const NativeNode after = bed.copy();
    EXPECT_EQ(std::memcmp(maps.paths.data(), after.paths.data(), sizeof maps.paths), 0);
    EXPECT_EQ(std::memcmp(maps.leases.data(), after.leases.data(), sizeof maps.leases), 0);
  }
}

TEST_F(Direct, AnswersAProbeWithItsOwnFactsInTheSameFrame) {
  meet();
  pair().grant_us = 1500;
  const uint64_t before = now_ns();
  const Heartbeat probe = far.probe(0, CB_LINK_DIRECT, before);
  const RunResult result = run(direct_frame(probe));
  ASSERT_EQ(result.verdict, static_cast<uint32_t>(XDP_TX));
  ASSERT_EQ(result.out.size(), 14u + 128u);
  EXPECT_EQ(Bytes(result.out.begin(), result.out.begin() + 14),
            cut_to(Frame(kFar, kNear).heartbeat(probe).bytes(), 14));
  const Heartbeat answer = heartbeat_of(result.out);
  EXPECT_EQ(answer.kind, CB_ANSWER);
  EXPECT_EQ(answer.sequence, probe.sequence);
  EXPECT_EQ(answer.heard_boot, probe.boot);
  EXPECT_EQ(answer.heard_ns, probe.stamp_ns);
  EXPECT_EQ(CB_BE64(answer.boot), 0x1111u);
  EXPECT_EQ(CB_BE64(answer.session), 0x5e55u);
  EXPECT_EQ(CB_BE64(answer.term), 9u);
  EXPECT_EQ(CB_BE64(answer.position), 1234u);
  EXPECT_EQ(CB_BE32(answer.flags), static_cast<uint32_t>(CB_FACT_ELIGIBLE | CB_FACT_IN_STEP));
  EXPECT_EQ(answer.state, 2);
  EXPECT_EQ(CB_BE32(answer.grant_us), 1500u);
  EXPECT_LT(CB_BE32(answer.monitor_age_us), 60'000'000u);
  EXPECT_GE(CB_BE64(answer.stamp_ns), before);
  EXPECT_LE(CB_BE64(answer.stamp_ns), now_ns());
  // The far node accepts it: authentic, matching, counted as a grant from its own stamp.
  Bytes frame = result.out;
  EXPECT_EQ(far.receive(CB_LINK_DIRECT, frame, now_ns(), kFar).kind, Outcome::Kind::Taken);
  EXPECT_EQ(far.leases[0].lease_until_ns, before + 1500 * 1000);
}

TEST_F(Direct, AnswersThroughVlanTagsIpOptionsAndBroadcast) {
  const auto expect_answer = [&](const Bytes& frame, Bytes expected, size_t checked,
                                 const char* what) {
    SCOPED_TRACE(what);
    const RunResult result = run(frame);
    ASSERT_EQ(result.verdict, static_cast<uint32_t>(XDP_TX));
    ASSERT_EQ(result.out.size(), expected.size());
    EXPECT_EQ(cut_to(result.out, checked), cut_to(expected, checked));
    EXPECT_EQ(heartbeat_of(result.out).kind, CB_ANSWER);
  };
  Heartbeat hb = far.probe(0, CB_LINK_DIRECT, now_ns());
  expect_answer(Frame(kNear, kFar).vlan(7).vlan(8, CB_ETH_QINQ).heartbeat(hb).bytes(),
                Frame(kFar, kNear).vlan(7).vlan(8, CB_ETH_QINQ).heartbeat(hb).bytes(), 22,
                "two tags");
  hb = far.probe(0, CB_LINK_DIRECT, now_ns());
  // The source of the answer is the interface, not the group.
  expect_answer(Frame(kBroadcast, kFar).heartbeat(hb).bytes(),
                Frame(kFar, kNear).heartbeat(hb).bytes(), 14, "broadcast");
  hb = far.probe(0, CB_LINK_DIRECT, now_ns());
  expect_answer(
      Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(999, kPort).heartbeat(hb).checksummed().bytes(),
      Frame(kFar, kNear).ipv4(kNearIp, kFarIp).udp(kPort, 999).heartbeat(hb).bytes(), 42, "UDP");
  hb = far.probe(0, CB_LINK_DIRECT, now_ns());
  expect_answer(
      Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 17, 10).udp(kPort, kPort).heartbeat(hb).bytes(),
      Frame(kFar, kNear).ipv4(kNearIp, kFarIp, 17, 10).udp(kPort, kPort).heartbeat(hb).bytes(), 82,
      "options");
}

TEST_F(Direct, RemembersWhereFreshFramesComeFrom) {
  const Mac other{{2, 0, 0, 0, 0, 9}};
  run(direct_frame(far.probe(0, CB_LINK_DIRECT, now_ns())));
  EXPECT_EQ(path().peer_mac[5], 0) << "nothing is proved yet";
  meet();
  EXPECT_EQ(std::memcmp(path().peer_mac, kFar.bytes.data(), 6), 0);
  const Heartbeat probe = far.probe(0, CB_LINK_DIRECT, now_ns());
  run(direct_frame(probe, kNear, other));
  EXPECT_EQ(std::memcmp(path().peer_mac, other.bytes.data(), 6), 0);
  run(direct_frame(probe, kNear, kFar));  // a replay
  EXPECT_EQ(std::memcmp(path().peer_mac, other.bytes.data(), 6), 0);
}

TEST_F(Direct, ASlotThatWasGivenToAnotherPairingAnswersOnlyThatOne) {
  const Heartbeat probe = far.probe(0, CB_LINK_DIRECT, now_ns());
  pair().pairing ^= 1;  // the index still leads here
  EXPECT_EQ(run(direct_frame(probe)).verdict, static_cast<uint32_t>(XDP_DROP));
  EXPECT_EQ(bed.dropped(CB_DROP_PAIRING), 1u);
  ASSERT_TRUE(bed.kernel().clear_slot(3).has_value());
  EXPECT_EQ(run(direct_frame(probe)).verdict, static_cast<uint32_t>(XDP_DROP));
  EXPECT_EQ(bed.dropped(CB_DROP_PAIRING), 2u);
}

TEST_F(Direct, KeepsPairingsApart) {
  NativeNode second;
  bed.pair(0, second, 2, 0x3333);
  Bytes frame = Frame(kFar, kNear).heartbeat(bed.probe(0, CB_LINK_DIRECT)).bytes();
  ASSERT_EQ(second.receive(CB_LINK_DIRECT, frame, now_ns(), kFar).kind, Outcome::Kind::Answer);
  run(frame);
  EXPECT_EQ(bed.kernel().paths()[0].peer_boot, 0x3333u);
  EXPECT_EQ(path().peer_boot, 0u);
  // One pairing's keys do not open the other.
  Heartbeat hb = far.probe(0, CB_LINK_DIRECT, now_ns());
  hb.pairing = CB_BE64(second.pairs[0].pairing);
  sign(hb, far);
  run(direct_frame(hb));
  EXPECT_EQ(bed.dropped(CB_DROP_TAG), 1u);
}

}  // namespace
}  // namespace cb::test
