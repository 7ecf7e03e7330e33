// SPDX-License-Identifier: Apache-2.0
//
// A service that is a pair of commands. Two forms:
//   with a health probe of kind "process", or without a stop command, the start command *is* the
//   service: it stays in the
//     foreground, is started when it has been executed, and is stopped by the stop command, if
//     there is one, else by SIGTERM to its process group; what is left of the group is killed;
//   otherwise the start command exits with 0 when the service runs, the stop command when it does
//   not.
// What is late is killed with its whole process group.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drivers/service/service.h"
#include "loop/child.h"

namespace cb::service {

class Command final : public Driver {
 public:
  Command(config::Service service, Surroundings with);
  ~Command() override;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  void start(const std::vector<std::string>& environment, Instant deadline, Outcome done) override;
  void stop(const std::vector<std::string>& environment, Instant deadline, Outcome done) override;
  void ask(Instant deadline, Outcome done) override;
  void abandon() override;
  Process process() const override;
  bool is_process() const override;
  bool adopt(const Process& process) override;

 private:
  void start_process(const std::vector<std::string>& environment, Instant deadline, Outcome done);
  void stop_process(Instant deadline, Outcome done);
  void run(const std::vector<std::string>& command, const std::vector<std::string>& environment,
           Instant deadline, Outcome done);
  void on_process_ended(const loop::Ended& ended);
  void answer(Outcome& to, int error, const std::string& text);
  // Adds the last line of the output that was written since `from`: it usually says what is wrong.
  void answer_with_last_line(Outcome done, int error, const std::string& text);
  loop::ChildPlan plan_for(const std::vector<std::string>& command,
                           const std::vector<std::string>& environment) const;

  config::Service service_;
  Surroundings with_;
  std::unique_ptr<loop::Child> process_;  // the service, in the first form
  std::unique_ptr<loop::Child> command_;  // a start or stop command that runs now
  Outcome starting_;                      // of process_: answered when it is executed
  Outcome stopping_;                      // of process_: answered when it has ended
  Outcome running_;                       // of command_
  loop::TimerId process_deadline_;
  loop::TimerId command_deadline_;
  bool killed_ = false;  // process_ was late
  loop::Leash leash_;
};

}  // namespace cb::service
