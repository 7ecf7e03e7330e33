// SPDX-License-Identifier: Apache-2.0
//
// driver.h - one node's core in the hands of a test: events go in, what it asked for comes out and
// can be answered by name. Time stands still unless a test moves it.
#pragma once

#include <string>
#include <vector>

#include "bpf/crossbeat_wire.h"
#include "core/arbitration.h"
#include "core/state_text.h"
#include "core/step.h"

namespace cb::core {

inline Settings usual_settings(Role role) {
  Settings s;
  s.role = role;
  s.paired = true;
  s.automatic_failover = true;
  s.direct_link = true;
  s.arbitration = kArbitrateGateway;
  s.has_services = true;
  s.grant_us = 9'000;
  s.failover_wait = 10_s;
  s.wait_for_peer = 15_s;
  s.hold_down = 60_s;
  s.action_deadline = 2_s;
  s.service_deadline = 60_s;
  s.fence_deadline = 20_s;
  s.arbitration_deadline = 50_ms;
  s.hand_over_deadline = 5_s;
  s.planned_restart_grant = 5_s;
  s.confirm = 4_ms;
  s.automatic_moves_max = 3;
  s.automatic_moves_window = 900_s;
  return s;
}

// The same with a fence in place of a gateway.
inline Settings fenced_settings(Role role) {
  Settings s = usual_settings(role);
  s.arbitration = kArbitrateFence;
  s.has_fence = true;
  return s;
}

// What a healthy peer says. `serving` in this term, or standing by when 0.
inline PeerFacts peer_facts(Role role, uint64_t serving_term, uint64_t known_term = 2) {
  PeerFacts f;
  f.boot = 77;
  f.grants = serving_term == 0;
  f.session = 7;
  f.role = role;
  f.term = serving_term != 0 ? serving_term : known_term;
  f.command_term = serving_term;
  f.flags = CB_FACT_IN_STEP | CB_FACT_NETWORK_OK | CB_FACT_SERVICES_OK | CB_FACT_FAILOVER_AUTO;
  if (serving_term != 0) {
    f.flags |= CB_FACT_SERVING;
    f.state = role == Role::Primary ? StateName::PrimaryActive : StateName::FailoverActive;
    f.sub_state = SubState::Protected;
  } else {
    f.flags |= CB_FACT_ELIGIBLE;
    f.state = role == Role::Primary ? StateName::Terminated : StateName::SecondaryActive;
    f.sub_state = role == Role::Primary ? SubState::PeerInCommand : SubState::Ready;
  }
  return f;
}

class Driver {
 public:
  explicit Driver(const Settings& settings) : state(initial(settings)) {}

