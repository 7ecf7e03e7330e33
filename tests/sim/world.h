// SPDX-License-Identifier: Apache-2.0
//
// world.h - two machines (three for 2:1), each with the production core, the production heartbeat
// body on real map memory, and a monitor that is as thin as it can be. Everything else is fake:
// clocks, cables, the switch, the gateway, disks, fences, the witness, services, volumes, operators
// and an attacker.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "base/prng.h"
#include "bpf/heartbeat.h"
#include "core/detector.h"
#include "core/step.h"
#include "core/witness/record.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"

namespace cb::sim {

using Heartbeat = struct cb_heartbeat;  // there is a function of that name as well

inline constexpr int64_t kMs = 1'000'000;
inline constexpr int64_t kSecond = 1000 * kMs;
inline constexpr int64_t kNever = INT64_MAX;

struct Volume {
  uint64_t version = 0;  // of the newest write that is durable here
  bool promoted = false;
  bool resync_wanted = false;
  bool in_step = false;  // with the promoted one, as the volume knows
  bool told_behind = false;
  bool together = false;  // promoted: what its own monitor was told of the other
  uint64_t told_life = 0;
  int64_t in_step_at = kNever;
  bool alone_allowed = false;  // what the monitor last said
};

// One pairing on one machine.
// What a node wants of the witness, until it is answered or something else is wanted.
struct Wish {
  uint64_t number = 0;  // 0: nothing
  core::witness::Request request;
  core::Action action;   // Grant: whose answer it is
  int64_t deadline = 0;  // Grant
};

struct Slot {
  int pairing = 0;
  int peer = 0;  // machine
  int peer_slot = 0;
  // the kernel: lost with the machine's power, kept over a monitor's death
  cb_pair pair{};
  cb_lease lease{};
  cb_path path[CB_LINKS]{};
  cb_probes probes[CB_LINKS]{};
  cb_keys keys{};
  bool address = false;
  // the monitor
  core::State state;
  core::Detector detector;
  core::MonitorWatch watch;
  core::PeerFacts told;
  bool has_told = false;
  std::deque<core::Event> inbox;
  std::vector<core::Event> news;  // of this turn, about the peer
  __u64 granting = 0;             // the prober's own counter
  std::array<core::LinkView, core::kLinks>
      seen{};  // planted: what was known at the end of the last turn
  // the disk
  core::LedgerRecord ledger;
  std::vector<core::LedgerRecord> ledger_history;
  bool writing = false;
  core::LedgerRecord write;
  core::ActionId asked = 0;  // the question to arbitration that runs
  Wish wish;                 // of the witness
  // services and data; an edge does one thing at a time, and what it gave up has no effect any more
  uint64_t edge_turn[4] = {};
  bool services_running = false;
  Volume volume;
  // the judges' notes
  uint64_t claimed_max = 0;
  bool ledger_restored = false;  // and the peer has not been met since
  int64_t met_at = kNever;       // in this meeting
  bool lease_closed = false;     // in the climb that runs
  bool fenced = false;
  int64_t changed_at = 0;
};

struct Machine {
  int id = 0;
  core::Role role = core::Role::Primary;
  Clock clock;
  bool powered = false;
  bool frozen = false;
  bool monitor = false;       // the process lives
  bool loop_stalled = false;  // ... but its control loop does not run
  bool stopped = false;       // ... nor anything of it
  uint64_t life = 0;          // of the process: what belongs to an earlier one is void
  cb_node node{};
  std::vector<Slot> slots;
  std::vector<int> ring;       // frames that wait in a frozen machine
  int64_t next_turn = kNever;  // world
  int64_t last_turn = 0;       // local
  int64_t next_look = 0;       // local: at the gateway
  bool network_ok = true;
  bool in_cut = false;  // service interface
  bool out_cut = false;
  bool services_broken = false;
  bool restart_wanted = false;  // after Exit
  int exits = 0;
};

struct Pairing {
  int primary = 0;
  int secondary = 0;
  bool direct = false;
  bool direct_cut[2] = {false, false};  // [sender is the secondary]
  uint64_t acked = 0;                   // version of the newest acknowledged write
  uint64_t writes = 0;
  bool data_forgotten = false;  // an old ledger was put back and nobody knew better
  uint64_t max_served = 0;      // newest term that passed a guard
  // An operator took over from a peer that had said that it serves without a lease, and the gateway
  // alone was asked: if that peer was frozen and not dead, both serve until they hear each other
  // (docs/state-machine.md).
  bool operator_risk = false;
  // the witness; what it knows of numbers is of its own life
  core::witness::Record record{.met = 3};
  uint64_t asked[2] = {0, 0};  // numbers given out, by node
  uint64_t newest[2] = {0, 0};
  core::witness::Result answered[2] = {};
};

struct Frame {
  Heartbeat hb{};
  int from = 0;
  int to = 0;
  int slot = 0;  // the receiver's
  int link = 0;
  bool injected = false;
};

class World {
 public:
  explicit World(const Options& options);

  // Both phases. True: no judge objected.
  bool run();
  const std::string& objection() const { return objection_; }
  int64_t converged_after() const { return converged_after_; }  // since the heal

