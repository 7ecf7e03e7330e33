// SPDX-License-Identifier: Apache-2.0
//
// A volume as far as the core needs one: writes are numbered; one that is acknowledged is on both
// machines, or on one whose monitor said, durably, that it may go on alone. The judge of D1 lives
// here: who acknowledges must hold everything that was acknowledged before.
#include "tests/sim/world.h"

namespace cb::sim {
namespace {

core::Event event_of(core::EventKind kind) {
  core::Event e;
  e.kind = kind;
  return e;
}

Slot& slot_of(Machine& m, int pairing) {
  for (Slot& s : m.slots) {
    if (s.pairing == pairing) {
      return s;
    }
  }
  return m.slots.front();
}

}  // namespace

void World::volume_turn(int index) {
  Pairing& p = pairings_[static_cast<size_t>(index)];
  queue_.call(now() + 40 * kMs, [this, index] { volume_turn(index); });
  const int ids[2] = {p.primary, p.secondary};
  for (int side = 0; side < 2; ++side) {
    Machine& m = machine(ids[side]);
    Machine& o = machine(ids[1 - side]);
    Slot& s = slot_of(m, index);
    Slot& other = slot_of(o, index);
    Volume& v = s.volume;
    Volume& w = other.volume;
    if (!m.powered || m.frozen || !v.promoted) {
      continue;
    }
    const bool linked = connected(m.id, o.id, index) && !w.promoted;
    if (linked && w.resync_wanted) {
      w.resync_wanted = false;
      w.told_behind = false;
      w.in_step_at = now() + prng_.between(20 * kMs, 400 * kMs);
      core::Event e = event_of(core::EventKind::VolumeProgress);
      e.value = static_cast<uint64_t>(prng_.between(int64_t{1}, int64_t{999}));
      feed(o, other, e);
    }
    if (linked && w.in_step_at <= now()) {
      w.in_step_at = kNever;
      w.in_step = true;
      tell("%c%d: volume in step at %llu", 'A' + o.id, index,
           static_cast<unsigned long long>(v.version));
      w.version = v.version;
      core::Event e = event_of(core::EventKind::VolumeInStep);
      e.value = w.version;
      feed(o, other, e);
    }
    const bool behind = linked && w.version != v.version;
    if (behind && !w.told_behind && w.in_step_at == kNever) {
      w.in_step = false;
      w.told_behind = true;
      tell("%c%d: volume behind: %llu of %llu", 'A' + o.id, index,
           static_cast<unsigned long long>(w.version), static_cast<unsigned long long>(v.version));
      feed(o, other, event_of(core::EventKind::VolumeFellBehind));
    }
    if (!linked && w.in_step_at != kNever) {
      // A resync that was begun ends in an event: this one was cut off.
      w.in_step_at = kNever;
      if (!w.promoted) {
        w.told_behind = true;
        tell("%c%d: resync cut off", 'A' + o.id, index);
        feed(o, other, event_of(core::EventKind::VolumeFellBehind));
      }
    }
    const bool together = linked && w.in_step && !behind;
    if (together != v.together || v.told_life != m.life) {
      v.together = together;
      v.told_life = m.life;
      feed(m, s,
           event_of(together ? core::EventKind::VolumeInStep : core::EventKind::VolumeFellBehind));
    }
    if (!s.services_running && options_.has_services) {
      continue;
    }
    if (!together && !v.alone_allowed) {
      continue;  // the write waits; nobody has been told that it is durable
    }
    if (p.data_forgotten) {
      p.acked = v.version;
    }
    if (v.version != p.acked) {
      object("D1: %c acknowledges pairing %d without write %llu (has %llu)", 'A' + m.id, index,
             static_cast<unsigned long long>(p.acked), static_cast<unsigned long long>(v.version));
      return;
    }
    v.version = ++p.writes;
    p.acked = v.version;
    if (together) {
      w.version = v.version;
    }
  }
}

}  // namespace cb::sim
