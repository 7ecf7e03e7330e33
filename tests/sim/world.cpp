// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.h"

#include <cstdarg>
#include <cstdio>

#include "core/state_text.h"

namespace cb::sim {
namespace {

constexpr int64_t kLivenessBound = 60 * kSecond;  // after the heal, with the quiet time inside
constexpr int64_t kQuiet = 6 * kSecond;

}  // namespace

World::World(const Options& options)
    : options_(options),
      prng_(options.seed * 3 + 1),
      fault_prng_(options.seed * 3 + 2),
      witness_prng_(options.seed * 3 + 3) {
  const int primaries = options_.n_to_1 ? 2 : 1;
  const int secondary = primaries;
  machines_.resize(static_cast<size_t>(primaries) + 1);
  for (int i = 0; i <= primaries; ++i) {
    machine(i).id = i;
    machine(i).role = i == secondary ? core::Role::Secondary : core::Role::Primary;
  }
  for (int i = 0; i < primaries; ++i) {
    Pairing p;
    p.primary = i;
    p.secondary = secondary;
    p.direct = options_.direct_link;
    pairings_.push_back(p);
    Slot a;
    a.pairing = i;
    a.peer = secondary;
    a.peer_slot = i;
    Slot b;
    b.pairing = i;
    b.peer = i;
    b.peer_slot = 0;
    for (int link = 0; link < CB_LINKS; ++link) {
      for (int word = 0; word < 2; ++word) {
        a.keys.transmit[link][word] = b.keys.receive[link][word] = prng_.next();
        b.keys.transmit[link][word] = a.keys.receive[link][word] = prng_.next();
      }
    }
    machine(i).slots.push_back(a);
    machine(secondary).slots.push_back(b);
  }
  for (size_t i = 0; i < pairings_.size(); ++i) {
    const int index = static_cast<int>(i);
    if (options_.has_volume) {
      queue_.call(40 * kMs, [this, index] { volume_turn(index); });
    }
  }
}

int64_t World::after(int64_t low, int64_t high) { return now() + prng_.between(low, high); }

void World::tell(const char* format, ...) {
  if (!tracing_ && !options_.verbose) {
    return;
  }
  char line[400];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  char stamped[440];
  std::snprintf(stamped, sizeof stamped, "%10.3f ms  %s\n", static_cast<double>(now()) / 1e6, line);
  if (options_.verbose) {
    std::fputs(stamped, stdout);
  }
  if (tracing_) {
    trace_ += stamped;
  }
}

void World::object(const char* format, ...) {
  if (!objection_.empty()) {
    return;
  }
  char line[400];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  char stamped[440];
  std::snprintf(stamped, sizeof stamped, "at %.3f ms: %s", static_cast<double>(now()) / 1e6, line);
  objection_ = stamped;
  tell("OBJECTION %s", line);
}

void World::happen(const Happening& next) {
  switch (next.what) {
    case What::Frame: arrive(next.a); break;
    case What::Probe: {
      Machine& m = machine(next.a);
      if (m.monitor && m.life == next.life) {
        probe(m, next.b, next.c, true);
      }
      break;
    }
    case What::Turn: {
      Machine& m = machine(next.a);
      if (m.life == next.life && m.next_turn == next.at) {
        turn(m);
      }
      break;
    }
    case What::Call: queue_.take_call(next.a)(); break;
  }
  judge();
}

void World::run_for(int64_t span) {
  const int64_t end = now() + span;
  while (objection_.empty() && !queue_.empty() && queue_.next_at() <= end) {
    happen(queue_.pop());
  }
  queue_.advance_to(end);
}

// One in command and passing, with everything up; the other standing by and able.
bool World::healthy(int index) {
  const Pairing& p = pairings_[static_cast<size_t>(index)];
  int commands = 0;
  bool whole = true;
  for (const int id : {p.primary, p.secondary}) {
    Machine& m = machine(id);
    for (size_t i = 0; i < m.slots.size(); ++i) {
      const Slot& s = m.slots[i];
      if (s.pairing != index) {
        continue;
      }
      const core::State& st = s.state;
      whole = whole && m.monitor && !m.stopped && !m.loop_stalled && !m.frozen &&
              st.ladder == core::Ladder::None && st.peer_answers;
      if (st.in_command) {
        ++commands;
        whole = whole && passes(id, static_cast<int>(i)) && s.address &&
                (s.services_running || !options_.has_services) &&
                st.sub == core::SubState::Protected &&
                (st.name == core::StateName::PrimaryActive ||
                 st.name == core::StateName::FailoverActive);
      } else {
        whole = whole && core::is_eligible(st);
      }
    }
  }
  return whole && commands == 1;
}

bool World::converged() {
  bool all = true;
  for (size_t i = 0; i < pairings_.size(); ++i) {
    // A grant that nobody needs any more would refuse the next takeover.
    all = all && healthy(static_cast<int>(i)) &&
          pairings_[i].record.holder == core::witness::Holder::Nobody;
  }
  return all;
}

void World::heal() {
  tell("everything heals");
  healed_ = true;
  gateway_up_ = true;
  witness_up_ = true;
  witness_slow_ = witness_loses_answers_ = false;
  for (Pairing& p : pairings_) {
    p.direct_cut[0] = p.direct_cut[1] = false;
  }
  for (Machine& m : machines_) {
    m.in_cut = m.out_cut = false;
    m.services_broken = false;
    for (Slot& s : m.slots) {
      if (s.services_running) {
        core::Event up;
        up.kind = core::EventKind::ServicesUp;
        feed(m, s, up);
      }
    }
    thaw(m.id);
    if (m.stopped || m.loop_stalled) {
      m.stopped = m.loop_stalled = false;
      m.next_turn = kNever;
      wake(m, now());
    }
    const int id = m.id;
    boot(id);
    start_monitor(id);
    // A graceful stop that was under way ends; somebody starts the monitor again.
    queue_.call(now() + 4 * kSecond, [this, id] {
      start_monitor(id);
      core::Event off;
      off.kind = core::EventKind::OperatorMaintenance;
      operate(id, off);
    });
  }
}

bool World::run() {
  boot_all();
  next_fault();
  next_witness_fault();
  if (options_.operators) {
    next_operator();
  }
  if (options_.attacker) {
    for (int i = 1; i < 400; ++i) {
      queue_.call(i * (options_.faults_for.as_ns() / 400), [this] { inject(); });
    }
  }
  if (options_.service_failures) {
    const int64_t at = prng_.between(kSecond, options_.faults_for.as_ns());
    const int who = static_cast<int>(prng_.below(machines_.size()));
    queue_.call(at, [this, who] {
      Machine& m = machine(who);
      m.services_broken = true;
      for (Slot& s : m.slots) {
        if (s.services_running) {
          core::Event e;
          e.kind = core::EventKind::ServicesDown;
          feed(m, s, e);
        }
      }
    });
  }
  run_for(options_.faults_for.as_ns());
  if (!objection_.empty()) {
    return false;
  }

  heal();
  const int64_t healed_at = now();
  int64_t quiet_since = kNever;
  while (objection_.empty() && now() - healed_at < kLivenessBound) {
    run_for(100 * kMs);
    int64_t changed = 0;
    for (const Machine& m : machines_) {
      for (const Slot& s : m.slots) {
        changed = std::max(changed, s.changed_at);
      }
    }
    if (!converged()) {
      quiet_since = kNever;
    } else if (quiet_since == kNever) {
      quiet_since = std::max(changed, healed_at);
    } else {
      quiet_since = std::max(quiet_since, changed);
    }
    if (quiet_since != kNever && now() - quiet_since >= kQuiet) {
      converged_after_ = quiet_since - healed_at;
      return objection_.empty();
    }
  }
  if (objection_.empty()) {
    std::string where;
    for (const Machine& m : machines_) {
      for (const Slot& s : m.slots) {
        where += std::string(" ") + static_cast<char>('A' + m.id) + "=" +
                 std::string(core::name_of(s.state.name)) + "/" +
                 std::string(core::name_of(s.state.sub)) + "(" +
                 std::string(core::name_of(s.state.reason)) + ")" + (s.address ? " address" : "") +
                 (s.services_running ? " services" : "") + (m.monitor ? "" : " no monitor");
      }
    }
    object("V4: not one in command and quiet within %lld s of the heal:%s",
           static_cast<long long>(kLivenessBound / kSecond), where.c_str());
  }
  return false;
}

}  // namespace cb::sim