  // -- for named scenarios
  void boot_all();
  void run_for(int64_t span);
  template <class Condition>
  bool run_until(Condition condition, int64_t within);
  void power_off(int machine);
  void boot(int machine);
  void crash_monitor(int machine);
  void start_monitor(int machine);
  void freeze(int machine);
  void thaw(int machine);
  void cut_direct(int pairing, bool from_primary, bool from_secondary);
  void cut_service(int machine, bool in, bool out);
  void operate(int machine, core::Event event);
  Machine& machine(int index) { return machines_[static_cast<size_t>(index)]; }
  core::State& state(int index) { return machine(index).slots[0].state; }
  bool passes(int machine, int slot) const;
  int64_t now() const { return queue_.now(); }
  std::string& trace() { return trace_; }
  void keep_trace() { tracing_ = true; }
  Queue& queue() { return queue_; }

 private:
  friend class Judges;

  // world.cpp
  void happen(const Happening& next);
  void object(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void tell(const char* format, ...) __attribute__((format(printf, 2, 3)));
  int64_t after(int64_t low, int64_t high);  // now + an even draw
  bool converged();
  bool healthy(int pairing);
  void heal();
  void run_phases();

  // machine.cpp: the monitor, and what the kernel is told
  void wake(Machine& m, int64_t at);
  void turn(Machine& m);
  void drain(Machine& m, Slot& s);
  void judge_links(Machine& m, Slot& s);
  void run_inbox(Machine& m, Slot& s);
  void step_once(Machine& m, Slot& s, const core::Event& event);
  void publish(Machine& m, Slot& s, const core::State& before);
  void look_at_network(Machine& m);
  void probe(Machine& m, int slot, int link, bool again);
  void burst(Machine& m, int slot);
  core::Settings settings_for(const Machine& m) const;
  std::array<core::LinkView, core::kLinks> views_of(const Slot& s) const;

  // network.cpp
  void send(const Heartbeat& hb, int from, int to, int slot, int link, bool injected);
  void arrive(int frame);
  void receive(const Frame& frame);
  bool link_passes(int from, int to, int pairing, int link) const;
  bool reaches_gateway(const Machine& m) const;
  bool connected(int a, int b, int pairing) const;
  bool defended(int asker, int pairing) const;
  void inject();
  cb_view view_of(Machine& m, Slot& s, int link);

  // actions.cpp
  void start(Machine& m, Slot& s, const core::Action& action);
  void finish(Machine& m, Slot& s, const core::Action& action, int64_t at, int error,
              std::function<void()> effect);
  void answer(Machine& m, Slot& s, const core::Action& action, int error);
  void persist(Machine& m, Slot& s, const core::Action& action);
  void arbitrate(Machine& m, Slot& s, const core::Action& action);
  void ask_once(int machine, int slot, uint64_t life, core::Action action, int tries_left,
                int64_t asked_at);
  void verdict(int machine, int slot, uint64_t life, core::Action action, core::Verdict verdict);
  void fence(Machine& m, Slot& s, const core::Action& action);
  void close_lease(Machine& m, Slot& s, const core::Action& action);
  void exit_monitor(Machine& m);
  void announce(const Machine& m, const Slot& s);
  int64_t duration_of(core::ActionKind kind);
  static size_t edge_of(core::ActionKind kind);

  // witness.cpp
  void ask_witness(int machine, int slot, const core::Action& action, int64_t deadline);
  void release_witness(int machine, int slot);
  void wish(int machine, int slot, Wish wish);
  void tell_witness(int machine, int slot, uint64_t life, uint64_t number);
  void witness_hears(int machine, int slot, uint64_t life, uint64_t witness_life, const Wish& wish);
  void witness_answers(int machine, int slot, uint64_t life, uint64_t number,
                       core::witness::Result result);
  void next_witness_fault();

  // volume.cpp
  void volume_turn(int pairing);
  void feed(Machine& m, Slot& s, core::Event event);

  // faults.cpp
  void next_fault();
  void upgrade_both(int pairing);
  void one_fault();
  void next_operator();
  int64_t fault_span();

  // judges.cpp
  void judge();
  void judge_serving(Machine& m, Slot& s);
  bool still_commands(int index, const Pairing& p) const;
  void judge_action(Machine& m, Slot& s, const core::Action& action);
  void judge_step(Machine& m, Slot& s, const core::State& before);

  Options options_;
  Queue queue_;
  Prng prng_;          // the world
  Prng fault_prng_;    // faults have draws of their own
  Prng witness_prng_;  // and so has the witness
  std::vector<Machine> machines_;
  std::vector<Pairing> pairings_;
  std::vector<Frame> frames_;
  std::vector<int> free_frames_;
  std::vector<Frame> recorded_;  // the attacker's
  bool healed_ = false;
  bool faulty_now_ = false;  // a single fault is active
  int64_t fault_over_at_ = 0;
  bool gateway_up_ = true;
  bool witness_up_ = true;
  bool witness_slow_ = false;
  bool witness_loses_answers_ = false;
  uint64_t witness_life_ = 1;
  std::string objection_;
  std::string trace_;
  bool tracing_ = false;
  int64_t converged_after_ = -1;
};

template <class Condition>
bool World::run_until(Condition condition, int64_t within) {
  const int64_t end = queue_.now() + within;
  while (!condition()) {
    if (queue_.empty() || queue_.next_at() > end || !objection_.empty()) {
      return false;
    }
    happen(queue_.pop());
  }
  return true;
}

}  // namespace cb::sim
