// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong, and who meddles. With the gateway as the only arbiter one fault at a time, since
// that is what it withstands; with a fence or a witness anything at any time.
#include <algorithm>
#include <vector>

#include "tests/sim/world.h"

namespace cb::sim {
namespace {

core::Event event_of(core::EventKind kind, bool on = false) {
  core::Event e;
  e.kind = kind;
  e.on = on;
  return e;
}

}  // namespace

void World::power_off(int index) {
  Machine& m = machine(index);
  if (!m.powered) {
    return;
  }
  crash_monitor(index);  // its last write got to the disk, or not
  tell("%c: power off", 'A' + index);
  m.powered = false;
  m.frozen = false;
  m.monitor = false;
  ++m.life;
  for (const int frame : m.ring) {
    free_frames_.push_back(frame);
  }
  m.ring.clear();
  m.node = cb_node{};
  for (Slot& s : m.slots) {
    s.pair = cb_pair{};
    s.lease = cb_lease{};
    for (int link = 0; link < CB_LINKS; ++link) {
      s.path[link] = cb_path{};
      s.probes[link] = cb_probes{};
    }
    s.address = false;
    s.services_running = false;
    s.volume.promoted = false;
    s.volume.in_step = false;
    s.volume.in_step_at = kNever;
    s.volume.resync_wanted = false;
    s.volume.alone_allowed = false;
    s.state = core::State{};
    s.granting = 0;
  }
}

void World::boot(int index) {
  Machine& m = machine(index);
  if (m.powered) {
    return;
  }
  m.powered = true;
  const int ppm = options_.drift_ppm == 0
                      ? 0
                      : static_cast<int>(prng_.between(-options_.drift_ppm, options_.drift_ppm));
  m.clock.boot(now(), prng_.between(5 * kMs, 60 * kMs), ppm);
  m.node.maps_version = CB_MAPS_VERSION;
  m.node.boot = prng_.next() | 1;
  m.next_look = 0;
  m.network_ok = true;
  tell("%c: boots", 'A' + index);
  for (Slot& s : m.slots) {
    s.pair.pairing = 0xc0ffee00u + static_cast<uint64_t>(s.pairing);
    if (!healed_ && options_.old_ledgers && !s.ledger_history.empty() && prng_.chance(1, 4)) {
      s.ledger = s.ledger_history[prng_.below(s.ledger_history.size())];
      s.ledger_restored = true;
      s.claimed_max = 0;
      pairings_[static_cast<size_t>(s.pairing)].data_forgotten = true;
      // When nobody is awake who knows better, what was served is forgotten by all.
      const Machine& o = machine(s.peer);
      const Slot& other = o.slots[static_cast<size_t>(s.peer_slot)];
      Pairing& p = pairings_[static_cast<size_t>(s.pairing)];
      // Being in command is no such knowledge: a holder that slept through the other's term knows
      // nothing of it.
      const bool met =
          std::max(other.state.peer.command_term, other.state.command_term) >= p.max_served;
      if (!o.powered || !o.monitor || !met) {
        p.max_served = 0;
      }
      tell("%c: an old ledger was put back", 'A' + index);
    }
  }
  const int id = index;
  queue_.call(after(0, 20 * kMs), [this, id] { start_monitor(id); });
}

void World::boot_all() {
  for (Machine& m : machines_) {
    boot(m.id);
  }
}

void World::freeze(int index) {
  Machine& m = machine(index);
  if (m.powered) {
    tell("%c: freezes", 'A' + index);
    m.frozen = true;
  }
}

void World::thaw(int index) {
  Machine& m = machine(index);
  if (!m.powered || !m.frozen) {
    return;
  }
  tell("%c: thaws", 'A' + index);
  m.frozen = false;
  const bool monitor_first = prng_.chance(1, 3);
  if (monitor_first && m.monitor) {
    m.next_turn = kNever;
    turn(m);
  }
  const std::vector<int> ring = std::move(m.ring);
  m.ring.clear();
  for (const int index_of : ring) {
    const Frame frame = frames_[static_cast<size_t>(index_of)];
    free_frames_.push_back(index_of);
    receive(frame);
  }
  m.next_turn = kNever;
  wake(m, now());
}

void World::cut_direct(int pairing, bool from_primary, bool from_secondary) {
  Pairing& p = pairings_[static_cast<size_t>(pairing)];
  p.direct_cut[0] = from_primary;
  p.direct_cut[1] = from_secondary;
  tell("cable of %d: %s%s", pairing, from_primary ? "cut from the primary " : "",
       from_secondary ? "cut from the secondary"
       : from_primary ? ""
                      : "whole");
}

void World::cut_service(int index, bool in, bool out) {
  machine(index).in_cut = in;
  machine(index).out_cut = out;
  tell("%c: service interface %s%s", 'A' + index, in ? "deaf " : "",
       out  ? "dumb"
       : in ? ""
            : "whole");
}

int64_t World::fault_span() {
  // Short ones hit the middle of things; long ones outlive every wait.
  switch (fault_prng_.below(4)) {
    case 0: return fault_prng_.between(kMs, 30 * kMs);
    case 1: return fault_prng_.between(20 * kMs, 400 * kMs);
    case 2: return fault_prng_.between(200 * kMs, 2 * kSecond);
    default: return fault_prng_.between(kSecond, 6 * kSecond);
  }
}

// A rolling upgrade, the other node right after the first, and then the holder loses every link
// while the long grant of its planned restart still runs.
void World::upgrade_both(int pairing) {
  const auto holds = [pairing](const Machine& m) {
    return m.monitor && std::any_of(m.slots.begin(), m.slots.end(), [pairing](const Slot& s) {
             return s.pairing == pairing && s.state.in_command;
           });
  };
  const auto holder = std::find_if(machines_.begin(), machines_.end(), holds);
  if (holder == machines_.end()) {
    return;
  }
  const int who = holder->id;
  int other = who;
  for (const Slot& s : holder->slots) {
    other = s.pairing == pairing ? s.peer : other;
  }
  operate(who, event_of(core::EventKind::ShutdownRequested, true));
  const int64_t second = now() + fault_prng_.between(50 * kMs, 700 * kMs);
  queue_.call(second, [this, other] { crash_monitor(other); });
  queue_.call(second + fault_prng_.between(kMs, 30 * kMs), [this, other] { start_monitor(other); });
  const int64_t cut = second + fault_prng_.between(50 * kMs, 500 * kMs);
  queue_.call(cut, [this, who, pairing] {
    cut_service(who, true, true);
    cut_direct(pairing, true, true);
  });
  queue_.call(cut + 4 * kSecond, [this, who, pairing] {
    cut_service(who, false, false);
    cut_direct(pairing, false, false);
  });
}

void World::one_fault() {
  const int who = static_cast<int>(fault_prng_.below(machines_.size()));
  const int pairing = static_cast<int>(fault_prng_.below(pairings_.size()));
  const int64_t end = now() + fault_span();
  fault_over_at_ = end;
  std::vector<Domain> enabled;
  const auto enable = [&](bool on, Domain d) {
    if (on) {
      enabled.push_back(d);
    }
  };
  enable(options_.crash, Domain::Crash);
  enable(options_.monitor_crash, Domain::MonitorCrash);
  enable(options_.stall, Domain::Stall);
  enable(options_.freeze, Domain::Freeze);
  enable(options_.direct_cut && options_.direct_link, Domain::DirectCut);
  enable(options_.service_cut, Domain::ServiceCut);
  if (options_.gateway_down && fault_prng_.chance(1, 6)) {
    bool& up = fault_prng_.chance(1, 2) ? gateway_up_ : witness_up_;
    up = false;
    queue_.call(end, [&up] { up = true; });
  }
  if (options_.upgrades && fault_prng_.chance(1, 4)) {
    upgrade_both(pairing);
    return;
  }
  if (enabled.empty()) {
    return;
  }
  switch (enabled[fault_prng_.below(enabled.size())]) {
    case Domain::Crash:
      power_off(who);
      queue_.call(end, [this, who] { boot(who); });
      return;
    case Domain::MonitorCrash:
      crash_monitor(who);
      queue_.call(end, [this, who] { start_monitor(who); });
      return;
    case Domain::Stall: {
      Machine& m = machine(who);
      const bool whole = fault_prng_.chance(1, 2);
      tell("%c: %s stops", 'A' + who, whole ? "monitor" : "control loop");
      (whole ? m.stopped : m.loop_stalled) = true;
      const uint64_t life = m.life;
      queue_.call(end, [this, who, life] {
        Machine& again = machine(who);
        if (again.life == life) {
          tell("%c: runs again", 'A' + who);
          again.stopped = false;
          again.loop_stalled = false;
          again.next_turn = kNever;
          wake(again, now());
        }
      });
      return;
    }
    case Domain::Freeze:
      freeze(who);
      queue_.call(end, [this, who] { thaw(who); });
      return;
    case Domain::DirectCut: {
      const uint64_t how = fault_prng_.below(3);
      cut_direct(pairing, how != 1, how != 2);
      queue_.call(end, [this, pairing] { cut_direct(pairing, false, false); });
      return;
    }
    case Domain::ServiceCut: {
      const uint64_t how = fault_prng_.below(3);
      cut_service(who, how != 1, how != 2);
      queue_.call(end, [this, who] { cut_service(who, false, false); });
      return;
    }
    case Domain::None:
    case Domain::Loss: return;
  }
}

void World::next_fault() {
  const int64_t mean = options_.fault_gap.as_ns();
  const int64_t gap = fault_prng_.between(mean / 10, mean * 2);
  queue_.call(now() + gap, [this] {
    if (healed_) {
      return;
    }
    // The gateway is judged by one fault at a time: the last one must be over, and the pair whole
    // again.
    bool whole = options_.domain == Domain::None;
    if (!whole) {
      whole = now() >= fault_over_at_;
      for (size_t i = 0; i < pairings_.size(); ++i) {
        whole = whole && healthy(static_cast<int>(i));
      }
      whole = whole || now() > fault_over_at_ + 15 * kSecond;
    }
    if (whole) {
      one_fault();
    }
    next_fault();
  });
}

void World::next_operator() {
  queue_.call(now() + fault_prng_.between(200 * kMs, 4 * kSecond), [this] {
    if (healed_) {
      return;
    }
    const int who = static_cast<int>(fault_prng_.below(machines_.size()));
    Machine& m = machine(who);
    using core::EventKind;
    switch (fault_prng_.below(12)) {
      case 0:
      case 1:
      case 2: operate(who, event_of(EventKind::OperatorSwitchover)); break;
      case 3: operate(who, event_of(EventKind::OperatorFailover)); break;
      case 4:
      case 5: operate(who, event_of(EventKind::OperatorFailback)); break;
      case 6:
        operate(who, event_of(EventKind::OperatorMaintenance, fault_prng_.chance(1, 2)));
        break;
      case 7:
        operate(who, event_of(EventKind::OperatorFailoverType, fault_prng_.chance(2, 3)));
        break;
      case 8:
        operate(who, event_of(EventKind::OperatorFailbackType, fault_prng_.chance(1, 2)));
        break;
      case 9:
      case 10:
        if (m.monitor) {
          operate(who, event_of(EventKind::ShutdownRequested, true));
        }
        break;
      default:
        if (m.monitor) {
          m.restart_wanted = true;
          operate(who, event_of(EventKind::ShutdownRequested, false));
        }
        break;
    }
    next_operator();
  });
}

}  // namespace cb::sim
