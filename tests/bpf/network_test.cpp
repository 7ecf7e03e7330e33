// SPDX-License-Identifier: Apache-2.0
//
// The network link's program, frame by frame.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

constexpr auto kOn = static_cast<uint32_t>(TC_ACT_UNSPEC);
constexpr auto kShot = static_cast<uint32_t>(TC_ACT_SHOT);
constexpr auto kRedirect = static_cast<uint32_t>(TC_ACT_REDIRECT);
constexpr size_t kUdpAt = 34;

class Network : public ::testing::Test {
 protected:
  void SetUp() override {
    bed.reset();
    bed.pair(2, far, 3);
    bed.changes();
  }
  RunResult run(const Bytes& frame) { return bed.run(Program::Network, frame); }
  Heartbeat far_probe() { return far.probe(0, CB_LINK_NETWORK, now_ns()); }
  cb_path& path() { return bed.kernel().paths()[2 * CB_LINKS + CB_LINK_NETWORK]; }

  Bed& bed = Bed::shared();
  NativeNode far;
};

TEST_F(Network, LetsOthersGoOnAndDropsWhatIsOursAndBroken) {
  const Heartbeat good = far_probe();
  const auto ours = [&](auto change) {
    Heartbeat hb = good;
    change(hb);
    sign(hb, far);
    return network_frame(hb);
  };
  const auto udp = [&](uint16_t port) {
    return Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(port, port);
  };
  const uint8_t filler[1400] = {};
  struct Row {
    const char* what;
    Bytes frame;
    uint32_t verdict;
    int drop = -1;
  };
  const Row rows[] = {
      {"ARP", Frame(kBroadcast, kFar).arp(1, kFar, kFarIp, kNearIp).bytes(), kOn},
      {"IPv6", Frame(kNear, kFar).ipv6({}, {}, 17).payload(filler, 200).bytes(), kOn},
      {"TCP", Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 6).payload(filler, 1400).bytes(), kOn},
      {"another port", udp(53).heartbeat(good).bytes(), kOn},
      {"the direct link's type", direct_frame(good), kOn},
      {"a frame for another machine",
       Frame(kFar, kFar).ipv4(kFarIp, kNearIp).udp(kPort, kPort).heartbeat(good).bytes(), kOn},
      {"a broadcast",
       Frame(kBroadcast, kFar).ipv4(kFarIp, kNearIp).udp(kPort, kPort).heartbeat(good).bytes(),
       kOn},
      {"a multicast address",
       Frame(kNear, kFar).ipv4(kFarIp, {{239, 1, 1, 1}}).udp(kPort, kPort).heartbeat(good).bytes(),
       kOn},
      {"a fragment",
       Frame(kNear, kFar)
           .ipv4(kFarIp, kNearIp, 17, 0, 0x2000)
           .udp(kPort, kPort)
           .heartbeat(good)
           .bytes(),
       kOn},
      {"a tag in the frame",
       Frame(kNear, kFar).vlan(5).ipv4(kFarIp, kNearIp).udp(kPort, kPort).heartbeat(good).bytes(),
       kOn},
      {"half a UDP header", cut_to(network_frame(good), 38), kOn},

      {"a datagram cut off", cut_to(network_frame(good), 100), kShot, CB_DROP_SHORT},
      {"an empty datagram", udp(kPort).bytes(), kShot, CB_DROP_SHORT},
      {"a long datagram", udp(kPort).heartbeat(good).payload(filler, 700).bytes(), kShot,
       CB_DROP_SHORT},
      {"another magic", ours([](Heartbeat& h) { h.magic = 0; }), kShot, CB_DROP_MAGIC},
      {"another version", ours([](Heartbeat& h) { h.version = 9; }), kShot, CB_DROP_VERSION},
      {"an unknown kind", ours([](Heartbeat& h) { h.kind = 77; }), kShot, CB_DROP_KIND},
      {"a frame of the direct link", ours([](Heartbeat& h) { h.link = CB_LINK_DIRECT; }), kShot,
       CB_DROP_LINK},
      {"an unknown pairing", ours([](Heartbeat& h) { h.pairing = 5; }), kShot, CB_DROP_PAIRING},
      {"a forgery",
       [&] {
         auto f = network_frame(good);
         f[100] ^= 1;
         return f;
       }(),
       kShot, CB_DROP_TAG},
      {"the direct link's key",
       [&] {
         Heartbeat h = good;
         h.tag = cb_sign(far.keys[0].transmit[CB_LINK_DIRECT], &h);
         return network_frame(h);
       }(),
       kShot, CB_DROP_TAG},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const auto before = row.drop < 0 ? 0 : bed.dropped(static_cast<cb_drop>(row.drop));
    const auto before_in_all = bed.dropped_in_all();
    const RunResult result = run(row.frame);
    EXPECT_EQ(result.verdict, row.verdict);
    EXPECT_EQ(result.out, row.frame) << "nothing but an answer is rewritten";
    EXPECT_EQ(bed.dropped_in_all() - before_in_all, row.drop < 0 ? 0u : 1u);
    if (row.drop >= 0) {
      EXPECT_EQ(bed.dropped(static_cast<cb_drop>(row.drop)) - before, 1u);
    }
  }
}

