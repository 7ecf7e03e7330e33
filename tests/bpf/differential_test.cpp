// SPDX-License-Identifier: Apache-2.0
//
// The same frames through the programs in the kernel and through the same code natively: verdict,
// reason, bytes, maps and what is told must be equal. Frames are true, replayed, mutated (tagged
// again or not) and random.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "base/prng.h"
#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

using Kind = Outcome::Kind;

struct Twin {
  Bed& bed = Bed::shared();
  std::array<NativeNode, 3> far;
  std::vector<Bytes> history;
  Program program;
  Prng random;
  unsigned link;
  std::array<uint64_t, CB_DROPS> drops{};

  Twin(uint64_t seed, unsigned over, Program which) : program(which), random(seed), link(over) {
    bed.reset(0x1111);
    for (unsigned slot = 0; slot < far.size(); ++slot) {
      bed.pair(slot, far[slot], seed + slot, 0x2000 + slot);
    }
    bed.changes();
    drops = *bed.kernel().drops();
  }

  bool one_in(uint64_t n) { return random.next() % n == 0; }

  Frame envelope(Mac to, Mac from, bool there) {
    Frame frame(to, from);
    if (link == CB_LINK_DIRECT && !one_in(3)) {
      if (one_in(8)) {
        frame.vlan(static_cast<uint16_t>(random.next()), one_in(2) ? CB_ETH_QINQ : CB_ETH_VLAN);
      }
      return frame;
    }
    frame
        .ipv4(there ? kNearIp : kFarIp, there ? kFarIp : kNearIp, CB_IP_UDP,
              one_in(4) ? random.next() % 11 : 0)
        .udp(one_in(4) ? 4321 : kPort, kPort);
    return one_in(2) ? frame.checksummed() : frame;
  }

  // Something that could be true.
  Bytes true_frame() {
    const auto slot = static_cast<unsigned>(random.next() % far.size());
    if (one_in(2)) {
      return envelope(kNear, kFar, false).heartbeat(far[slot].probe(0, link, now_ns())).bytes();
    }
    const Heartbeat probe = bed.probe(slot, link);
    Bytes there =
        Frame(kFar, kNear).ipv4(kNearIp, kFarIp).udp(kPort, kPort).heartbeat(probe).bytes();
    far[slot].receive(link, there, now_ns(), kFar);
    return envelope(kNear, kFar, false).heartbeat(heartbeat_of(there)).bytes();
  }

  Bytes frame() {
    Bytes bytes;
    if (!history.empty() && one_in(8)) {
      bytes = history[random.next() % history.size()];
    } else if (one_in(16)) {
      bytes.resize(14 + random.next() % 200);
      for (uint8_t& byte : bytes) {
        byte = static_cast<uint8_t>(random.next());
      }
      bytes[12] = CB_ETHERTYPE >> 8;
      bytes[13] = CB_ETHERTYPE & 0xff;
    } else if (one_in(16)) {
      return from_the_future();
    } else {
      bytes = true_frame();
      history.push_back(bytes);
      if (history.size() > 50) {
        history.erase(history.begin());
      }
    }
    if (one_in(2)) {
      mutate(bytes);
    }
    return bytes;
  }

  // A peer that echoes what we have not said yet: authentic, and still a lie.
  Bytes from_the_future() {
    const auto slot = static_cast<unsigned>(random.next() % far.size());
    Heartbeat hb = far[slot].probe(0, link, now_ns());
    hb.heard_boot = CB_BE64(bed.kernel().node()->boot);
    hb.heard_ns = CB_BE64(now_ns() + 3600 * kSecond);
    sign(hb, far[slot]);
    return envelope(kNear, kFar, false).heartbeat(hb).bytes();
  }

