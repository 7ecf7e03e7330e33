// SPDX-License-Identifier: Apache-2.0
//
// The services of one instance: started in the configured order and stopped in reverse, one at a
// time, each with its own deadline; then watched by their health probes. A service that fails its
// probe is restarted here, as often as configured; when that is used up the instance's services are
// down, and the core hears of it.
//
// One edge a pairing. How a service is run is the drivers' (drivers/service/); the marks under
// <root>/run/crossbeat/services/ let a restarted monitor take running services over.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/ir.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

enum class ServiceState : std::uint8_t {
  Stopped,
  Starting,
  Running,
  Unhealthy,  // failed, and is being restarted here
  Stopping,
  Failed,  // could not be started or stopped, or its restarts are used up
};
const char* text_of(ServiceState state) noexcept;  // "stopped" ... "failed"

struct ServiceFacts {
  std::string name;
  ServiceState state = ServiceState::Stopped;
  bool enabled = true;
  int restarts = 0;  // since the last start of all; forgotten after a long time without a failure
  std::string
      detail;        // of the last failure, one line; stays when a service that gave up is stopped
  std::string look;  // the command that shows its own words
};

struct ServiceOptions {
  std::string root = "/";
  std::string instance;  // the pairing's name in marks, logs and CROSSBEAT_PAIRING
  std::vector<config::Service> services;
  // A service that ran so long has all its restarts again.
  Duration forget_restarts_after = Duration::from_s(600);
  // true: all enabled services are healthy; false: they should run, and one does not after the
  // local restarts. Only while they should run; called when it changes.
  std::function<void(bool up)> on_health;
  // For the event log: a service failed, was restarted, was killed at its deadline.
  std::function<void(const std::string& service, const std::string& text)> on_report;
};

// What a service learns in its environment, as CROSSBEAT_<NAME>.
struct ServiceContext {
  std::string state;      // STATE: one of the nine names
  std::string reason;     // REASON
  std::string role;       // ROLE: primary or secondary
  std::string addresses;  // ADDRESSES: virtual addresses with prefix, separated by spaces
};

class ServiceEdge {
 public:
  // hands: the slow ones.
  ServiceEdge(loop::Loop& loop, loop::Hands& hands, ServiceOptions options);
  ~ServiceEdge();  // services run on
  ServiceEdge(const ServiceEdge&) = delete;
  ServiceEdge& operator=(const ServiceEdge&) = delete;

  // Starts all enabled services. Success when each was started in its time; at the first failure
  // those already started stay, and the errno is the answer. A service that runs is left alone. A
  // stop() that comes meanwhile wins: this is answered ECANCELED.
  void start(const ServiceContext& context, Instant deadline, loop::Done done);
  // Stops all, in reverse, also those that never started; a failure does not keep the others from
  // being stopped. Success when all are. What is late is killed (process group, or unit).
  void stop(const ServiceContext& context, Instant deadline, loop::Done done);
  // After a monitor restart: takes what the marks say is running as running, starts nothing, and
  // begins to watch. Answered when the state of all is known. What ended meanwhile is Failed, and
  // left to the next start; where nothing is marked, nothing should run. A start or stop that comes
  // first finds what runs as well.
  void resume(const ServiceContext& context, loop::Done done);

  std::vector<ServiceFacts> facts() const;
  bool healthy() const;  // as last told by on_health; true when there is no service

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cb::edge
