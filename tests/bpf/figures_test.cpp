// SPDX-License-Identifier: Apache-2.0
//
// What the programs cost: printed for the reader, with bounds far above what is measured, so that
// only a change of kind (a lost inline, an unrolled loop, a look-up on the common path) fails.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <cstdio>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

class Figures : public ::testing::Test {
 protected:
  void SetUp() override {
    bed.reset();
    bed.pair(0, far, 1);
  }
  bpf_prog_info info(Program program) {
    bpf_prog_info info{};
    uint32_t size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(bed.fd(program), &info, &size), 0);
    return info;
  }
  // The quickest of some runs, in ns per frame: the others met somebody else on the CPU.
  uint32_t cost(Program program, const Bytes& frame, int repeat) {
    uint32_t best = ~0u;
    for (int i = 0; i < 5; ++i) {
      best = std::min(best, bed.run(program, frame, repeat).nanoseconds);
    }
    return best;
  }

  Bed& bed = Bed::shared();
  NativeNode far;
};

TEST_F(Figures, TheVerifierFindsThemSmall) {
  const struct {
    const char* name;
    Program program;
    uint32_t verified_max;
  } rows[] = {{"cb_direct", Program::Direct, 300'000},
              {"cb_direct_tc", Program::DirectTc, 300'000},
              {"cb_network", Program::Network, 300'000},
              {"cb_guard_in", Program::GuardIn, 10'000},
              {"cb_guard_out", Program::GuardOut, 10'000}};
  for (const auto& row : rows) {
    const bpf_prog_info facts = info(row.program);
    std::printf(
        "[ FIGURE   ] %-12s %6u instructions verified, %5u translated, %5u bytes of machine code\n",
        row.name, facts.verified_insns, facts.xlated_prog_len / 8, facts.jited_prog_len);
    EXPECT_GT(facts.verified_insns, 0u);
    EXPECT_LE(facts.verified_insns, row.verified_max);
  }
}

// A probe's second copy is a replay and takes the short way, so each run gets a probe of its own,
// and the average includes the entry into the kernel's test run; `refused` shows how much of it
// that is.
TEST_F(Figures, AProbeIsAnsweredInMicroseconds) {
  constexpr int kProbes = 2'000;
  Bytes answer = Frame(kFar, kNear).heartbeat(bed.probe(0, CB_LINK_DIRECT)).bytes();
  far.receive(CB_LINK_DIRECT, answer, now_ns(), kFar);
  bed.run(Program::Direct, answer);
  uint64_t direct = 0;
  uint64_t network = 0;
  for (int i = 0; i < kProbes; ++i) {
    direct +=
        bed.run(Program::Direct, direct_frame(far.probe(0, CB_LINK_DIRECT, now_ns()))).nanoseconds;
    network += bed.run(Program::Network, network_frame(far.probe(0, CB_LINK_NETWORK, now_ns())))
                   .nanoseconds;
  }
  EXPECT_EQ(bed.kernel().paths()[CB_LINK_DIRECT].answers_sent, static_cast<uint64_t>(kProbes));
  const Bytes replay = direct_frame(far.probe(0, CB_LINK_DIRECT, now_ns()));
  Heartbeat forged = heartbeat_of(replay);
  forged.tag ^= 1;
  Heartbeat stranger = forged;
  stranger.pairing ^= 1;
  bed.run(Program::Direct, replay);
  std::printf(
      "[ FIGURE   ] probe -> answer     direct %5lu ns, network %5lu ns (single runs, mean of "
      "%d)\n",
      direct / kProbes, network / kProbes, kProbes);
  std::printf(
      "[ FIGURE   ] refused             replay %5u ns, forged tag %5u ns, unknown pairing %4u ns\n",
      cost(Program::Direct, replay, 100'000), cost(Program::Direct, direct_frame(forged), 100'000),
      cost(Program::Direct, direct_frame(stranger), 100'000));
  const Bytes other = Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 6).payload("payload", 7).bytes();
  std::printf("[ FIGURE   ] somebody else's     direct %5u ns, network %5u ns\n",
              cost(Program::Direct, other, 100'000), cost(Program::Network, other, 100'000));
  EXPECT_LT(direct / kProbes, 100'000u);
  EXPECT_LT(network / kProbes, 100'000u);
}

// Heartbeats are rare to a CPU: what counts on a busy machine is the time with nothing of theirs in
// its caches.
TEST_F(Figures, AProbeIsAnsweredInMicrosecondsByACpuThatForgot) {
  constexpr int kProbes = 21;
  std::vector<char> others(size_t{64} << 20);
  const auto forget = [&others] {
    for (size_t at = 0; at < others.size(); at += 64) {
      others[at] = static_cast<char>(others[at] + 1);
    }
  };
  std::vector<uint32_t> direct;
  std::vector<uint32_t> network;
  for (int i = 0; i < kProbes; ++i) {
    forget();
    direct.push_back(
        bed.run(Program::Direct, direct_frame(far.probe(0, CB_LINK_DIRECT, now_ns()))).nanoseconds);
    forget();
    network.push_back(
        bed.run(Program::Network, network_frame(far.probe(0, CB_LINK_NETWORK, now_ns())))
            .nanoseconds);
  }
  std::sort(direct.begin(), direct.end());
  std::sort(network.begin(), network.end());
  std::printf("[ FIGURE   ] with cold caches    direct %5u ns, network %5u ns (median of %d)\n",
              direct[kProbes / 2], network[kProbes / 2], kProbes);
  EXPECT_LT(direct[kProbes / 2], 1'000'000u);
  EXPECT_LT(network[kProbes / 2], 1'000'000u);
}

TEST_F(Figures, TheGuardCostsNanoseconds) {
  constexpr Ipv4 kVip{{192, 0, 2, 100}};
  ASSERT_TRUE(bed.kernel().set_address(0, edge::guard_key(kVip)).has_value());
  bed.kernel().pairs()[0].guard_mode = CB_GUARD_LEASED;
  bed.kernel().leases()[0].lease_until_ns = now_ns() + 3600 * kSecond;
  const auto to = [](Ipv4 address) {
    return Frame(kNear, kFar).ipv4(kFarIp, address, 6).payload("payload", 7).bytes();
  };
  const uint32_t miss = cost(Program::GuardIn, to(kNearIp), 500'000);
  const uint32_t hit = cost(Program::GuardIn, to(kVip), 500'000);
  std::printf("[ FIGURE   ] guard               miss %7u ns, hit, open %4u ns\n", miss, hit);
  EXPECT_LT(miss, 10'000u);
  EXPECT_LT(hit, 10'000u);
}

}  // namespace
}  // namespace cb::test
