// SPDX-License-Identifier: Apache-2.0
//
// How one service is run. A driver starts, stops and asks about it; order, restarts, health and
// marks are the edge's (edge/service.h). Nothing here blocks; every call is answered once, in the
// loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/instant.h"
#include "config/ir.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::service {

// error: 0, or an errno (ETIMEDOUT: late, and killed); text: one line for the log.
using Outcome = std::function<void(int error, const std::string& text)>;

// The text of a stop that succeeded by force: nothing of the service runs any more.
inline constexpr const char* kKilled = "killed, it did not stop in time";

// What survives a monitor restart, for a service that is a process of ours. All zero: nothing.
struct Process {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
  bool operator==(const Process&) const = default;
};

struct Surroundings {
  loop::Loop& loop;
  loop::Hands& hands;  // the slow ones
  // Output of the service and its commands is appended here, so that a service never writes into a
  // pipe that nobody reads, also while the monitor restarts. Its folder is made when needed.
  std::string output_file;
  std::function<void(const std::string& text)> on_ended;  // its process ended unasked
};

class Driver {
 public:
  virtual ~Driver() = default;  // a service that runs, runs on

  // One start, stop or ask at a time (the edge sees to it).
  virtual void start(const std::vector<std::string>& environment, Instant deadline,
                     Outcome done) = 0;
  virtual void stop(const std::vector<std::string>& environment, Instant deadline,
                    Outcome done) = 0;
  // Does it run, as far as this driver can tell without its health probe?
  virtual void ask(Instant deadline, Outcome done) = 0;
  // Whatever start is doing is not wanted any more: kills its command, which then answers.
  virtual void abandon() {}

  virtual Process process() const { return {}; }
  // Whether the service is a process of ours, so that its end is noticed at once.
  virtual bool is_process() const { return false; }
  // Takes over the process of an earlier monitor; false when it is gone.
  virtual bool adopt(const Process&) { return false; }
};

// The drivers, in one list. service is copied.
std::unique_ptr<Driver> make_driver(const config::Service& service, Surroundings with);

}  // namespace cb::service
