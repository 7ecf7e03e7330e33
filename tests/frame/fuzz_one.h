// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a story of two nodes and a stranger on their cable: true frames, true frames bent (and
// tagged again, as only a peer gone mad could), rubbish, clocks that go on, monitors that write,
// machines that start anew. Whatever is told, the rules below hold. Shared by the fuzzer and by
// frame_test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/native.h"

namespace cb::test {

inline void require(bool holds, int line = __builtin_LINE()) {
  if (!holds) {
    std::fprintf(stderr, "the rule in line %d of fuzz_one.h is broken\n", line);
    std::abort();  // the fuzzer keeps the input
  }
}

class Story {
 public:
  Story(const uint8_t* data, size_t size) : at_(data), end_(data + size) {
    Prng random(1);
    cb_keys keys{};
    for (auto* set : {&keys.transmit, &keys.receive}) {
      for (auto& key : *set) {
        key[0] = random.next();
        key[1] = random.next();
      }
    }
    near_.node.boot = 1;
    far_.node.boot = 2;
    near_.keys[3] = keys;
    std::memcpy(far_.keys[0].transmit, keys.receive, sizeof keys.receive);
    std::memcpy(far_.keys[0].receive, keys.transmit, sizeof keys.transmit);
    near_.pairs[3].pairing = far_.pairs[0].pairing = 0xabcdef;
    near_.node.udp_port = far_.node.udp_port = 7388;
  }

  void tell() {
    while (at_ < end_) {
      switch (byte() % 10) {
        case 0: now_ += word() % 1'000'000'000; break;
        case 1: deliver(raw(), link_, false); break;
        case 2: far_probes(); break;
        case 3: near_probes(); break;
        case 4: late(); break;
        case 5: deliver_bent(); break;
        case 6: monitors(); break;
        case 7: link_ = byte() % CB_LINKS; break;
        case 8: claims(); break;
        default: now_ += byte(); break;
      }
      check_leases();
    }
  }

 private:
  uint8_t byte() { return at_ < end_ ? *at_++ : uint8_t{0}; }
  uint64_t word() {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
      word = word << 8 | byte();
    }
    return word;
  }
  // At least one byte: nothing shorter arrives from anywhere.
  Bytes raw() {
    const size_t wanted = byte();
    const size_t size = std::min(wanted, static_cast<size_t>(end_ - at_));
    Bytes bytes(at_, at_ + size);
    at_ += size;
    bytes.resize(std::max<size_t>(size, 1));
    return bytes;
  }

  Bytes envelope(const Heartbeat& hb) {
    Frame frame(kNearMac, kFarMac);
    const uint8_t form = byte();
    if (link_ == CB_LINK_DIRECT && form % 4 == 0) {
      return frame.heartbeat(hb).bytes();
    }
    if (form % 4 == 1) {
      frame.vlan(byte());
    }
    return frame.ipv4(kFarIp, kNearIp, CB_IP_UDP, form / 4 % 11)
        .udp(7388, 7388)
        .heartbeat(hb)
        .bytes();
  }

  void far_probes() { send(true, envelope(far_.probe(0, link_, now_)), true); }

  void near_probes() { send(false, envelope(near_.probe(3, link_, now_)), true); }

  struct OnItsWay {
    bool to_near;
    unsigned link;
    Bytes frame;
    bool truthful;
  };

  // Frames arrive at once, or late, twice, in another order, or never.
  void send(bool to_near, Bytes frame, bool truthful) {
    const uint8_t fate = byte();
    if (fate % 4 == 0 || fate % 4 == 1) {
      OnItsWay& place = on_their_way_[fate / 4 % on_their_way_.size()];
      place = {to_near, link_, frame, truthful};
    }
    if (fate % 4 != 0) {
      arrive({to_near, link_, std::move(frame), truthful});
    }
  }
  void late() {
    const OnItsWay& place = on_their_way_[byte() % on_their_way_.size()];
    if (!place.frame.empty()) {
      arrive(OnItsWay(place));
    }
  }
  void arrive(OnItsWay it) {
    if (it.to_near) {
      deliver(std::move(it.frame), it.link, it.truthful);
      return;
    }
    const Outcome outcome = far_.receive(it.link, it.frame, now_, kFarMac);
    if (outcome.kind == Outcome::Kind::Answer) {
      send_on(true, it.link, std::move(it.frame));
    }
  }
  void send_on(bool to_near, unsigned link, Bytes frame) {
    const unsigned was = std::exchange(link_, link);
    send(to_near, std::move(frame), true);
    link_ = was;
  }

  // An answer of far, for bending. If far does not answer, our own frame come back.
  Heartbeat far_answer() {
    Heartbeat hb{};
    Bytes frame = envelope(near_.probe(3, link_, now_));
    far_.receive(link_, frame, now_, kFarMac);
    std::memcpy(&hb, frame.data() + frame.size() - sizeof hb, sizeof hb);
    return hb;
  }