  void mutate(Bytes& bytes) {
    for (uint64_t i = 1 + random.next() % 3; i > 0; --i) {
      const size_t at = random.next() % bytes.size();
      bytes[at] = one_in(2) ? static_cast<uint8_t>(bytes[at] ^ (1u << random.next() % 8))
                            : static_cast<uint8_t>(random.next());
    }
    if (one_in(6)) {
      bytes.resize(14 + random.next() % (bytes.size() + 20));
    }
    if (bytes.size() >= 14 + sizeof(Heartbeat) && one_in(2)) {
      Heartbeat hb = heartbeat_of(bytes);
      if (one_in(2)) {
        const uint64_t odd[] = {
            0, 1, ~0ull, CB_BE64(now_ns() + 3600 * kSecond), hb.boot, hb.stamp_ns, CB_BE64(0x1111)};
        __be64* const fields[] = {&hb.boot,     &hb.stamp_ns, &hb.heard_boot, &hb.heard_ns,
                                  &hb.sequence, &hb.term,     &hb.session};
        *fields[random.next() % 7] = odd[random.next() % 7];
      }
      hb.tag = cb_sign(far[random.next() % far.size()].keys[0].transmit[link], &hb);
      std::memcpy(bytes.data() + bytes.size() - sizeof hb, &hb, sizeof hb);
    }
  }

  // What the monitors do meanwhile.
  void stir() {
    cb_pair& pair = bed.kernel().pairs()[random.next() % far.size()];
    switch (random.next() % 8) {
      case 0: pair.grant_us = static_cast<uint32_t>(random.next() % 20'000'000); break;
      case 1: pair.turn += 1; break;
      case 2: bed.kernel().node()->exit_ns ^= 1; break;
      case 3: cb_facts_of(&pair)->flags = static_cast<uint32_t>(random.next()); break;
      case 4: bed.kernel().node()->beat_ns = one_in(2) ? 0 : now_ns(); break;
      case 5: {
        NativeNode& node = far[random.next() % far.size()];
        node.node.boot += 0x10000;  // a restart: it forgets
        node.paths = {};
        node.probes = {};
        break;
      }
      case 6: {
        NativeNode& node = far[random.next() % far.size()];
        node.pairs[0].grant_us = static_cast<uint32_t>(random.next() % 20'000'000);
        cb_facts_of(&node.pairs[0])->term = random.next() % 5;
        break;
      }
      default: break;
    }
  }
};

// BPF_PROG_TEST_RUN itself refuses packets that no card would deliver.
bool can_be_run(const Bytes& bytes, Program program) {
  if (program == Program::Direct || bytes.size() < 14) {
    return bytes.size() >= 14;
  }
  const uint32_t type = static_cast<uint32_t>(bytes[12] << 8 | bytes[13]);
  return bytes.size() >= (type == CB_ETH_IPV4 ? 34u : type == CB_ETH_IPV6 ? 54u : 15u);
}

// What the tc programs find out from the packet's metadata.
bool is_seen(const Bytes& bytes, Program program) {
  if (program == Program::DirectTc) {
    return bytes[12] == CB_ETHERTYPE >> 8 && bytes[13] == (CB_ETHERTYPE & 0xff);
  }
  return program == Program::Direct || (bytes[12] == 8 && bytes[13] == 0 &&
                                        std::memcmp(bytes.data(), kNear.bytes.data(), 6) == 0);
}

// The clock reading that the program worked with, from what it left behind.
uint64_t moment_of(const std::array<cb_path, CB_PATHS_MAX>& before, const NativeNode& after,
                   const Bytes& frame, const RunResult& result, bool answered) {
  for (size_t i = 0; i < CB_PATHS_MAX; ++i) {
    if (after.paths[i].frame_ns != before[i].frame_ns) {
      return after.paths[i].frame_ns;
    }
    if (after.paths[i].answered_ns != before[i].answered_ns) {
      return after.paths[i].answered_ns;
    }
  }
  if (answered) {
    Bytes copy = frame;
    cb_cursor cursor{copy.data(), copy.data() + copy.size()};
    cb_found found{};
    int broken = 0;
    cb_find(&cursor, &found, 1, kPort, &broken);
    Heartbeat hb{};
    std::memcpy(&hb, result.out.data() + (cursor.at - copy.data()), sizeof hb);
    return CB_BE64(hb.stamp_ns);
  }
  return now_ns();
}

// How far the comparison came: one that never came far would prove nothing.
struct Reached {
  int answers_sent = 0;
  int answers_taken = 0;
  int boots_proved = 0;
};

