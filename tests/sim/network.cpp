// SPDX-License-Identifier: Apache-2.0
//
// Cables, the switch, the gateway and an attacker. Every frame that arrives goes through
// cb_heartbeat(), the body that the eBPF programs run, on the receiver's map memory.
#include <cstring>

#include "tests/sim/world.h"

namespace cb::sim {
namespace {

constexpr size_t kRingMax = 64;      // frames a frozen machine's card keeps
constexpr size_t kRecordedMax = 48;  // frames the attacker keeps

// What a frame that is not fresh must never touch.
struct Untouchable {
  cb_lease lease;
  uint64_t peer_boot[CB_LINKS];
  uint64_t frame_ns[CB_LINKS];
  uint64_t answered[CB_LINKS];
  uint64_t answered_ns[CB_LINKS];
  uint64_t heard_ns[CB_LINKS];
  cb_peer_facts facts[CB_LINKS];
};

Untouchable look(const Slot& s) {
  Untouchable u{};
  u.lease = s.lease;
  for (int link = 0; link < CB_LINKS; ++link) {
    u.peer_boot[link] = s.path[link].peer_boot;
    u.frame_ns[link] = s.path[link].frame_ns;
    u.answered[link] = s.path[link].answered_sequence;
    u.answered_ns[link] = s.path[link].answered_ns;
    u.heard_ns[link] = s.path[link].heard_ns;
    u.facts[link] = s.path[link].peer;
  }
  return u;
}

}  // namespace

cb_view World::view_of(Machine& m, Slot& s, int link) {
  cb_view v{};
  v.node = &m.node;
  v.pair = &s.pair;
  v.lease = &s.lease;
  v.path = &s.path[link];
  v.probes = &s.probes[link];
  v.keys = &s.keys;
  v.granting = &s.lease.granting;
  return v;
}

bool World::link_passes(int from, int to, int pairing, int link) const {
  const Pairing& p = pairings_[static_cast<size_t>(pairing)];
  if (link == CB_LINK_DIRECT) {
    return p.direct && !p.direct_cut[from == p.secondary];
  }
  return !machines_[static_cast<size_t>(from)].out_cut &&
         !machines_[static_cast<size_t>(to)].in_cut;
}

bool World::reaches_gateway(const Machine& m) const {
  return gateway_up_ && !m.in_cut && !m.out_cut;
}

bool World::connected(int a, int b, int pairing) const {
  const auto up = [&](int i) {
    return machines_[static_cast<size_t>(i)].powered && !machines_[static_cast<size_t>(i)].frozen;
  };
  if (!up(a) || !up(b)) {
    return false;
  }
  for (int link = 0; link < CB_LINKS; ++link) {
    if (link_passes(a, b, pairing, link) && link_passes(b, a, pairing, link)) {
      return true;
    }
  }
  return false;
}

// Would an ARP probe for this pairing's address be answered by somebody but the asker?
bool World::defended(int asker, int pairing) const {
  const Pairing& p = pairings_[static_cast<size_t>(pairing)];
  const int other = asker == p.primary ? p.secondary : p.primary;
  const Machine& o = machines_[static_cast<size_t>(other)];
  if (!link_passes(asker, other, pairing, CB_LINK_NETWORK) ||
      !link_passes(other, asker, pairing, CB_LINK_NETWORK)) {
    return false;
  }
  for (size_t i = 0; i < o.slots.size(); ++i) {
    if (o.slots[i].pairing == pairing) {
      return o.slots[i].address && passes(other, static_cast<int>(i));
    }
  }
  return false;
}

void World::send(const Heartbeat& hb, int from, int to, int slot, int link, bool injected) {
  const int pairing = machine(to).slots[static_cast<size_t>(slot)].pairing;
  if (!injected && !link_passes(from, to, pairing, link)) {
    return;
  }
  int copies = 1;
  if (!healed_ && !injected) {
    if (prng_.chance(static_cast<uint64_t>(options_.loss_permille), 1000)) {
      return;
    }
    if (prng_.chance(static_cast<uint64_t>(options_.duplicate_permille), 1000)) {
      copies = 2;
    }
  }
  for (int i = 0; i < copies; ++i) {
    int64_t delay = prng_.between(40'000, 250'000);
    if (!healed_ && prng_.chance(static_cast<uint64_t>(options_.delay_permille), 1000)) {
      const int64_t worst = options_.arbiter == Arbiter::Gateway ? options_.interval.as_ns() / 2
                                                                 : options_.interval.as_ns() * 20;
      delay += prng_.between(int64_t{0}, worst);
    }
    int index = 0;
    if (free_frames_.empty()) {
      index = static_cast<int>(frames_.size());
      frames_.emplace_back();
    } else {
      index = free_frames_.back();
      free_frames_.pop_back();
    }
    frames_[static_cast<size_t>(index)] = Frame{hb, from, to, slot, link, injected};
    queue_.push(now() + delay, What::Frame, index);
  }
}

void World::arrive(int index) {
  const Frame frame = frames_[static_cast<size_t>(index)];
  Machine& m = machine(frame.to);
  const int pairing = m.slots[static_cast<size_t>(frame.slot)].pairing;
  // A cut drops what is under way as well.
  const bool lost =
      !m.powered || (!frame.injected && !link_passes(frame.from, frame.to, pairing, frame.link));
  if (!lost && m.frozen && m.ring.size() < kRingMax) {
    m.ring.push_back(index);
    return;
  }
  free_frames_.push_back(index);
  if (!lost && !m.frozen) {
    receive(frame);
  }
}

void World::receive(const Frame& frame) {
  Machine& m = machine(frame.to);
  Slot& s = m.slots[static_cast<size_t>(frame.slot)];
  const auto local = static_cast<uint64_t>(m.clock.local(now()));
  Heartbeat hb = frame.hb;
  const auto link = static_cast<__u32>(frame.link);
  if (cb_check_header(&hb, link) != CB_DROPS || CB_BE64(hb.pairing) != s.pair.pairing) {
    return;
  }
  const cb_view v = view_of(m, s, frame.link);
  Untouchable before;
  const bool watched = frame.injected;
  if (watched) {
    before = look(s);
  }
  const cb_verdict verdict = cb_heartbeat(&v, &hb, link, local);
  // What was not counted when it came is still fresh when it comes again: a slow frame, not a
  // replay.
  const bool counted =
      verdict.kind == CB_VERDICT_TAKEN ||
      (verdict.kind == CB_VERDICT_ANSWER && CB_BE64(frame.hb.boot) == s.path[frame.link].peer_boot);
  if (watched) {
    const Untouchable after = look(s);
    if (std::memcmp(&before, &after, sizeof before) != 0) {
      object(
          "V5: a frame of the attacker moved something at %c%d (kind %d, link %d): frame %lld, "
          "heard %lld, lease %lld, granted %lld ns",
          'A' + frame.to, s.pairing, frame.hb.kind, frame.link,
          static_cast<long long>(after.frame_ns[frame.link] - before.frame_ns[frame.link]),
          static_cast<long long>(after.heard_ns[frame.link] - before.heard_ns[frame.link]),
          static_cast<long long>(after.lease.lease_until_ns - before.lease.lease_until_ns),
          static_cast<long long>(after.lease.granted_until_ns - before.lease.granted_until_ns));
    }
  } else if (options_.attacker && !healed_ && counted) {
    if (recorded_.size() < kRecordedMax) {
      recorded_.push_back(frame);
    } else if (prng_.chance(1, 8)) {
      recorded_[prng_.below(kRecordedMax)] = frame;
    }
  }
  if (verdict.kind == CB_VERDICT_ANSWER && frame.from >= 0) {
    send(hb, frame.to, frame.from, s.peer_slot, frame.link, false);
  }
  if (verdict.change != 0 && m.monitor) {
    wake(m, after(10'000, 60'000));
  }
}

// The attacker repeats what it has heard, bends it, sends it back to where it came from, or
// invents.
void World::inject() {
  if (healed_ || recorded_.empty()) {
    return;
  }
  Frame f = recorded_[prng_.below(recorded_.size())];
  switch (prng_.below(4)) {
    case 0: break;  // as it was
    case 1: {
      auto* bytes = reinterpret_cast<unsigned char*>(&f.hb);
      const uint64_t bit = prng_.below(sizeof f.hb * 8);
      bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] ^ (1u << (bit % 8)));
      break;
    }
    case 2:  // reflected
      f.slot = machine(f.to).slots[static_cast<size_t>(f.slot)].peer_slot;
      f.to = f.from;
      break;
    default: {
      auto* words = reinterpret_cast<uint64_t*>(&f.hb);
      for (size_t i = 4; i < sizeof f.hb / 8; ++i) {
        words[i] = prng_.next();
      }
      break;
    }
  }
  if (options_.planted == Planted::TrustForgeries) {
    const Slot& s = machine(f.to).slots[static_cast<size_t>(f.slot)];
    f.hb = recorded_.back().hb;
    f.hb.kind = CB_PROBE;
    f.hb.link = static_cast<__u8>(f.link);
    f.hb.boot = CB_BE64(s.path[f.link].peer_boot);
    f.hb.sequence = CB_BE64(s.path[f.link].probe_sequence + 1);
    f.hb.stamp_ns = CB_BE64(s.path[f.link].heard_ns + 1);
    f.hb.tag = cb_sign(s.keys.receive[f.link], &f.hb);
  }
  f.from = -1;
  f.injected = true;
  send(f.hb, -1, f.to, f.slot, f.link, true);
}

}  // namespace cb::sim