TEST_F(Network, SendsTheAnswerBackWhereTheProbeCameFrom) {
  const Heartbeat probe = far_probe();
  const Bytes frame =
      Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(5555, kPort).heartbeat(probe).bytes();
  const RunResult result = run(frame);
  ASSERT_EQ(result.verdict, kRedirect);
  const Heartbeat answer = heartbeat_of(result.out);
  EXPECT_EQ(result.out,
            Frame(kFar, kNear).ipv4(kNearIp, kFarIp).udp(kPort, 5555).heartbeat(answer).bytes());
  EXPECT_EQ(answer.kind, CB_ANSWER);
  EXPECT_EQ(answer.link, CB_LINK_NETWORK);
  EXPECT_EQ(path().answers_sent, 1u);
}

TEST_F(Network, AChecksumIsRightAfterwardsIfItWasRightBefore) {
  const RunResult result = run(network_frame(far_probe(), true));
  ASSERT_EQ(result.verdict, kRedirect);
  const auto written = static_cast<uint16_t>(result.out[kUdpAt + 6] << 8 | result.out[kUdpAt + 7]);
  EXPECT_NE(written, 0);
  EXPECT_EQ(written, Frame::udp_sum(result.out, 14, kUdpAt));
}

TEST_F(Network, OptionsStayWhereTheyAre) {
  const Heartbeat probe = far_probe();
  const RunResult result = run(
      Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 17, 3).udp(kPort, kPort).heartbeat(probe).bytes());
  ASSERT_EQ(result.verdict, kRedirect);
  EXPECT_EQ(result.out, Frame(kFar, kNear)
                            .ipv4(kNearIp, kFarIp, 17, 3)
                            .udp(kPort, kPort)
                            .heartbeat(heartbeat_of(result.out))
                            .bytes());
}

TEST_F(Network, TakesInAnAnswerAndLetsNobodyElseSeeIt) {
  Bytes frame = Frame(kFar, kNear)
                    .ipv4(kNearIp, kFarIp)
                    .udp(kPort, kPort)
                    .heartbeat(bed.probe(2, CB_LINK_NETWORK))
                    .bytes();
  far.pairs[0].grant_us = 1000;
  ASSERT_EQ(far.receive(CB_LINK_NETWORK, frame, now_ns(), kFar).kind, Outcome::Kind::Answer);
  const RunResult result = run(frame);
  EXPECT_EQ(result.verdict, kShot);
  EXPECT_EQ(bed.dropped_in_all(), 0u);
  EXPECT_EQ(path().answers_received, 1u);
  EXPECT_EQ(path().peer_boot, 0x2222u);
}

TEST_F(Network, ThePortIsTheConfiguredOne) {
  bed.kernel().node()->udp_port = 9999;
  const Heartbeat probe = far_probe();
  EXPECT_EQ(run(network_frame(probe)).verdict, kOn);
  EXPECT_EQ(run(Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(9999, 9999).heartbeat(probe).bytes())
                .verdict,
            kRedirect);
  bed.kernel().node()->udp_port = 0;  // not configured yet
  EXPECT_EQ(
      run(Frame(kNear, kFar).ipv4(kFarIp, kNearIp).udp(0, 0).heartbeat(probe).bytes()).verdict,
      kOn);
}

}  // namespace
}  // namespace cb::test