void expect_equal(Twin& twin, const Bytes& frame, Reached& reached) {
  Bed& bed = twin.bed;
  NativeNode model = bed.copy();
  const auto before = model.paths;
  const RunResult result = bed.run(twin.program, frame);
  const auto drops = *bed.kernel().drops();
  const NativeNode after = bed.copy();
  const std::vector<cb_change> changes = bed.changes();

  const bool xdp = twin.program == Program::Direct;
  const auto answered = xdp ? static_cast<uint32_t>(XDP_TX) : uint32_t{TC_ACT_REDIRECT};
  const auto passed = xdp ? static_cast<uint32_t>(XDP_PASS) : static_cast<uint32_t>(TC_ACT_UNSPEC);
  const auto dropped = xdp ? static_cast<uint32_t>(XDP_DROP) : uint32_t{TC_ACT_SHOT};

  Bytes native = frame;
  Outcome outcome;
  if (is_seen(frame, twin.program)) {
    const uint64_t now = moment_of(before, after, frame, result, result.verdict == answered);
    outcome = model.receive(twin.link, native, now, kNear);
  }
  switch (outcome.kind) {
    case Kind::Pass: ASSERT_EQ(result.verdict, passed); break;
    case Kind::Drop:
    case Kind::Taken: ASSERT_EQ(result.verdict, dropped); break;
    case Kind::Answer: ASSERT_EQ(result.verdict, answered); break;
  }
  for (unsigned why = 0; why < CB_DROPS; ++why) {
    ASSERT_EQ(drops[why] - twin.drops[why],
              outcome.kind == Kind::Drop && outcome.why == why ? 1u : 0u)
        << "reason " << why << ", natively " << outcome.why;
  }
  if (outcome.kind == Kind::Answer || outcome.kind == Kind::Pass) {
    ASSERT_EQ(result.out, native);
  }
  ASSERT_EQ(std::memcmp(model.pairs.data(), after.pairs.data(), sizeof model.pairs), 0);
  ASSERT_EQ(std::memcmp(model.leases.data(), after.leases.data(), sizeof model.leases), 0);
  ASSERT_EQ(std::memcmp(model.paths.data(), after.paths.data(), sizeof model.paths), 0);
  ASSERT_EQ(std::memcmp(model.probes.data(), after.probes.data(), sizeof model.probes), 0);
  size_t told = 0;
  for (const cb_change& change : changes) {
    if (change.kind != CB_CHANGE_BAD_TAGS) {
      ASSERT_EQ(change.kind, outcome.change);
      ASSERT_EQ(change.value, outcome.change_value);
      ++told;
    } else {
      ASSERT_EQ(outcome.why, static_cast<uint32_t>(CB_DROP_TAG));
    }
  }
  ASSERT_EQ(told, outcome.change != 0 ? 1u : 0u);
  twin.drops = drops;
  for (size_t p = 0; p < CB_PATHS_MAX; ++p) {
    reached.answers_sent += after.paths[p].answers_sent != before[p].answers_sent ? 1 : 0;
    reached.answers_taken += after.paths[p].answers_received != before[p].answers_received ? 1 : 0;
    reached.boots_proved += after.paths[p].peer_boot != before[p].peer_boot ? 1 : 0;
  }
}

void compare(Program program, uint64_t seed, int frames) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  const unsigned link = program == Program::Network ? CB_LINK_NETWORK : CB_LINK_DIRECT;
  Twin twin(seed, link, program);
  Reached reached;
  for (int i = 0; i < frames; ++i) {
    const Bytes frame = twin.frame();
    if (!can_be_run(frame, program)) {
      continue;
    }
    twin.stir();
    SCOPED_TRACE("frame " + std::to_string(i));
    expect_equal(twin, frame, reached);
    if (::testing::Test::HasFatalFailure()) {
      return;
    }
  }
  EXPECT_GT(reached.answers_sent, frames / 20);
  EXPECT_GT(reached.answers_taken, frames / 20);
  EXPECT_GT(reached.boots_proved, 3);
  for (const cb_drop why :
       {CB_DROP_SHORT, CB_DROP_MAGIC, CB_DROP_VERSION, CB_DROP_KIND, CB_DROP_LINK, CB_DROP_PAIRING,
        CB_DROP_TAG, CB_DROP_REPLAYED_PROBE, CB_DROP_UNMATCHED_ANSWER, CB_DROP_STALE_ANSWER,
        CB_DROP_OTHER_BOOT, CB_DROP_FUTURE}) {
    EXPECT_GT(twin.bed.dropped(why), 0u) << "reason " << why << " never met";
  }
}

