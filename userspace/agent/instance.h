// SPDX-License-Identifier: Apache-2.0
//
// One pairing (or an unpaired primary) as it runs: the maps of its slot, its detector, its core
// state, and the actions that are under way. It carries events to step() and actions to the edges,
// in order, and decides nothing. The edges are functions, so that tests put fakes there and no edge
// is known by name.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/peer_view.h"
#include "agent/timeline.h"
#include "base/instant.h"
#include "config/ir.h"
#include "core/detector.h"
#include "core/step.h"
#include "edge/kernel.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::agent {

using loop::Done;

// What people are told of, as it was at that moment.
struct Seen {
  core::StateName name{};
  bool serving = false;
  uint64_t term = 0;
  Instant at;
};

// What an instance asks of the world. Each Done is called exactly once, from the loop's thread, at
// once or later.
struct InstanceEdges {
  std::function<void(const core::LedgerRecord&, Done)> persist;
  std::function<void(uint64_t term, Duration deadline, std::function<void(core::Verdict)>)>
      arbitrate;
  std::function<void()> cancel_arbitration;
  std::function<void()> burst;
  std::function<uint64_t()> granting;  // frames of the probe thread being granted now
  std::function<void(const core::Action&, const Seen&)> report;
  std::function<void(uint64_t term)> forced_solo;  // an operator made it serve alone
  std::function<void(uint64_t term, Duration deadline, Done)> fence;
  std::function<void(Done)> add_address;
  std::function<void(Done)> remove_address;
  std::function<void()> announce;
  std::function<void()> stop_announcing;
  // Whether data may be acknowledged without the peer; told when it changes.
  std::function<void(bool)> allow_alone;
  std::function<void(uint64_t term, Done)> promote_volume;
  std::function<void(Done)> mount_volume;
  std::function<void(Done)> unmount_volume;
  std::function<void(Done)> demote_volume;
  std::function<void()> resync;
  std::function<void(Duration deadline, Done)> start_services;
  std::function<void(Duration deadline, Done)> stop_services;
  std::function<void()> exit;     // graceful stop is complete
  std::function<void()> changed;  // something an operator would see
};

struct InstanceSetup {
  unsigned slot = 0;
  std::optional<config::Pair> pair;  // nothing: an unpaired node
  core::Settings settings;
  std::array<core::LinkTiming, core::kLinks> timing{};
  std::array<bool, core::kLinks> configured{};
  Duration monitor_grace{};
};

// Where an instance comes from, which says what an earlier life may still have promised.
enum class Origin : uint8_t {
  Started,      // the monitor or the machine started: grants of an earlier life may run
  KeptRunning,  // programs, maps and address survived from an earlier monitor of this boot
  JustPaired,   // there was no such pairing before
};

class Instance {
 public:
  Instance(loop::Loop& loop, edge::Kernel& kernel, InstanceSetup setup, InstanceEdges edges);

  // The first event.
  void start(const core::LedgerRecord& ledger, Origin origin, Instant now);

  // Reads the maps: what the peer says now. Part of the drain of every turn.
  void drain(Instant now);
  // Judges silence; after everything has been drained.
  void judge(Instant now);
  // Our own loop did not run for this long: told before everything else of the turn.
  void note_stall(Duration span);
  // An event from an edge or an operator, taken up in this turn.
  void feed(const core::Event& event) { inbox_.push_back(event); }
  // Steps through all events, actions that answer at once included.
  void run(Instant now);
  Instant next_deadline(Instant now) const;

  // A dry run of step() on a copy: what would this event start? Used by --dry-run and drill.
  core::Step would(const core::Event& event, Instant now) const;

  void set_carrier(core::Link link, bool carrier) { carrier_[static_cast<size_t>(link)] = carrier; }
  void set_settings(const core::Settings& settings) { state_.settings = settings; }

  const core::State& state() const { return state_; }
  Seen seen() const;  // of this moment
  const core::Detector& detector() const { return detector_; }
  const InstanceSetup& setup() const { return setup_; }
  const PeerNews& peer() const { return peer_; }
  const std::optional<Timeline>& last_failover() const { return last_failover_; }
  unsigned slot() const { return setup_.slot; }
  Instant since() const { return since_; }  // of the present state and sub-state
  // The newest events, oldest first, for a bug report: see recorder in status --json.
  std::string history() const;

 private:
  std::string label() const;
  void step_one(const core::Event& event, Instant now);
  void publish(Instant now);
  uint32_t grant_us(Instant now);
  void publish_guard(core::GuardMode wanted);
  void publish_facts(const core::Facts& facts);
  void note_change(const core::State& before, Instant now);
  void tell_later(std::function<void()> tell);
  void tell_people();
  void note_timeline(const core::Action& action, Instant now);
  void note_announced();
  void begin(const core::Action& action, Instant now);
  void begin_close_lease(core::ActionId id);
  void begin_arbitration(const core::Action& action, Instant now);
  Done answer(const core::Action& action, Instant now);
  void complete(core::ActionId id, core::ActionKind kind, int error);
  cb_pair& map_pair() const { return kernel_.pairs()[setup_.slot]; }

  loop::Loop& loop_;
  edge::Kernel& kernel_;
  InstanceSetup setup_;
  InstanceEdges edges_;
  core::State state_;
  core::Detector detector_;
  std::deque<core::Event> news_;  // of the peer and of our own stalls: stepped first
  std::deque<core::Event> inbox_;
  std::map<core::ActionId, core::ActionKind> under_way_;
  std::array<bool, core::kLinks> carrier_{true, true};
  PeerNews peer_;
  std::optional<core::PeerFacts> told_;  // facts that step() has seen
  core::MonitorWatch monitor_watch_;
  Duration longest_grant_{};       // that may still run besides the usual ones ...
  Instant longest_grant_until_{};  // ... until then
  bool alone_allowed_ = false;
  std::optional<core::Facts> published_;
  std::array<uint8_t, core::kLinks> published_unanswered_{};
  Timeline timeline_;
  std::optional<Timeline> last_failover_;
  Instant since_;
  std::vector<std::function<void()>> untold_;  // lines, events and hooks, in order ...
  Instant hurry_until_{};  // ... which wait while a failover needs the processor
  struct Recorded {
    core::EventKind kind;
    Instant at;
    core::StateName after;
  };
  std::deque<Recorded> recorder_;
  loop::Leash leash_;
};

}  // namespace cb::agent