  // Authentic as to its tag, if the story wants it, and arbitrary else.
  void deliver_bent() {
    Bytes frame = envelope(byte() % 2 == 0 ? far_.probe(0, link_, now_) : far_answer());
    const size_t hb_at = frame.size() - sizeof(Heartbeat);
    for (unsigned i = byte() % 8; i > 0; --i) {
      frame[hb_at + byte() % sizeof(Heartbeat)] = byte();
    }
    const bool tagged = byte() % 2 == 0;
    if (tagged) {
      Heartbeat hb{};
      std::memcpy(&hb, frame.data() + hb_at, sizeof hb);
      hb.tag = cb_sign(far_.keys[0].transmit[link_], &hb);
      std::memcpy(frame.data() + hb_at, &hb, sizeof hb);
      far_is_mad_ = true;
    }
    if (byte() % 4 == 0) {
      frame[byte() % frame.size()] ^= byte();
    }
    if (byte() % 4 == 0) {
      frame.resize(1u + byte());
    }
    deliver(std::move(frame), link_, false);
  }

  void monitors() {
    NativeNode& node = byte() % 2 == 0 ? near_ : far_;
    cb_pair& pair = node.pairs[&node == &near_ ? 3 : 0];
    switch (byte() % 6) {
      case 0: pair.grant_us = static_cast<uint32_t>(word()); break;
      case 1: pair.turn += 1; break;  // the facts before
      case 2: node.node.exit_ns ^= 1; break;
      case 3: node.node.beat_ns = word(); break;
      case 4: {
        cb_facts facts{};
        facts.flags = static_cast<uint32_t>(word());
        facts.term = word();
        cb_write_facts(&pair, &facts);
        require(cb_facts_of(&pair)->term == facts.term);
        break;
      }
      default: start_anew(node, &node == &near_ ? near_granted_ : far_granted_); break;
    }
  }

  // The maps are gone, and what was granted still holds.
  void start_anew(NativeNode& node, uint64_t& granted) {
    for (const cb_lease& lease : node.leases) {
      granted = std::max<uint64_t>(granted, lease.granted_until_ns);
    }
    node.node.boot += 2;
    node.paths = {};
    node.probes = {};
    node.leases = {};
  }

  // The buffer ends where the frame ends, so that a sanitizer sees a step beyond.
  void deliver(Bytes frame, unsigned link, bool truthful) {
    Bytes exact(frame);
    exact.shrink_to_fit();
    const NativeNode before = near_;
    const unsigned was = std::exchange(link_, link);
    const Outcome outcome = near_.receive(link_, exact, now_, kNearMac);
    require(exact.size() == frame.size());
    check(before, outcome, exact, frame, truthful);
    link_ = was;
    if (outcome.kind == Outcome::Kind::Answer) {
      send_on(false, link, std::move(exact));
    }
  }

  // The heart of it: whoever waits until its own grants have run out waits out every lease that
  // they gave. (One clock here; what clocks may differ by is the margin's business.)
  void check_leases() const {
    require(far_.leases[0].lease_until_ns <=
                std::max<uint64_t>(near_granted_, near_.leases[3].granted_until_ns) ||
            far_is_mad_);
    require(near_.leases[3].lease_until_ns <=
                std::max<uint64_t>(far_granted_, far_.leases[0].granted_until_ns) ||
            far_is_mad_);
  }

  // The heartbeat of a frame that is for us and whole.
  std::optional<Heartbeat> heartbeat_in(const Bytes& frame) const {
    Bytes copy = frame;
    cb_cursor cursor{copy.data(), copy.data() + copy.size()};
    cb_found found{};
    int broken = 0;
    Heartbeat hb{};
    if (cb_find(&cursor, &found, link_ == CB_LINK_DIRECT, 7388, &broken) == 0 || broken != 0 ||
        cursor.end - cursor.at < static_cast<ptrdiff_t>(sizeof hb)) {
      return std::nullopt;
    }
    std::memcpy(&hb, cursor.at, sizeof hb);
    return hb;
  }

  // Is the frame one that only the holder of the key can have made, or replayed?
  bool is_authentic(const Bytes& frame) const {
    const auto hb = heartbeat_in(frame);
    return hb && hb->tag == cb_sign(near_.keys[3].receive[link_], &*hb);
  }

