// SPDX-License-Identifier: Apache-2.0
//
// Two nodes, the paths between them and the faults, under virtual time.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/prng.h"
#include "tests/sim_transport/node.h"
#include "tests/sim_transport/options.h"

namespace cb::sim_transport {

// One direction of one path.
struct Pipe {
  bool cut = false;
  bool carrier = true;
  uint64_t bandwidth = 0;
  Duration delay{};
  uint64_t queued = 0;  // bytes, the one being sent included
  uint64_t queued_most = 0;
  Instant free_at;
  bool refused = false;  // the sender waits for room
};

class World {
 public:
  explicit World(const Options& options);

  bool run();
  const std::string& objection() const { return objection_; }
  void object(const std::string& what);

  Instant now() const { return now_; }
  void at(Duration later, std::function<void()> what);
  void log(const char* format, ...) __attribute__((format(printf, 2, 3)));

  // False: the link has no room now.
  bool has_room(int from, int path);
  void send(Wire wire);
  Pipe& pipe(int from, int path) {
    return pipes_[static_cast<std::size_t>(from)][static_cast<std::size_t>(path)];
  }
  Node& node(int id) { return *nodes_[static_cast<std::size_t>(id)]; }
  bool healed() const { return healed_; }
  void waited(Duration span);  // a Control message under bulk, from given to taken
  uint64_t next_session() { return ++sessions_; }

  Options options;
  Prng prng;

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
  bool run_until(Instant end, const std::function<bool()>& done = nullptr);
  void faults();
  void heal();
  void arrive(std::shared_ptr<const Wire> wire, Duration after);

  Instant now_;
  uint64_t order_ = 0;
  uint64_t sessions_ = 0;
  std::vector<Task> tasks_;  // a heap
  std::array<std::array<Pipe, core::kPathsMax>, 2> pipes_;
  std::array<std::unique_ptr<Node>, 2> nodes_;
  bool healed_ = false;
  std::string objection_;
};

}  // namespace cb::sim_transport
