// SPDX-License-Identifier: Apache-2.0
//
// One turn of an instance: drain() and judge() put events into the inbox, run() feeds them to
// step() one by one. After each step the maps are told first (guard shut before facts say so,
// grants ended before anything climbs), then the actions begin. An action that answers at once puts
// its event into the same inbox, so a ladder climbs as far as it can within one turn.
#include "agent/instance.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/lease.h"
#include "core/state_text.h"

namespace cb::agent {
namespace {

constexpr size_t kRecorded = 256;
constexpr Duration kGrantingLookAgain = Duration::from_us(20);
// From a suspicion to the address, and some more. Telling people takes longer than deciding.
constexpr Duration kHurry = Duration::from_ms(3);

}  // namespace

Instance::Instance(loop::Loop& loop, edge::Kernel& kernel, InstanceSetup setup, InstanceEdges edges)
    : loop_(loop),
      kernel_(kernel),
      setup_(std::move(setup)),
      edges_(std::move(edges)),
      state_(core::initial(setup_.settings)) {
  detector_.timing = setup_.timing;
}

std::string Instance::label() const {
  return setup_.pair ? setup_.pair->primary_hm.text() : "unpaired";
}

void Instance::start(const core::LedgerRecord& ledger, Origin origin, Instant now) {
  since_ = now;
  core::Event event;
  event.kind = core::EventKind::Started;
  event.ledger = ledger;
  event.kept_running = origin == Origin::KeptRunning;
  if (event.kept_running) {
    // The kernel is the witness of what went on without us.
    const cb_pair& kept = map_pair();
    event.guard = kept.guard_mode <= CB_GUARD_SOLO ? static_cast<core::GuardMode>(kept.guard_mode)
                                                   : core::GuardMode::Closed;
    const cb_facts& said = *cb_facts_of(&map_pair());
    event.value = (said.flags & CB_FACT_SERVING) != 0 ? said.term : 0;
    // An earlier monitor may have given any grant.
    longest_grant_ = Duration::from_us(CB_GRANT_US_MAX);
    longest_grant_until_ = now + longest_grant_;
  }
  event.granted_until =
      Instant::from_ns(static_cast<int64_t>(kernel_.leases()[setup_.slot].granted_until_ns));
  if (origin == Origin::JustPaired && event.granted_until == Instant{}) {
    event.granted_until = now;  // a pairing that did not exist cannot have granted anything
  }
  // Before any news: a step on the blank state would publish a closed guard under an address that
  // is served.
  news_.push_front(event);
}

void Instance::note_stall(Duration span) {
  core::Event event;
  event.kind = core::EventKind::SelfStalled;
  event.span = span;
  news_.push_back(event);
}

void Instance::drain(Instant now) {
  if (!setup_.pair) {
    return;
  }
  PeerNews news = read_peer(kernel_, setup_.slot);
  if (news.busy && news.facts.boot == 0) {
    return;
  }
  if (news.facts.boot == 0) {
    return;
  }
  peer_ = news;
  if (!told_ || !same_facts(*told_, news.facts) ||
      core::wants_facts_again(state_, news.facts.received)) {
    told_ = news.facts;
    core::Event event;
    event.kind = core::EventKind::PeerHeard;
    event.peer = news.facts;
    news_.push_back(event);
  }
  // Ages count only from frames that have just come: what an old frame said is no news.
  if (now - news.facts.received < setup_.monitor_grace) {
    const Duration grace = setup_.monitor_grace + core::drift_margin(setup_.monitor_grace);
    if (const auto kind = core::judge_monitor(monitor_watch_, news.monitor_age, grace)) {
      core::Event event;
      event.kind = *kind;
      event.span = news.monitor_age;
      news_.push_back(event);
    }
  }
}

void Instance::judge(Instant now) {
  if (!setup_.pair) {
    return;
  }
  const LinkViews views = read_links(kernel_, setup_.slot, setup_.configured, carrier_);
  const auto judged = core::judge(detector_, views, now);
  for (const core::Event& event : judged) {
    if (event.kind == core::EventKind::PeerSuspect || event.kind == core::EventKind::LinkSilent) {
      edges_.burst();
      hurry_until_ = now + kHurry;
    }
    news_.push_back(event);
    if (event.kind == core::EventKind::PeerAnswered && told_) {
      core::Event heard;
      heard.kind = core::EventKind::PeerHeard;
      heard.peer = peer_.facts;
      news_.push_back(heard);
    }
  }
}

void Instance::run(Instant now) {
  // News of the peer before everything else, so that nothing is decided on what is no longer true;
  // Tick last. The bound makes a cell that answers itself for ever a crash with a message, not a
  // silent hang.
  for (int steps = 0;; ++steps) {
    CB_CHECK_MSG(steps < 1000, "events beget events without end");
    std::deque<core::Event>& from = news_.empty() ? inbox_ : news_;
    core::Event event;  // a Tick, unless there is something to say
    if (!from.empty()) {
      event = from.front();
      from.pop_front();
    } else if (core::next_deadline(state_) > now) {
      break;
    }
    step_one(event, now);
  }
  publish(now);
  if (now >= hurry_until_) {
    tell_people();
  }
}

core::Step Instance::would(const core::Event& event, Instant now) const {
  return core::step(state_, event, now);
}

Instant Instance::next_deadline(Instant now) const {
  Instant at = core::next_deadline(state_);
  if (!untold_.empty()) {
    at = std::min(at, hurry_until_);
  }
  if (setup_.pair && detector_.suspect) {
    const LinkViews views = read_links(kernel_, setup_.slot, setup_.configured, carrier_);
    at = std::min(at, core::next_judgement(detector_, views, now));
  }
  return at;
}

void Instance::step_one(const core::Event& event, Instant now) {
  const core::State before = state_;
  core::Step stepped = core::step(state_, event, now);
  state_ = stepped.next;
  recorder_.push_back({event.kind, now, state_.name});
  if (recorder_.size() > kRecorded) {
    recorder_.pop_front();
  }
  if (event.kind == core::EventKind::PeerSilent) {
    timeline_ = Timeline{};
    timeline_.peer_heard = peer_.facts.received;
    timeline_.began = now;
  }
  publish(now);
  if (const bool alone = core::may_acknowledge_alone(state_); alone != alone_allowed_) {
    alone_allowed_ = alone;
    edges_.allow_alone(alone);
  }
  note_change(before, now);
  for (const core::Action& action : stepped.actions) {
    begin(action, now);
  }
}

// ---- what the kernel is told

// What every frame grants: usually what the core says. While the peer's monitor is gone and within
// its grace we would not take over anyway, so we grant what is left of it: its lease then does not
// hang on our probes alone.
uint32_t Instance::grant_us(Instant now) {
  uint32_t us = core::grant_us_of(state_);
  if (us != 0 && (peer_.facts.flags & CB_FACT_MONITOR_EXITED) != 0 && !monitor_watch_.stale) {
    const Duration left = setup_.monitor_grace - peer_.monitor_age - (now - peer_.facts.received);
    us = static_cast<uint32_t>(
        std::clamp(left, Duration::from_us(us), Duration::from_us(CB_GRANT_US_MAX)).as_us());
  }
  if (us > setup_.settings.grant_us) {
    const Duration grant = Duration::from_us(us);
    longest_grant_ = std::max(longest_grant_, grant);
    longest_grant_until_ = std::max(longest_grant_until_, now + grant);
  }
  return us;
}

// In this order, so that being killed in between is safe at every point (core/step.h).
void Instance::publish(Instant now) {
  const core::GuardMode wanted = core::guard_of(state_);
  const auto opens = [&] { return static_cast<__u32>(wanted) > map_pair().guard_mode; };
  if (!opens()) {
    publish_guard(wanted);
  }
  const uint32_t grant = grant_us(now);
  if (grant < map_pair().grant_us) {
    CB_WRITE_ONCE(map_pair().grant_us, grant);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  const core::Facts facts = core::facts_of(state_);
  std::array<uint8_t, core::kLinks> unanswered{};
  for (size_t link = 0; link < unanswered.size(); ++link) {
    unanswered[link] = static_cast<uint8_t>(std::min(detector_.unanswered[link], 255));
  }
  if (!published_ || *published_ != facts || published_unanswered_ != unanswered) {
    published_unanswered_ = unanswered;
    published_ = facts;
    publish_facts(facts);
  }
  CB_WRITE_ONCE(map_pair().grant_us, grant);
  if (opens()) {
    publish_guard(wanted);
  }
}

void Instance::publish_guard(core::GuardMode wanted) {
  const auto mode = static_cast<__u32>(wanted);
  if (map_pair().guard_mode != mode) {
    CB_WRITE_ONCE(map_pair().guard_mode, mode);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

void Instance::publish_facts(const core::Facts& facts) {
  cb_facts out{};
  out.term = facts.term;
  out.command_term = facts.command_term;
  out.position = facts.position;
  out.flags = facts.flags;
  out.state = static_cast<uint8_t>(facts.state);
  out.role = static_cast<uint8_t>(facts.role);
  out.intent = facts.intent;
  out.sub_state = static_cast<uint8_t>(facts.sub_state);
  out.wanted_grant_us = facts.wanted_grant_us;
  out.progress_permille = facts.progress_permille;
  out.unanswered[0] = published_unanswered_[0];
  out.unanswered[1] = published_unanswered_[1];
  kernel_.write_facts(setup_.slot, out);
}

// ---- what people are told

void Instance::note_change(const core::State& before, Instant now) {
  if (before.name == state_.name && before.sub == state_.sub && before.term == state_.term &&
      before.reason == state_.reason) {
    return;
  }
  if (before.name != state_.name || before.sub != state_.sub) {
    since_ = now;
  }
  if (before.name != state_.name) {
    tell_later([this, from = before.name, to = state_.name, term = state_.term,
                reason = state_.reason] {
      log_notice("%s: %s to %s term %llu: %s", label().c_str(),
                 std::string(core::name_of(from)).c_str(), std::string(core::name_of(to)).c_str(),
                 static_cast<unsigned long long>(term), std::string(core::text_of(reason)).c_str());
    });
  }
  tell_later([this] { edges_.changed(); });
}

Seen Instance::seen() const {
  Seen seen;
  seen.name = state_.name;
  seen.serving = core::is_serving(state_);
  seen.term = seen.serving ? state_.serving_term : state_.term;
  seen.at = boottime_now();
  return seen;
}

void Instance::tell_later(std::function<void()> tell) { untold_.push_back(std::move(tell)); }

// What is told may lead to more that wants to be told.
void Instance::tell_people() {
  hurry_until_ = {};
  while (!untold_.empty()) {
    for (const auto& tell : std::exchange(untold_, {})) {
      tell();
    }
  }
}

void Instance::note_timeline(const core::Action& action, Instant now) {
  (void)now;
  const Instant at = boottime_now();
  const auto kind = action.kind;
  if (kind == core::ActionKind::ClaimTerm) {
    if (timeline_.began.as_ns() == 0 || timeline_.open.as_ns() != 0) {
      timeline_ = Timeline{};
      timeline_.began = at;
    }
  } else if (kind == core::ActionKind::AddAddress) {
    timeline_.lease_closed = at;
  } else if (kind == core::ActionKind::OpenGuard) {
    timeline_.address_up = at;
    timeline_.open = at;
  }
}

void Instance::note_announced() {
  timeline_.announced = boottime_now();
  timeline_.complete = timeline_.announced;
  timeline_.reason = state_.reason;
  timeline_.wall = wall_now();
  last_failover_ = timeline_;
  hurry_until_ = {};
  tell_later([timeline = timeline_] { log_notice("in command: %s", text_of(timeline).c_str()); });
}

std::string Instance::history() const {
  std::string text;
  for (const Recorded& entry : recorder_) {
    text += std::to_string(entry.at.as_ns()) + " " + std::string(core::name_of(entry.kind)) +
            " -> " + std::string(core::name_of(entry.after)) + "\n";
  }
  return text;
}

// ---- actions

Done Instance::answer(const core::Action& action, Instant now) {
  under_way_[action.id] = action.kind;
  Done done = leash_.guard(
      [this, id = action.id, kind = action.kind](int error) { complete(id, kind, error); });
  if (action.deadline > Duration{}) {
    return loop::answer_by(loop_, now + action.deadline, std::move(done));
  }
  return done;
}

void Instance::complete(core::ActionId id, core::ActionKind kind, int error) {
  if (under_way_.erase(id) == 0) {
    return;  // answered before, or the core no longer waits for it
  }
  if (error != 0) {
    log_warning("%s: %s failed: %s", label().c_str(), std::string(core::name_of(kind)).c_str(),
                strerror(error));
  }
  core::Event event;
  event.kind = core::EventKind::ActionDone;
  event.action = id;
  event.action_kind = kind;
  event.error = error;
  feed(event);
  loop_.wake();  // the answer is stepped on in the next turn at the latest
}

void Instance::begin_close_lease(core::ActionId id) {
  // grant_us is 0 since publish(). Frames that read it before are still being stamped: wait for
  // them, then read.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  cb_lease& lease = kernel_.leases()[setup_.slot];
  const auto again = leash_.guard([this, id] { begin_close_lease(id); });
  if (CB_READ_ONCE(lease.granting) != 0 || edges_.granting() != 0) {
    loop_.after(kGrantingLookAgain, again);
    return;
  }
  const Instant now = boottime_now();
  // The drift of what was really granted, not of the longest grant that there could be: that would
  // be 5 ms.
  Duration longest = Duration::from_us(setup_.settings.grant_us);
  if (now < longest_grant_until_) {
    longest = std::max(longest, longest_grant_);
  }
  const auto granted_until =
      Instant::from_ns(static_cast<int64_t>(CB_READ_ONCE(lease.granted_until_ns)));
  const Instant closed = core::lease_closed_at(granted_until, longest);
  if (closed > now) {
    loop_.at(closed, leash_.guard([this, id] { complete(id, core::ActionKind::CloseLease, 0); }));
    return;
  }
  complete(id, core::ActionKind::CloseLease, 0);
}

void Instance::begin_arbitration(const core::Action& action, Instant now) {
  (void)now;
  const core::ActionId id = action.id;
  edges_.arbitrate(action.term, action.deadline, leash_.guard([this, id](core::Verdict verdict) {
    timeline_.arbitrated = boottime_now();
    core::Event event;
    event.kind = core::EventKind::ArbitrationDone;
    event.action = id;
    event.verdict = verdict;
    feed(event);
    loop_.wake();
  }));
}

void Instance::begin(const core::Action& action, Instant now) {
  note_timeline(action, now);
  switch (action.kind) {
    case core::ActionKind::None: break;
    case core::ActionKind::PersistLedger: edges_.persist(action.ledger, answer(action, now)); break;
    case core::ActionKind::Arbitrate: begin_arbitration(action, now); break;
    case core::ActionKind::CancelArbitration: edges_.cancel_arbitration(); break;
    case core::ActionKind::Burst: edges_.burst(); break;
    case core::ActionKind::Report:
      if (action.report == core::Report::WentSolo &&
          action.value == static_cast<uint64_t>(core::SoloBasis::Forced)) {
        edges_.forced_solo(state_.serving_term);
      }
      tell_later([this, action, then = seen()] { edges_.report(action, then); });
      break;
    case core::ActionKind::ClaimTerm:
      answer(action, now)(0);  // facts_of() carries it; publish() has stored it
      break;
    case core::ActionKind::Fence:
      edges_.fence(action.term, action.deadline, answer(action, now));
      break;
    case core::ActionKind::CloseLease:
      under_way_[action.id] = action.kind;
      begin_close_lease(action.id);
      break;
    case core::ActionKind::AddAddress: edges_.add_address(answer(action, now)); break;
    case core::ActionKind::OpenGuard:
      publish_guard(action.guard);
      answer(action, now)(0);
      break;
    case core::ActionKind::Announce:
      edges_.announce();
      note_announced();
      answer(action, now)(0);
      break;
    case core::ActionKind::PromoteVolume:
      edges_.promote_volume(action.term, answer(action, now));
      break;
    case core::ActionKind::MountVolume: edges_.mount_volume(answer(action, now)); break;
    case core::ActionKind::StartServices:
      edges_.start_services(action.deadline, answer(action, now));
      break;
    case core::ActionKind::StopServices:
      edges_.stop_services(action.deadline, answer(action, now));
      break;
    case core::ActionKind::UnmountVolume: edges_.unmount_volume(answer(action, now)); break;
    case core::ActionKind::DemoteVolume: edges_.demote_volume(answer(action, now)); break;
    case core::ActionKind::CloseGuard:
      publish_guard(core::GuardMode::Closed);
      edges_.stop_announcing();
      answer(action, now)(0);
      break;
    case core::ActionKind::RemoveAddress:
      edges_.stop_announcing();
      edges_.remove_address(answer(action, now));
      break;
    case core::ActionKind::Resync: edges_.resync(); break;
    case core::ActionKind::Exit:
      tell_people();
      edges_.exit();
      break;
  }
}

}  // namespace cb::agent
