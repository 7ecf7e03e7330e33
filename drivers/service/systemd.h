// SPDX-License-Identifier: Apache-2.0
//
// A service that is a systemd unit, through systemctl(1). On a machine that was not booted with
// systemd every call is answered with an error that says so.
#pragma once

#include <string>
#include <vector>

#include "drivers/service/service.h"

namespace cb::service {

// The machine's service manager.
struct Manager {
  std::string booted = "/run/systemd/system";  // is there when systemd runs, as sd_booted(3)
  std::string systemctl = "systemctl";
};

class Systemd final : public Driver {
 public:
  Systemd(config::Service service, Surroundings with, Manager manager = {});

  // A unit gets its environment from systemd: ours is not passed on. Late: the start is taken back
  // and the unit's processes are killed, then ETIMEDOUT.
  void start(const std::vector<std::string>& environment, Instant deadline, Outcome done) override;
  // Late: the unit's processes are killed. Success when the unit is inactive, also then; a unit
  // that is unknown is not active.
  void stop(const std::vector<std::string>& environment, Instant deadline, Outcome done) override;
  // ESRCH: it certainly does not run. EAGAIN: on its way up or down. Others: systemd does not say.
  void ask(Instant deadline, Outcome done) override;

 private:
  void systemctl(std::vector<std::string> arguments, Instant deadline, Outcome done);
  void take_back(Outcome done);
  void kill(Outcome done);
  void expect_inactive(Instant until, Outcome done);

  config::Service service_;
  Surroundings with_;
  Manager manager_;
  loop::Leash leash_;
};

}  // namespace cb::service