  Actions step(const Event& event) {
    const Step stepped = core::step(state, event, now);
    state = stepped.next;
    for (const Action& action : stepped.actions) {
      log.push_back(action);
    }
    return stepped.actions;
  }
  Actions step(EventKind kind) {
    Event e;
    e.kind = kind;
    return step(e);
  }
  Actions step(EventKind kind, bool on) {
    Event e;
    e.kind = kind;
    e.on = on;
    return step(e);
  }
  Actions start(const LedgerRecord& ledger = {}, bool kept_running = false,
                GuardMode guard = GuardMode::Closed) {
    Event e;
    e.kind = EventKind::Started;
    e.ledger = ledger;
    e.kept_running = kept_running;
    e.guard = guard;
    e.value = kept_running ? ledger.command_term : 0;
    e.granted_until = kept_running ? now : Instant{};
    return step(e);
  }
  Actions hear(PeerFacts facts) {
    facts.received = now;
    Event e;
    e.kind = EventKind::PeerHeard;
    e.peer = facts;
    return step(e);
  }
  // Its frames arrive, and it answers on both links.
  void meet(const PeerFacts& facts) {
    hear(facts);
    Event e;
    e.kind = EventKind::LinkAnswered;
    e.link = Link::Direct;
    step(e);
    e.link = Link::Network;
    step(e);
    step(EventKind::PeerAnswered);
  }
  void pass(Duration time) { now += time; }
  // Time goes on, and every deadline on the way is kept.
  void live(Duration time) {
    const Instant end = now + time;
    for (int i = 0; i < 10'000 && next_deadline(state) <= end; ++i) {
      now = std::max(now, next_deadline(state));
      step(EventKind::Tick);
    }
    now = end;
  }
  // Goes silent after a moment of suspicion.
  void fall_silent() {
    pass(5_ms);
    step(EventKind::PeerSuspect);
    pass(5_ms);
    Event e;
    e.kind = EventKind::LinkSilent;
    e.link = Link::Direct;
    step(e);
    e.link = Link::Network;
    step(e);
    step(EventKind::PeerSilent);
  }
  // The newest action of this kind that answers and has not been answered.
  const Action* waiting(ActionKind kind) const {
    for (size_t i = log.size(); i-- > 0;) {
      if (log[i].kind == kind && !is_answered(log[i].id)) {
        return &log[i];
      }
    }
    return nullptr;
  }
  bool asked_for(ActionKind kind) const { return waiting(kind) != nullptr; }
  Actions answer(ActionKind kind, int error = 0) {
    const Action* action = waiting(kind);
    CB_CHECK_MSG(action != nullptr, "nothing of this kind waits for an answer");
    Event e;
    e.kind = EventKind::ActionDone;
    e.action = action->id;
    e.action_kind = kind;
    e.error = error;
    answered.push_back(action->id);
    return step(e);
  }
  Actions decide(Verdict verdict) {
    const Action* action = waiting(ActionKind::Arbitrate);
    CB_CHECK_MSG(action != nullptr, "arbitration was not asked");
    Event e;
    e.kind = EventKind::ArbitrationDone;
    e.action = action->id;
    e.verdict = verdict;
    answered.push_back(action->id);
    return step(e);
  }
  // Answers the ledger and every rung with success until the ladder has ended.
  void finish_ladder() {
    for (int i = 0; i < 100; ++i) {
      if (state.persist != 0) {
        answer(ActionKind::PersistLedger);
      } else if (state.rung_action != 0) {
        answer_id(state.rung_action);
      } else {
        return;
      }
    }
  }
  void answer_id(ActionId id, int error = 0) {
    for (const Action& action : log) {
      if (action.id == id) {
        Event e;
        e.kind = EventKind::ActionDone;
        e.action = id;
        e.action_kind = action.kind;
        e.error = error;
        answered.push_back(id);
        step(e);
        return;
      }
    }
  }
  bool reported(Report report) const {
    for (const Action& action : log) {
      if (action.kind == ActionKind::Report && action.report == report) {
        return true;
      }
    }
    return false;
  }
  Reason reason_of(Report report) const {
    for (size_t i = log.size(); i-- > 0;) {
      if (log[i].kind == ActionKind::Report && log[i].report == report) {
        return log[i].reason;
      }
    }
    return Reason::None;
  }
  // What was asked for of the world, in order, since the last call: reports and bursts left out.
  std::vector<ActionKind> asked() {
    std::vector<ActionKind> kinds;
    for (; seen < log.size(); ++seen) {
      if (log[seen].kind != ActionKind::Report && log[seen].kind != ActionKind::Burst) {
        kinds.push_back(log[seen].kind);
      }
    }
    return kinds;
  }
  Facts facts() const { return facts_of(state); }
  bool says(uint32_t fact) const { return (facts().flags & fact) != 0; }
  std::string where() const {
    return std::string(name_of(state.name)) + "/" + std::string(name_of(state.sub));
  }

  State state;
  Instant now = Instant::from_ns(0) + 100_s;
  std::vector<Action> log;
  std::vector<ActionId> answered;
  size_t seen = 0;

 private:
  bool is_answered(ActionId id) const {
    for (const ActionId other : answered) {
      if (other == id) {
        return true;
      }
    }
    return false;
  }
};

// -- where most stories begin

// A primary in command under the lease of a ready standby.
inline Driver primary_in_command(Settings settings = usual_settings(Role::Primary),
                                 const LedgerRecord& ledger = {}) {
  Driver d(settings);
  d.start(ledger);
  d.finish_ladder();
  PeerFacts standby = peer_facts(Role::Secondary, 0, 1);
  standby.state = StateName::Terminated;
  standby.sub_state = SubState::Starting;
  if (settings.has_volume) {
    standby.flags &= ~static_cast<uint32_t>(CB_FACT_ELIGIBLE | CB_FACT_IN_STEP);
  }
  d.meet(standby);
  for (int i = 0; i < 20 && d.state.ladder != Ladder::None; ++i) {
    d.finish_ladder();
    standby.term = d.state.term;  // it has heard our claim
    d.hear(standby);
    d.finish_ladder();
  }
  standby = peer_facts(Role::Secondary, 0, d.state.term);
  d.hear(standby);
  if (settings.has_volume) {
    d.step(EventKind::VolumeInStep);
  }
  d.finish_ladder();
  return d;
}

// A secondary that stands by a serving primary, ready.
inline Driver secondary_standing_by(Settings settings = usual_settings(Role::Secondary)) {
  Driver d(settings);
  d.start();
  d.finish_ladder();
  d.meet(peer_facts(Role::Primary, 2));
  d.finish_ladder();
  if (settings.has_volume) {
    d.step(EventKind::VolumeInStep);
    d.finish_ladder();
  }
  d.pass(20_s);  // long enough for the grants of an earlier life to be over
  d.hear(peer_facts(Role::Primary, 2));
  d.step(EventKind::Tick);
  d.finish_ladder();
  return d;
}

}  // namespace cb::core