constexpr int kFrames = 4'000;

TEST(Differential, DirectAnswersAsTheNativeCodeDoes) { compare(Program::Direct, 0xd1, kFrames); }

TEST(Differential, DirectTcAnswersAsTheNativeCodeDoes) {
  compare(Program::DirectTc, 0xd7, kFrames);
}

TEST(Differential, NetworkAnswersAsTheNativeCodeDoes) { compare(Program::Network, 0xe7, kFrames); }

// The guard, closed: it drops what the native parser finds a watched address in, and nothing else.
TEST(Differential, GuardJudgesWhatTheNativeParserFinds) {
  constexpr Ipv4 kVip{{192, 0, 2, 100}};
  constexpr Ipv6 kVip6{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}};
  const std::array<Ipv4, 2> v4 = {kVip, Ipv4{{192, 0, 2, 7}}};
  const std::array<Ipv6, 3> v6 = {kVip6, Ipv6{},
                                  Ipv6{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 1, 0}}};
  Bed& bed = Bed::shared();
  bed.reset();
  ASSERT_TRUE(bed.kernel().set_address(1, edge::guard_key(kVip)).has_value());
  ASSERT_TRUE(bed.kernel().set_address(1, edge::guard_key(kVip6)).has_value());
  Prng random(0x9a);
  const auto any = [&random](const auto& from) { return from[random.next() % from.size()]; };
  int judged = 0;
  for (int i = 0; i < kFrames; ++i) {
    Frame frame(kNear, kFar);
    for (uint64_t tags = random.next() % 4; tags > 0; --tags) {
      frame.vlan(static_cast<uint16_t>(random.next()));
    }
    switch (random.next() % 4) {
      case 0: frame.ipv4(any(v4), any(v4), 6, random.next() % 11).payload("payload", 7); break;
      case 1: frame.arp(1 + random.next() % 2, kFar, any(v4), any(v4)); break;
      case 2: frame.ipv6(any(v6), any(v6), 6).payload("payload", 7); break;
      default: frame.ipv6(any(v6), any(v6), 58).nd(134 + random.next() % 4, any(v6)); break;
    }
    Bytes bytes = frame.bytes();
    for (uint64_t flips = random.next() % 3; flips > 0; --flips) {
      bytes[12 + random.next() % (bytes.size() - 12)] ^=
          static_cast<uint8_t>(1u << random.next() % 8);
    }
    if (random.next() % 6 == 0) {
      bytes.resize(14 + random.next() % bytes.size());
    }
    if (!can_be_run(bytes, Program::GuardIn)) {
      continue;
    }
    const int egress = static_cast<int>(random.next() % 2);
    Bytes copy = bytes;
    cb_cursor cursor{copy.data(), copy.data() + copy.size()};
    cb_claims claims{};
    bool watched = false;
    if (cb_find_claims(&cursor, egress, &claims) != 0) {
      for (uint32_t c = 0; c < claims.count; ++c) {
        for (const cb_address& address : {edge::guard_key(kVip), edge::guard_key(kVip6)}) {
          watched |= std::memcmp(claims.address[c].bytes, address.bytes, 16) == 0;
        }
      }
    }
    const RunResult result = bed.run(egress != 0 ? Program::GuardOut : Program::GuardIn, bytes);
    ASSERT_EQ(result.verdict, static_cast<uint32_t>(watched ? TC_ACT_SHOT : TC_ACT_UNSPEC))
        << "frame " << i;
    judged += watched ? 1 : 0;
  }
  EXPECT_GT(judged, kFrames / 10);
  EXPECT_LT(judged, kFrames * 9 / 10);
}

}  // namespace
}  // namespace cb::test
