// SPDX-License-Identifier: Apache-2.0
//
// Two nodes, the network between them, the register, the monitors' orders and the faults, under
// virtual time.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/prng.h"
#include "tests/sim_volume/judge.h"
#include "tests/sim_volume/options.h"

namespace cb::sim_volume {

class Node;

// On the wire.
struct Packet {
  int from = 0;
  std::vector<std::byte>
      bytes;  // the message as the product encodes it, and a batch's header behind it
  std::vector<uint64_t> stamps;  // its payload
};

class World {
 public:
  explicit World(const Options& options);
  ~World();

  bool run();
  const std::string& objection() const { return judge.objection(); }

  Instant now() const { return now_; }
  void at(Duration later, std::function<void()> what);
  void log(const char* format, ...) __attribute__((format(printf, 2, 3)));

  void send(const Packet& packet);
  void read_register(int node);
  void swap_register(int node, const volume::Register& expected, const volume::Register& wanted);
  const volume::Register& registered() const { return register_; }
  Node& node(int id) { return *nodes_[static_cast<std::size_t>(id)]; }
  bool healed() const { return healed_; }
  // The source of a copy was taken away for ever: what the copier keeps is what there is.
  bool loss_accepted() const { return forsaken_ >= 0; }
  uint64_t next_stamp() { return ++stamps_; }
  void resized(bool fine) { resizes_ += fine ? 1u : 0u; }
  uint64_t resizes() const { return resizes_; }
  void compared() { ++comparisons_; }
  uint64_t comparisons() const { return comparisons_; }

  // What must hold at any moment. Called after each event that could break it.
  void check(const Node& node);

  Options options;
  Prng prng;
  Judge judge;
  uint64_t sessions = 0;

 private:
  struct Task {
    Instant when;
    uint64_t order = 0;
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Task& a, const Task& b) const {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    }
  };

  bool reaches(int from) const { return !cut_[static_cast<std::size_t>(from)]; }
  void link_changed();
  void orders();
  void sane_orders();
  void faults();
  void media_fault();
  void heal();
  void forsake();
  void order_the_forsaken();
  bool converged();
  void start(int id, Duration later);

  Instant now_;
  uint64_t order_ = 0;
  uint64_t stamps_ = 0;
  uint64_t resizes_ = 0;
  uint64_t comparisons_ = 0;  // of a stretch, that came to a result
  Prng compare_prng_;         // its own, so that the rest of a run draws what it drew
  std::priority_queue<Task, std::vector<Task>, Later> tasks_;
  std::array<std::unique_ptr<Node>, 2> nodes_;
  std::array<bool, 2> cut_{};
  std::array<Instant, 2> arrived_{};  // the last packet that keeps its place, by sender
  volume::Register register_;
  volume::Register register_before_;
  bool healed_ = false;
  int forsaken_ = -1;
  unsigned forsaken_faults_ = 0;
  bool careful_ = false;  // one copy has a media fault: no second fault until it is mended
  Instant careful_until_;
  bool away_ = false;  // a node is kept down for long
  Instant alone_asked_;
  Instant order_at_;
};

}  // namespace cb::sim_volume
