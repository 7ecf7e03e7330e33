// SPDX-License-Identifier: Apache-2.0
//
// The monitor of a simulated machine, modelled on the agent: read the clock once, drain, then
// judge, step each event, publish, start the actions. It decides nothing.
#include <algorithm>

#include "core/lease.h"
#include "core/state_text.h"
#include "tests/sim/world.h"

namespace cb::sim {
namespace {

constexpr int64_t kGrace = 200 * kMs;         // monitor_grace
constexpr int64_t kStallNoticed = 150 * kMs;  // our own loop was late by this

core::Event event_of(core::EventKind kind) {
  core::Event e;
  e.kind = kind;
  return e;
}

core::PeerFacts facts_from(const cb_peer_facts& said, uint64_t boot) {
  core::PeerFacts f;
  f.boot = boot;
  f.session = said.session;
  f.term = said.term;
  f.command_term = said.command_term;
  f.position = said.position;
  f.flags = said.flags;
  f.state = static_cast<core::StateName>(said.state);
  f.role = said.role == 0 ? core::Role::Primary : core::Role::Secondary;
  f.intent = said.intent;
  f.sub_state = static_cast<core::SubState>(said.sub_state);
  f.progress_permille = said.progress_permille;
  f.wanted_grant_us = said.wanted_grant_us;
  f.grants = said.grant_us > 0;
  f.unanswered = {said.unanswered[0], said.unanswered[1]};
  f.received = Instant::from_ns(static_cast<int64_t>(said.received_ns));
  return f;
}

bool same_words(core::PeerFacts a, const core::PeerFacts& b) {
  a.received = b.received;
  return a == b;
}

}  // namespace

core::Settings World::settings_for(const Machine& m) const {
  const bool fence = options_.arbiter == Arbiter::Fence;
  const bool witness = options_.arbiter == Arbiter::Witness;
  // With a third voice the gateway may be asked as well, or not.
  const bool gateway = !(fence || witness) || options_.seed % 2 == 0;
  core::Settings s;
  s.role = m.role;
  s.paired = true;
  s.automatic_failover = options_.automatic_failover;
  s.automatic_failback = options_.automatic_failback;
  s.direct_link = options_.direct_link;
  s.arbitration = static_cast<uint8_t>((gateway ? core::kArbitrateGateway : 0) |
                                       (fence ? core::kArbitrateFence : 0) |
                                       (witness ? core::kArbitrateWitness : 0));
  s.has_fence = fence;
  s.has_volume = options_.has_volume;
  s.has_services = options_.has_services;
  s.address_last = options_.address_last;
  const Duration within = options_.interval;
  s.grant_us = static_cast<uint32_t>(
      core::grant_for(options_.interval * (options_.probes_lost - 1) + within).as_us());
  s.failover_wait = options_.failover_wait;
  s.wait_for_peer = Duration::from_ms(2000);  // the longest grant here is that of a planned restart
  s.hold_down = options_.hold_down;
  s.action_deadline = Duration::from_ms(400);
  s.service_deadline = Duration::from_ms(1500);
  s.fence_deadline = Duration::from_ms(1500);
  s.arbitration_deadline = Duration::from_ms(40);
  s.hand_over_deadline = Duration::from_ms(1500);
  s.planned_restart_grant = Duration::from_ms(1200);
  s.confirm = options_.interval + within + Duration::from_ms(1);
  s.automatic_moves_max = 3;
  s.automatic_moves_window = Duration::from_s(60);
  return s;
}

std::array<core::LinkView, core::kLinks> World::views_of(const Slot& s) const {
  std::array<core::LinkView, core::kLinks> views;
  for (size_t link = 0; link < views.size(); ++link) {
    core::LinkView& v = views[link];
    v.configured = link == CB_LINK_NETWORK || pairings_[static_cast<size_t>(s.pairing)].direct;
    v.sent_sequence = s.probes[link].sequence;
    v.answered_sequence = s.path[link].answered_sequence;
    v.frame_at = Instant::from_ns(static_cast<int64_t>(s.path[link].frame_ns));
    v.sent_ns = std::span<const uint64_t>(reinterpret_cast<const uint64_t*>(s.probes[link].sent_ns),
                                          CB_PROBE_RING);
  }
  return views;
}

void World::start_monitor(int index) {
  Machine& m = machine(index);
  if (!m.powered || m.monitor) {
    return;
  }
  m.monitor = true;
  m.loop_stalled = false;
  m.stopped = false;
  m.exits = 0;
  ++m.life;
  const auto local = static_cast<uint64_t>(m.clock.local(now()));
  m.node.session = prng_.next();
  m.node.exit_ns = 0;
  m.node.beat_ns = local;
  m.node.fresh_until_ns = local + static_cast<uint64_t>(kGrace);
  m.last_turn = m.clock.local(now());
  m.next_turn = kNever;
  tell("%c: monitor starts", 'A' + index);
  for (size_t i = 0; i < m.slots.size(); ++i) {
    Slot& s = m.slots[i];
    s.state = core::initial(settings_for(m));
    s.detector = core::Detector{};
    const bool direct = pairings_[static_cast<size_t>(s.pairing)].direct;
    s.detector.timing[CB_LINK_DIRECT] = {options_.interval, options_.interval,
                                         options_.probes_lost};
    s.detector.timing[CB_LINK_NETWORK] = {direct ? options_.interval * 2 : options_.interval,
                                          options_.interval, options_.probes_lost};
    s.watch = core::MonitorWatch{};
    s.has_told = false;
    s.inbox.clear();
    s.seen = views_of(s);
    s.lease_closed = false;
    s.fenced = false;
    s.volume.told_behind = false;  // a new monitor is told how things stand
    core::Event e = event_of(core::EventKind::Started);
    e.ledger = s.ledger;
    e.kept_running = s.address && s.pair.guard_mode != CB_GUARD_CLOSED;
    e.granted_until = Instant::from_ns(static_cast<int64_t>(s.lease.granted_until_ns));
    e.guard = static_cast<core::GuardMode>(s.pair.guard_mode);
    e.value = (cb_facts_of(&s.pair)->flags & CB_FACT_SERVING) != 0 ? cb_facts_of(&s.pair)->term : 0;
    if (options_.planted == Planted::ForgetGrants) {
      e.granted_until = Instant::from_ns(1);
      s.lease.granted_until_ns = 0;
    }
    if (options_.planted == Planted::ReuseTerms) {
      e.ledger.reserved_term = e.ledger.term = e.ledger.command_term = 0;
    }
    if (options_.planted == Planted::ProofForAll) {
      e.ledger.in_command = e.ledger.solo = e.ledger.peer_stale = true;
    }
    s.inbox.push_back(e);
    for (int link = 0; link < CB_LINKS; ++link) {
      if (link == CB_LINK_NETWORK || direct) {
        queue_.push(after(0, options_.interval.as_ns()), What::Probe, index, static_cast<int>(i),
                    link, m.life);
      }
    }
  }
  wake(m, now());
}

void World::crash_monitor(int index) {
  Machine& m = machine(index);
  if (!m.powered || !m.monitor) {
    return;
  }
  tell("%c: monitor dies", 'A' + index);
  m.monitor = false;
  m.loop_stalled = false;
  m.stopped = false;
  ++m.life;
  m.node.exit_ns = static_cast<uint64_t>(m.clock.local(now()));
  for (Slot& s : m.slots) {
    s.inbox.clear();
    if (s.writing) {  // what was on its way to the disk got there, or not
      s.writing = false;
      if (prng_.chance(1, 2)) {
        s.ledger = s.write;
      }
    }
  }
}

void World::wake(Machine& m, int64_t at) {
  at = std::max(at, now());
  if (!m.monitor || at >= m.next_turn) {
    return;
  }
  m.next_turn = at;
  queue_.push(at, What::Turn, m.id, 0, 0, m.life);
}

void World::feed(Machine& m, Slot& s, core::Event event) {
  if (m.powered && m.monitor) {
    s.inbox.push_back(event);
    wake(m, now());
  }
}

void World::operate(int index, core::Event event) {
  Machine& m = machine(index);
  tell("%c: operator: %s%s", 'A' + index, std::string(core::name_of(event.kind)).c_str(),
       event.on ? " on" : "");
  for (Slot& s : m.slots) {
    feed(m, s, event);
  }
}

void World::drain(Machine& m, Slot& s) {
  // The newest facts are those that were made last on the peer's clock: an old frame may come last.
  const cb_path* newest = nullptr;
  for (const cb_path& path : s.path) {
    if (path.peer_boot == 0 || path.peer.received_ns == 0) {
      continue;
    }
    const bool same_boot = newest && newest->peer_boot == path.peer_boot;
    if (!newest || (same_boot ? path.peer.stamp_ns > newest->peer.stamp_ns
                              : path.peer.received_ns > newest->peer.received_ns)) {
      newest = &path;
    }
  }
  if (!newest) {
    return;
  }
  core::PeerFacts facts = facts_from(newest->peer, newest->peer_boot);
  if (options_.planted == Planted::AcceptEqualTerm && s.state.serving_term != 0) {
    facts.term = std::min(facts.term, s.state.serving_term);
    facts.command_term = std::min(facts.command_term, s.state.serving_term);
  }
  if (options_.planted == Planted::DeafToGoodbye && facts.intent == CB_INTENT_GOODBYE) {
    facts.intent = CB_INTENT_NONE;
  }
  const bool was_gone = s.detector.suspect || s.detector.peer_silent;
  if (!s.has_told || !same_words(s.told, facts) ||
      (was_gone && facts.received != s.told.received) ||
      core::wants_facts_again(s.state, facts.received)) {
    s.told = facts;
    s.has_told = true;
    core::Event e = event_of(core::EventKind::PeerHeard);
    e.peer = facts;
    s.news.push_back(e);
  }
  const int64_t local = m.clock.local(now());
  if (local - facts.received.as_ns() < kGrace) {
    const auto kind = core::judge_monitor(s.watch, Duration::from_us(newest->peer.monitor_age_us),
                                          Duration::from_ns(kGrace + kGrace / 100));
    if (kind) {
      s.news.push_back(event_of(*kind));
    }
  }
}

void World::judge_links(Machine& m, Slot& s) {
  const Instant local = Instant::from_ns(m.clock.local(now()));
  auto views = views_of(s);
  if (options_.planted == Planted::JudgeBeforeDrain) {
    for (size_t i = 0; i < views.size(); ++i) {
      views[i].answered_sequence = s.seen[i].answered_sequence;
      views[i].frame_at = s.seen[i].frame_at;
    }
  }
  for (const core::Event& e : core::judge(s.detector, views, local)) {
    s.news.push_back(e);
  }
  s.seen = views_of(s);
}

void World::look_at_network(Machine& m) {
  const int64_t local = m.clock.local(now());
  if (local < m.next_look) {
    return;
  }
  m.next_look = local + 100 * kMs;
  const bool ok = reaches_gateway(m);
  if (ok != m.network_ok) {
    m.network_ok = ok;
    for (Slot& s : m.slots) {
      s.inbox.push_back(event_of(ok ? core::EventKind::NetworkUp : core::EventKind::NetworkDown));
    }
  }
}

void World::turn(Machine& m) {
  m.next_turn = kNever;
  if (!m.powered || !m.monitor || m.frozen || m.loop_stalled || m.stopped) {
    return;  // whoever ends that wakes us
  }
  const uint64_t life = m.life;
  const int64_t local = m.clock.local(now());
  const int64_t late = local - m.last_turn;
  look_at_network(m);
  int64_t next = local + 100 * kMs;
  for (Slot& s : m.slots) {
    if (late > kStallNoticed) {
      core::Event e = event_of(core::EventKind::SelfStalled);
      e.span = Duration::from_ns(late);
      s.news.push_back(e);
    }
    drain(m, s);
    judge_links(m, s);
    // Started comes before the news; everything else after.
    const bool begins = !s.inbox.empty() && s.inbox.front().kind == core::EventKind::Started;
    s.inbox.insert(s.inbox.begin() + (begins ? 1 : 0), s.news.begin(), s.news.end());
    s.news.clear();
    if (s.inbox.empty() && core::next_deadline(s.state).as_ns() <= local) {
      s.inbox.push_back(event_of(core::EventKind::Tick));
    }
    run_inbox(m, s);
    if (m.life != life || !m.monitor) {
      return;  // it exited
    }
    if (core::next_deadline(s.state).as_ns() <= local) {
      step_once(m, s, event_of(core::EventKind::Tick));
      run_inbox(m, s);
      if (m.life != life || !m.monitor) {
        return;
      }
    }
    next = std::min(next, core::next_deadline(s.state).as_ns());
    if (s.detector.suspect) {
      next = std::min(
          next, core::next_judgement(s.detector, views_of(s), Instant::from_ns(local)).as_ns());
    }
  }
  m.last_turn = local;
  m.node.beat_ns = static_cast<uint64_t>(local);
  m.node.fresh_until_ns = static_cast<uint64_t>(local + kGrace);
  wake(m, m.clock.world(next));
}

void World::run_inbox(Machine& m, Slot& s) {
  const uint64_t life = m.life;
  for (int steps = 0; !s.inbox.empty(); ++steps) {
    if (steps > 1000) {
      object("%c: events beget events without end", 'A' + m.id);
      return;
    }
    const core::Event e = s.inbox.front();
    s.inbox.pop_front();
    step_once(m, s, e);
    if (m.life != life || !m.monitor) {
      return;
    }
  }
}

void World::step_once(Machine& m, Slot& s, const core::Event& event) {
  const core::State before = s.state;
  const Instant local = Instant::from_ns(m.clock.local(now()));
  core::Step stepped = core::step(s.state, event, local);
  s.state = stepped.next;
  if (options_.planted == Planted::IgnoreStale && s.state.ledger_known) {
    s.state.stale = false;
    s.state.in_step = true;
  }
  if (tracing_ || options_.verbose) {
    if (before.name != s.state.name || before.sub != s.state.sub || before.guard != s.state.guard) {
      tell("%c%d: %s/%s -> %s/%s (%s) term %llu guard %s%s on %s", 'A' + m.id, s.pairing,
           std::string(core::name_of(before.name)).c_str(),
           std::string(core::name_of(before.sub)).c_str(),
           std::string(core::name_of(s.state.name)).c_str(),
           std::string(core::name_of(s.state.sub)).c_str(),
           std::string(core::name_of(s.state.reason)).c_str(),
           static_cast<unsigned long long>(core::facts_of(s.state).term),
           std::string(core::name_of(s.state.guard)).c_str(), s.state.stale ? " stale" : "",
           std::string(core::name_of(event.kind)).c_str());
    }
  }
  if (before.name != s.state.name || before.in_command != s.state.in_command) {
    s.changed_at = now();
  }
  publish(m, s, before);
  judge_step(m, s, before);
  const uint64_t life = m.life;
  for (const core::Action& action : stepped.actions) {
    judge_action(m, s, action);
    start(m, s, action);
    if (m.life != life || !m.monitor) {
      return;
    }
  }
}

// In the order that core/step.h asks for: at every point in between it is safe to die.
void World::publish(Machine& m, Slot& s, const core::State& before) {
  auto wanted = static_cast<__u32>(core::guard_of(s.state));
  if (options_.planted == Planted::OpenGuardEarly && s.state.ladder == core::Ladder::Up &&
      s.state.solo != core::SoloBasis::None) {
    wanted = CB_GUARD_SOLO;
  }
  if (options_.planted == Planted::NeverYield && wanted == CB_GUARD_CLOSED &&
      s.state.reason == core::Reason::PeerHigherTerm) {
    wanted = before.guard == core::GuardMode::Closed ? s.pair.guard_mode
                                                     : static_cast<__u32>(before.guard);
  }
  const __u32 grant = options_.planted == Planted::GrantWhileServing ? s.state.settings.grant_us
                                                                     : core::grant_us_of(s.state);
  if (wanted < s.pair.guard_mode) {
    s.pair.guard_mode = wanted;
  }
  if (grant < s.pair.grant_us) {
    s.pair.grant_us = grant;
  }
  const core::Facts said = core::facts_of(s.state);
  cb_facts f{};
  f.term = said.term;
  f.command_term = said.command_term;
  f.position = said.position;
  f.flags = said.flags;
  f.state = static_cast<__u8>(said.state);
  f.role = static_cast<__u8>(said.role);
  f.intent = said.intent;
  f.sub_state = static_cast<__u8>(said.sub_state);
  f.wanted_grant_us = said.wanted_grant_us;
  f.progress_permille = said.progress_permille;
  for (size_t link = 0; link < CB_LINKS; ++link) {
    f.unanswered[link] = static_cast<__u8>(std::min(s.detector.unanswered[link], 255));
  }
  cb_write_facts(&s.pair, &f);
  s.pair.grant_us = grant;
  s.pair.guard_mode = wanted;
  s.volume.alone_allowed = core::may_acknowledge_alone(s.state);
  (void)m;
}

void World::probe(Machine& m, int slot, int link, bool again) {
  Slot& s = m.slots[static_cast<size_t>(slot)];
  if (again) {
    const int64_t interval = s.detector.timing[static_cast<size_t>(link)].interval.as_ns();
    queue_.push(now() + interval, What::Probe, m.id, slot, link, m.life);
  }
  if (!m.powered || m.frozen || m.stopped) {
    return;
  }
  cb_probes& p = s.probes[link];
  const auto local = static_cast<uint64_t>(m.clock.local(now()));
  cb_view v = view_of(m, s, link);
  v.granting = &s.granting;
  Heartbeat hb;
  const uint64_t sequence = p.sequence + 1;
  if (cb_make_probe(&v, &hb, static_cast<__u32>(link), sequence, local) != 0) {
    p.sent_ns[sequence % CB_PROBE_RING] = local;
    p.sequence = sequence;
    send(hb, m.id, s.peer, s.peer_slot, link, false);
  }
  wake(m, now());
}

void World::burst(Machine& m, int slot) {
  const int64_t interval = options_.interval.as_ns();
  const Slot& s = m.slots[static_cast<size_t>(slot)];
  for (int link = 0; link < CB_LINKS; ++link) {
    if (link == CB_LINK_DIRECT && !pairings_[static_cast<size_t>(s.pairing)].direct) {
      continue;
    }
    for (int i = 0; i < 2; ++i) {
      const int id = m.id;
      const uint64_t life = m.life;
      queue_.call(now() + i * interval / 2, [this, id, slot, link, life] {
        Machine& again = machine(id);
        if (again.life == life && again.monitor) {
          probe(again, slot, link, false);
        }
      });
    }
  }
}

}  // namespace cb::sim
