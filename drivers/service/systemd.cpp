// SPDX-License-Identifier: Apache-2.0
//
// Through the program and not through D-Bus: a library call that waits for the bus would hold up
// the loop, and a manager that hangs costs one killed process so. But a systemctl that is killed
// leaves its job behind in the manager: what is late must be taken back there.
#include "drivers/service/systemd.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "loop/child.h"

namespace cb::service {

namespace {

constexpr Duration kOrderWithin = Duration::from_s(5);  // for the manager to take an order
constexpr Duration kDeathWait = Duration::from_s(1);    // for killed processes to be gone
constexpr Duration kLookAgain = Duration::from_ms(100);

}  // namespace

Systemd::Systemd(config::Service service, Surroundings with, Manager manager)
    : service_(std::move(service)), with_(std::move(with)), manager_(std::move(manager)) {}

// The last line of its output, if there is one, is in the text of a failure.
void Systemd::systemctl(std::vector<std::string> arguments, Instant deadline, Outcome done) {
  if (access(manager_.booted.c_str(), F_OK) != 0) {
    done(ENOSYS, "unit " + service_.unit +
                     ": this machine was not booted with systemd. Use start and stop commands for "
                     "this service");
    return;
  }
  loop::ChildPlan plan;
  plan.command = {manager_.systemctl, "--no-ask-password", "--no-pager"};
  plan.command.insert(plan.command.end(), arguments.begin(), arguments.end());
  plan.command.emplace_back("--");
  plan.command.push_back(service_.unit);
  loop::run_command(with_.loop, with_.hands, std::move(plan), deadline, nullptr,
                    leash_.guard(std::move(done)));
}

// ---- start

void Systemd::start(const std::vector<std::string>& /*environment*/, Instant deadline,
                    Outcome done) {
  systemctl({"start"}, deadline,
            [this, done = std::move(done)](int error, const std::string& text) {
              if (error == ETIMEDOUT) {
                take_back(done);
              } else {
                done(error, text);
              }
            });
}

void Systemd::take_back(Outcome done) {
  // The stop first: it takes the place of the start's job, so that nothing is started again. It is
  // not waited for: what is stopping may be as stuck as what was starting.
  systemctl({"stop", "--no-block"}, boottime_now() + kOrderWithin,
            [this, done = std::move(done)](int, const std::string&) {
              systemctl({"kill", "--signal=SIGKILL"}, boottime_now() + kOrderWithin,
                        [this, done](int, const std::string&) {
                          done(ETIMEDOUT, "unit " + service_.unit +
                                              ": not started in time; stopped and killed");
                        });
            });
}

// ---- stop

void Systemd::stop(const std::vector<std::string>& /*environment*/, Instant deadline,
                   Outcome done) {
  systemctl({"stop"}, deadline, [this, done = std::move(done)](int error, const std::string& text) {
    if (error == 0 || error == ENOSYS) {
      done(error, text);
    } else if (error == ETIMEDOUT) {
      kill(done);
    } else {
      ask(boottime_now() + kOrderWithin, [done, error, text](int runs, const std::string& /*how*/) {
        done(runs == ESRCH ? 0 : error, text);
      });
    }
  });
}

void Systemd::kill(Outcome done) {
  // The stop's job stays in the manager and ends with the processes.
  systemctl({"kill", "--signal=SIGKILL"}, boottime_now() + kOrderWithin,
            [this, done = std::move(done)](int, const std::string&) {
              expect_inactive(boottime_now() + kDeathWait, done);
            });
}

void Systemd::expect_inactive(Instant until, Outcome done) {
  ask(boottime_now() + kOrderWithin,
      [this, until, done = std::move(done)](int runs, const std::string& text) {
        if (runs == ESRCH) {
          done(0, kKilled);
        } else if (boottime_now() >= until) {
          done(ETIMEDOUT, text + ", although it was killed");
        } else {
          with_.loop.after(kLookAgain,
                           leash_.guard([this, until, done] { expect_inactive(until, done); }));
        }
      });
}

// ---- ask

// Not is-active, whose exit code is the same for a unit that is down and for many a failure of
// systemctl itself.
void Systemd::ask(Instant deadline, Outcome done) {
  if (access(manager_.booted.c_str(), F_OK) != 0) {
    systemctl({"show"}, deadline, std::move(done));  // says what is wrong
    return;
  }
  auto state = std::make_shared<std::string>();
  loop::ChildPlan plan;
  plan.command = {manager_.systemctl,       "--no-pager", "show",
                  "--property=ActiveState", "--",         service_.unit};
  loop::run_command(
      with_.loop, with_.hands, std::move(plan), deadline,
      [state](std::string_view line) {
        constexpr std::string_view kKey = "ActiveState=";
        if (line.starts_with(kKey)) {
          *state = trim(line.substr(kKey.size()));
        }
      },
      leash_.guard([unit = service_.unit, state, done = std::move(done)](int error,
                                                                         const std::string& text) {
        const std::string says =
            "unit " + unit + " is " + (state->empty() ? "in no known state" : *state);
        if (error != 0) {
          done(error == ESRCH ? EIO : error, text);
        } else if (*state == "active" || *state == "reloading") {
          done(0, says);
        } else if (*state == "inactive" || *state == "failed") {
          done(ESRCH, says);
        } else {
          done(EAGAIN, says);
        }
      }));
}

}  // namespace cb::service
