// SPDX-License-Identifier: Apache-2.0
//
// The edges of a simulated machine: each takes its time, may fail, may hang past its deadline, and
// answers exactly once, unless its process has died meanwhile.
#include <algorithm>
#include <cerrno>

#include "core/arbitration.h"
#include "core/lease.h"
#include "core/state_text.h"
#include "tests/sim/world.h"

namespace cb::sim {

using core::ActionKind;

int64_t World::duration_of(ActionKind kind) {
  const bool slow = options_.slow_actions && !healed_ && prng_.chance(1, 10);
  const int64_t stretch = slow ? 8 : 1;
  switch (kind) {
    case ActionKind::AddAddress:
    case ActionKind::RemoveAddress:
    case ActionKind::OpenGuard:
    case ActionKind::CloseGuard:
    case ActionKind::Announce: return stretch * prng_.between(20'000, 4 * kMs);
    case ActionKind::PromoteVolume:
    case ActionKind::DemoteVolume:
    case ActionKind::MountVolume:
    case ActionKind::UnmountVolume: return stretch * prng_.between(2 * kMs, 40 * kMs);
    case ActionKind::StartServices:
    case ActionKind::StopServices: return stretch * prng_.between(10 * kMs, 300 * kMs);
    case ActionKind::Fence: return stretch * prng_.between(20 * kMs, 400 * kMs);
    case ActionKind::PersistLedger: return stretch * prng_.between(100'000, 30 * kMs);
    case ActionKind::None:
    case ActionKind::Arbitrate:
    case ActionKind::CancelArbitration:
    case ActionKind::Burst:
    case ActionKind::Report:
    case ActionKind::ClaimTerm:
    case ActionKind::CloseLease:
    case ActionKind::Resync:
    case ActionKind::Exit: break;
  }
  return stretch * prng_.between(1'000, 100'000);
}

size_t World::edge_of(ActionKind kind) {
  if (kind == ActionKind::AddAddress || kind == ActionKind::RemoveAddress) {
    return 1;
  }
  if (kind == ActionKind::StartServices || kind == ActionKind::StopServices) {
    return 2;
  }
  const bool data = kind == ActionKind::PromoteVolume || kind == ActionKind::DemoteVolume ||
                    kind == ActionKind::MountVolume || kind == ActionKind::UnmountVolume;
  return data ? 3 : 0;
}

void World::answer(Machine& m, Slot& s, const core::Action& action, int error) {
  core::Event e;
  e.kind = core::EventKind::ActionDone;
  e.action = action.id;
  e.action_kind = action.kind;
  e.error = error;
  if (error == 0) {
    s.lease_closed = s.lease_closed || action.kind == ActionKind::CloseLease;
    s.fenced = s.fenced || action.kind == ActionKind::Fence;
  }
  feed(m, s, e);
}

// Takes its time, then has its effect and answers; or fails; or answers late.
void World::finish(Machine& m, Slot& s, const core::Action& action, int64_t at, int error,
                   std::function<void()> effect) {
  const int id = m.id;
  const uint64_t life = m.life;
  const int slot = static_cast<int>(&s - m.slots.data());
  const bool hangs = options_.slow_actions && !healed_ && prng_.chance(1, 40);
  const int64_t late = now() + action.deadline.as_ns();
  const size_t edge = edge_of(action.kind);
  const uint64_t edge_turn = ++s.edge_turn[edge];
  if (hangs || at > late) {
    queue_.call(late, [this, id, life, slot, action] {
      Machine& again = machine(id);
      if (again.life == life) {
        answer(again, again.slots[static_cast<size_t>(slot)], action, ETIMEDOUT);
      }
    });
    if (hangs) {
      return;
    }
  }
  const bool in_time = at <= late;
  queue_.call(at, [this, id, life, slot, action, error, in_time, edge, edge_turn,
                   effect = std::move(effect)] {
    Machine& again = machine(id);
    if (again.life != life || !again.powered) {
      return;
    }
    if (again.frozen) {  // nothing happens in a frozen machine; it happens when it thaws
      const int64_t soon = now() + 5 * kMs;
      Slot& held = again.slots[static_cast<size_t>(slot)];
      core::Action rest = action;
      rest.deadline = Duration::from_s(1000);
      finish(again, held, rest, soon, error, effect);
      return;
    }
    const Slot& now_is = again.slots[static_cast<size_t>(slot)];
    if (error == 0 && effect && (edge == 0 || now_is.edge_turn[edge] == edge_turn)) {
      effect();
    }
    if (in_time) {
      answer(again, again.slots[static_cast<size_t>(slot)], action, error);
    }
  });
}

void World::persist(Machine& m, Slot& s, const core::Action& action) {
  const int id = m.id;
  const int slot = static_cast<int>(&s - m.slots.data());
  const bool fails =
      !healed_ && prng_.chance(static_cast<uint64_t>(options_.action_failures_permille / 4), 1000);
  if (options_.planted == Planted::ForgetToPersist) {
    finish(m, s, action, now() + duration_of(action.kind), 0, nullptr);
    return;
  }
  s.writing = true;
  s.write = action.ledger;
  finish(m, s, action, now() + duration_of(action.kind), fails ? EIO : 0, [this, id, slot, action] {
    Slot& held = machine(id).slots[static_cast<size_t>(slot)];
    held.writing = false;
    held.ledger_history.push_back(held.ledger);
    if (held.ledger_history.size() > 40) {
      held.ledger_history.erase(held.ledger_history.begin());
    }
    held.ledger = action.ledger;
  });
}

void World::close_lease(Machine& m, Slot& s, const core::Action& action) {
  if (options_.planted == Planted::SkipLeaseWait) {
    answer(m, s, action, 0);
    return;
  }
  const auto until = Instant::from_ns(static_cast<int64_t>(s.lease.granted_until_ns));
  const Instant closed =
      core::lease_closed_at(until, Duration::from_us(static_cast<int64_t>(action.value)));
  const int64_t at = std::max(now(), m.clock.world(closed.as_ns()));
  if (at <= now()) {
    answer(m, s, action, 0);
    return;
  }
  const int id = m.id;
  const uint64_t life = m.life;
  const int slot = static_cast<int>(&s - m.slots.data());
  queue_.call(at, [this, id, life, slot, action] {
    Machine& again = machine(id);
    if (again.life == life && again.powered) {
      answer(again, again.slots[static_cast<size_t>(slot)], action, 0);
    }
  });
}

void World::verdict(int index, int slot, uint64_t life, core::Action action, core::Verdict said) {
  Machine& m = machine(index);
  if (m.life != life || !m.powered) {
    return;
  }
  core::Event e;
  e.kind = core::EventKind::ArbitrationDone;
  e.action = action.id;
  e.verdict = said;
  feed(m, m.slots[static_cast<size_t>(slot)], e);
}

// One try in four within the deadline; the gateway first, then the address, then the witness
// (witness.cpp).
void World::ask_once(int index, int slot, uint64_t life, core::Action action, int tries_left,
                     int64_t asked_at) {
  Machine& m = machine(index);
  if (m.life != life || !m.powered) {
    return;
  }
  Slot& s = m.slots[static_cast<size_t>(slot)];
  const uint8_t kinds = s.state.settings.arbitration;
  const int pairing = s.pairing;
  const bool lost = !healed_ && prng_.chance(static_cast<uint64_t>(options_.loss_permille), 1000);
  const bool reached = reaches_gateway(m) && !m.frozen && !lost;
  if ((kinds & core::kArbitrateGateway) != 0 && !reached) {
    const int64_t quarter = action.deadline.as_ns() / 4;
    const int64_t at = now() + quarter;
    if (tries_left <= 1 || at > asked_at + action.deadline.as_ns()) {
      verdict(index, slot, life, action, core::Verdict::Isolated);
      return;
    }
    queue_.call(at, [this, index, slot, life, action, tries_left, asked_at] {
      ask_once(index, slot, life, action, tries_left - 1, asked_at);
    });
    return;
  }
  const bool defended_now = defended(index, pairing);
  const int64_t defend_wait = prng_.between(kMs / 2, 3 * kMs);
  queue_.call(now() + defend_wait, [this, index, slot, life, action, kinds, pairing, defended_now,
                                    asked_at] {
    if (machine(index).life != life || !machine(index).powered) {
      return;
    }
    core::Voices voices;
    voices.gateway_answers = true;
    voices.address_defended = defended_now || defended(index, pairing);
    const bool gateway_grants = (kinds & core::kArbitrateGateway) == 0 || !*voices.address_defended;
    if ((kinds & core::kArbitrateWitness) != 0 && gateway_grants) {
      if (machine(index).slots[static_cast<size_t>(slot)].asked != action.id) {
        return;  // taken back meanwhile
      }
      ask_witness(index, slot, action, asked_at + action.deadline.as_ns());
      return;
    }
    verdict(index, slot, life, action, core::verdict_of(kinds, voices));
  });
}

void World::arbitrate(Machine& m, Slot& s, const core::Action& action) {
  const int slot = static_cast<int>(&s - m.slots.data());
  if (options_.planted == Planted::SoloUnasked) {
    verdict(m.id, slot, m.life, action, core::Verdict::Granted);
    return;
  }
  s.asked = action.id;
  const int id = m.id;
  const uint64_t life = m.life;
  const int64_t asked_at = now();
  queue_.call(after(100'000, 2 * kMs), [this, id, slot, life, action, asked_at] {
    ask_once(id, slot, life, action, 4, asked_at);
  });
}

void World::fence(Machine& m, Slot& s, const core::Action& action) {
  const int target = s.peer;
  const int64_t at = now() + duration_of(action.kind);
  if (options_.planted == Planted::SkipFence) {
    finish(m, s, action, at, 0, nullptr);
    return;
  }
  const bool fails =
      !healed_ && prng_.chance(static_cast<uint64_t>(options_.action_failures_permille), 1000);
  const int64_t back = prng_.between(500 * kMs, 3000 * kMs);
  finish(m, s, action, at, fails ? EIO : 0, [this, target, back] {
    if (machine(target).powered) {
      tell("%c: fenced", 'A' + target);
      power_off(target);
      queue_.call(now() + back, [this, target] { boot(target); });
    }
  });
}

void World::announce(const Machine& m, const Slot& s) {
  Machine& o = machine(s.peer);
  Slot& other = o.slots[static_cast<size_t>(s.peer_slot)];
  if (o.powered && other.address && link_passes(m.id, o.id, s.pairing, CB_LINK_NETWORK)) {
    core::Event e;
    e.kind = core::EventKind::AddressConflict;
    feed(o, other, e);
  }
}

// The process ends when every pairing has said so; what the kernel holds stays.
void World::exit_monitor(Machine& m) {
  if (++m.exits < static_cast<int>(m.slots.size())) {
    return;
  }
  const bool restart = m.restart_wanted;
  m.restart_wanted = false;
  bool planned = false;
  for (const Slot& s : m.slots) {
    planned = planned || s.state.restarting;
  }
  tell("%c: monitor exits%s", 'A' + m.id, planned ? " (planned restart)" : "");
  if (planned) {
    const Duration grant = m.slots[0].state.settings.planned_restart_grant;
    m.node.fresh_until_ns = static_cast<uint64_t>(m.clock.local(now()) + grant.as_ns());
  }
  crash_monitor(m.id);
  const int id = m.id;
  const int64_t back =
      planned ? prng_.between(50 * kMs, 400 * kMs) : prng_.between(500 * kMs, 3000 * kMs);
  if (restart || planned) {
    queue_.call(now() + back, [this, id] { start_monitor(id); });
  }
}

void World::start(Machine& m, Slot& s, const core::Action& action) {
  const int id = m.id;
  const int slot = static_cast<int>(&s - m.slots.data());
  const auto held = [this, id, slot]() -> Slot& {
    return machine(id).slots[static_cast<size_t>(slot)];
  };
  const bool fails =
      !healed_ && prng_.chance(static_cast<uint64_t>(options_.action_failures_permille), 1000);
  const int error = fails ? EIO : 0;
  const int64_t at = now() + duration_of(action.kind);
  switch (action.kind) {
    case ActionKind::None:
    case ActionKind::Report: return;
    case ActionKind::PersistLedger: persist(m, s, action); return;
    case ActionKind::Arbitrate: arbitrate(m, s, action); return;
    case ActionKind::CancelArbitration:
      s.asked = 0;  // whatever is asked is taken back
      if (options_.arbiter == Arbiter::Witness) {
        release_witness(id, slot);
      }
      return;
    case ActionKind::Burst: burst(m, slot); return;
    case ActionKind::ClaimTerm:
      if (!s.state.in_command) {  // else the same command goes on under another number
        s.lease_closed = false;
        s.fenced = false;
      }
      answer(m, s, action, 0);
      return;
    case ActionKind::Fence: fence(m, s, action); return;
    case ActionKind::CloseLease: close_lease(m, s, action); return;
    case ActionKind::AddAddress:
      finish(m, s, action, at, error, [held] { held().address = true; });
      return;
    case ActionKind::RemoveAddress:
      finish(m, s, action, at, error, [held] { held().address = false; });
      return;
    case ActionKind::OpenGuard:
    case ActionKind::CloseGuard: finish(m, s, action, at, 0, nullptr); return;
    case ActionKind::Announce:
      finish(m, s, action, at, error, [this, id, slot] {
        announce(machine(id), machine(id).slots[static_cast<size_t>(slot)]);
      });
      return;
    case ActionKind::PromoteVolume:
      finish(m, s, action, at, error, [held] {
        Volume& v = held().volume;
        v.told_life = v.promoted ? v.told_life : 0;  // its monitor is told how things stand
        v.promoted = true;
      });
      return;
    case ActionKind::DemoteVolume: {
      const Slot& other = machine(s.peer).slots[static_cast<size_t>(s.peer_slot)];
      const bool keeps = s.state.goal == core::Goal::HandOver && s.volume.promoted &&
                         other.volume.version != s.volume.version;
      finish(m, s, action, at, keeps ? EBUSY : error, [held] {
        Volume& v = held().volume;
        if (v.promoted) {  // else there is nothing to do, and nothing is disturbed
          v.promoted = false;
          v.in_step = false;
          v.told_behind = true;  // who demotes knows where it stands
        }
      });
      return;
    }
    case ActionKind::MountVolume:
    case ActionKind::UnmountVolume: finish(m, s, action, at, error, nullptr); return;
    case ActionKind::StartServices:
      finish(m, s, action, at, m.services_broken ? EIO : error,
             [held] { held().services_running = true; });
      return;
    case ActionKind::StopServices:
      finish(m, s, action, at, error, [held] { held().services_running = false; });
      return;
    case ActionKind::Resync: s.volume.resync_wanted = true; return;
    case ActionKind::Exit: exit_monitor(m); return;
  }
}

}  // namespace cb::sim