  void check(const NativeNode& before, const Outcome& outcome, const Bytes& after_frame,
             const Bytes& frame, bool truthful) {
    const cb_lease& was = before.leases[3];
    const cb_lease& lease = near_.leases[3];
    const unsigned path_at = 3 * CB_LINKS + link_;
    const cb_path& path = near_.paths[path_at];
    using Kind = Outcome::Kind;
    const bool moved = std::memcmp(&before.leases, &near_.leases, sizeof near_.leases) != 0 ||
                       std::memcmp(&before.paths, &near_.paths, sizeof near_.paths) != 0;
    require(!moved || is_authentic(frame));  // V5
    require(outcome.kind != Kind::Pass || (!moved && after_frame == frame));
    require(outcome.kind != Kind::Drop || after_frame.size() == frame.size());
    require(lease.granting == 0);
    require(lease.lease_until_ns >= was.lease_until_ns);
    require(lease.granted_until_ns >= was.granted_until_ns);
    // Nobody grants into the future, so no lease is longer than the longest grant.
    require(lease.lease_until_ns <= was.lease_until_ns ||
            lease.lease_until_ns <= now_ + CB_GRANT_US_MAX * 1000ull);
    require(path.answered_sequence <= near_.probes[path_at].sequence);
    require(path.frame_ns <= now_ && path.answered_ns <= now_);
    require(path.peer.generation % 2 == 0);
    // Other pairings and the other link's path are none of this frame's business.
    for (unsigned i = 0; i < CB_PATHS_MAX; ++i) {
      require(i == path_at || std::memcmp(&before.paths[i], &near_.paths[i], sizeof(cb_path)) == 0);
    }
    const cb_path& path_was = before.paths[path_at];
    if (path.peer_boot != path_was.peer_boot) {
      // What was heard from an earlier life is forgotten.
      require(path.probe_sequence == 0 && path.heard_ns == path.peer.stamp_ns);
    } else {
      require(path.peer.stamp_ns >= path_was.peer.stamp_ns && path.heard_ns >= path_was.heard_ns);
      require(path.probe_sequence >= path_was.probe_sequence);
    }
    if (outcome.kind == Kind::Answer) {
      check_answer(after_frame, *heartbeat_in(frame));
    }
    check_replay(frame);
    // A far node that lies about nothing is never called a forger.
    require(!truthful || outcome.why != CB_DROP_TAG);
  }

  // The same frame again moves nothing but the counts of a stranger's probes, which are answered as
  // often as they come.
  void check_replay(Bytes frame) {
    const NativeNode before = near_;
    const Outcome outcome = near_.receive(link_, frame, now_, kNearMac);
    cb_path& path = near_.paths[3 * CB_LINKS + link_];
    const cb_path& was = before.paths[3 * CB_LINKS + link_];
    if (outcome.kind == Outcome::Kind::Answer) {
      path.probes_received = was.probes_received;
      path.answers_sent = was.answers_sent;
    }
    require(outcome.kind != Outcome::Kind::Taken);
    require(std::memcmp(&before.leases, &near_.leases, sizeof near_.leases) == 0);
    require(std::memcmp(&before.paths, &near_.paths, sizeof near_.paths) == 0);
  }

  void check_answer(const Bytes& frame, const Heartbeat& probe) {
    Heartbeat hb{};
    bool found = false;
    for (size_t at = 14; at + sizeof hb <= frame.size() && !found; ++at) {
      std::memcpy(&hb, frame.data() + at, sizeof hb);
      found =
          hb.magic == CB_BE32(CB_MAGIC) && hb.tag == cb_sign(near_.keys[3].transmit[link_], &hb);
    }
    require(found && hb.kind == CB_ANSWER && hb.boot == CB_BE64(near_.node.boot));
    require(hb.heard_boot == probe.boot && hb.heard_ns == probe.stamp_ns &&
            hb.sequence == probe.sequence);
    const uint64_t grant = CB_BE32(hb.grant_us);
    require(grant <= CB_GRANT_US_MAX);
    require(grant == 0 || near_.leases[3].granted_until_ns >= now_ + grant * 1000);
    require(grant == 0 || hb.heard_boot == CB_BE64(near_.paths[3 * CB_LINKS + link_].peer_boot));
  }

  void claims() {
    Bytes frame = raw();
    frame.shrink_to_fit();
    const Bytes before = frame;
    for (const int egress : {0, 1}) {
      cb_cursor cursor{frame.data(), frame.data() + frame.size()};
      cb_claims claims{};
      const int found = cb_find_claims(&cursor, egress, &claims);
      require((found != 0) == (claims.count != 0) && claims.count <= 2);
      require(frame == before);
    }
  }

  static constexpr Mac kNearMac{{2, 0, 0, 0, 0, 1}};
  static constexpr Mac kFarMac{{2, 0, 0, 0, 0, 2}};
  static constexpr Ipv4 kNearIp{{192, 0, 2, 1}};
  static constexpr Ipv4 kFarIp{{192, 0, 2, 2}};

  const uint8_t* at_;
  const uint8_t* end_;
  NativeNode near_;
  NativeNode far_;
  uint64_t now_ = 1'000'000'000;
  unsigned link_ = CB_LINK_DIRECT;
  std::array<OnItsWay, 8> on_their_way_{};
  uint64_t near_granted_ = 0;
  uint64_t far_granted_ = 0;
  bool far_is_mad_ = false;  // it lied with its own key: then nothing is promised about leases
};

inline void fuzz_one(const uint8_t* data, size_t size) {
  // Two nodes with all their maps are large for a stack.
  std::make_unique<Story>(data, size)->tell();
}

}  // namespace cb::test
