// SPDX-License-Identifier: Apache-2.0
#include "drivers/service/command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "drivers/service/output.h"

namespace cb::service {

Command::Command(config::Service service, Surroundings with)
    : service_(std::move(service)), with_(std::move(with)) {}

Command::~Command() {
  with_.loop.cancel(process_deadline_);
  with_.loop.cancel(command_deadline_);
}

bool Command::is_process() const {
  return service_.health.kind == config::HealthProbe::Kind::Process || service_.stop.empty();
}

void Command::start(const std::vector<std::string>& environment, Instant deadline, Outcome done) {
  if (is_process()) {
    start_process(environment, deadline, std::move(done));
  } else {
    run(service_.start, environment, deadline, std::move(done));
  }
}

void Command::stop(const std::vector<std::string>& environment, Instant deadline, Outcome done) {
  if (!is_process()) {
    run(service_.stop, environment, deadline, std::move(done));
    return;
  }
  if (process_ == nullptr || service_.stop.empty()) {
    stop_process(deadline, std::move(done));
    return;
  }
  // Its own way of stopping first. Whatever that says, the end of the process is what counts; but
  // it is waited for as well, since what it still does would meet the next start.
  stopping_ = std::move(done);
  run(service_.stop, environment, deadline,
      leash_.guard([this, deadline](int error, const std::string& text) {
        if (stopping_ == nullptr) {
          return;
        }
        if (process_ == nullptr) {
          answer(stopping_, 0, text);
        } else if (error != 0) {
          stop_process(deadline, std::exchange(stopping_, nullptr));
        } else {
          process_deadline_ = with_.loop.at(deadline, leash_.guard([this] {
            killed_ = true;
            process_->signal_group(SIGKILL);
          }));
        }
      }));
}

// ---- the service as a process

void Command::start_process(const std::vector<std::string>& environment, Instant deadline,
                            Outcome done) {
  if (process_ != nullptr && process_->running()) {
    done(0, "runs already");
    return;
  }
  starting_ = std::move(done);
  killed_ = false;
  loop::Child::Calls calls;
  calls.on_started = [this] {
    with_.loop.cancel(process_deadline_);
    answer(starting_, 0, "process " + std::to_string(process_->pid()));
  };
  calls.on_ended = [this](const loop::Ended& ended) { on_process_ended(ended); };
  loop::ChildPlan plan = plan_for(service_.start, environment);
  plan.end_group = true;
  process_ = loop::Child::start(with_.loop, with_.hands, std::move(plan), std::move(calls));
  process_deadline_ = with_.loop.at(deadline, leash_.guard([this] {
    killed_ = true;
    process_->signal_group(SIGKILL);
    answer(starting_, ETIMEDOUT, "could not be executed in time");
  }));
}

void Command::stop_process(Instant deadline, Outcome done) {
  if (process_ == nullptr) {
    done(0, "does not run");
    return;
  }
  stopping_ = std::move(done);
  process_->signal_group(SIGTERM);
  with_.loop.cancel(process_deadline_);
  process_deadline_ = with_.loop.at(deadline, leash_.guard([this] {
    killed_ = true;
    process_->signal_group(SIGKILL);
  }));
}

void Command::on_process_ended(const loop::Ended& ended) {
  with_.loop.cancel(process_deadline_);
  // We are in its call: it is put down afterwards.
  with_.loop.after(Duration{}, [old = std::shared_ptr<loop::Child>(std::move(process_))] {});
  if (starting_ != nullptr) {
    const int error = killed_ ? ETIMEDOUT : ended.error != 0 ? ended.error : EIO;
    answer_with_last_line(std::exchange(starting_, nullptr), error, ended.text());
  } else if (stopping_ != nullptr && running_ != nullptr) {
    // Its stop command is still at work, and answers.
  } else if (stopping_ != nullptr) {
    // Killed is stopped as well: nothing of it runs any more.
    answer(stopping_, 0, killed_ ? kKilled : ended.text());
  } else if (with_.on_ended != nullptr) {
    answer_with_last_line([call = with_.on_ended](int, const std::string& text) { call(text); }, 0,
                          ended.text());
  }
}

void Command::ask(Instant /*deadline*/, Outcome done) {
  if (is_process() && (process_ == nullptr || !process_->running())) {
    done(ESRCH, "its process is gone");
  } else {
    done(0, "");
  }
}

Process Command::process() const {
  if (process_ == nullptr || !process_->running()) {
    return {};
  }
  return {process_->pid(), process_->start_time()};
}

bool Command::adopt(const Process& process) {
  if (!is_process() || process_ != nullptr) {
    return false;
  }
  loop::Child::Calls calls;
  calls.on_ended = [this](const loop::Ended& ended) { on_process_ended(ended); };
  process_ = loop::Child::adopt(with_.loop, process.pid, process.start_time, std::move(calls));
  return process_ != nullptr;
}

// ---- commands that end

void Command::abandon() {
  if (command_ != nullptr) {
    command_->signal_group(SIGKILL);
  }
  if (starting_ != nullptr && process_ != nullptr) {
    process_->signal_group(SIGKILL);
  }
}

void Command::run(const std::vector<std::string>& command,
                  const std::vector<std::string>& environment, Instant deadline, Outcome done) {
  with_.loop.cancel(command_deadline_);
  running_ = std::move(done);
  loop::Child::Calls calls;
  calls.on_ended = [this,
                    name = command.empty() ? std::string() : command[0]](const loop::Ended& ended) {
    with_.loop.cancel(command_deadline_);
    with_.loop.after(Duration{}, [old = std::shared_ptr<loop::Child>(std::move(command_))] {});
    if (running_ == nullptr) {
      return;  // answered when it was late
    }
    if (ended.success()) {
      answer(running_, 0, "");
    } else {
      answer_with_last_line(std::exchange(running_, nullptr), ended.error != 0 ? ended.error : EIO,
                            name + ": " + ended.text());
    }
  };
  command_ =
      loop::Child::start(with_.loop, with_.hands, plan_for(command, environment), std::move(calls));
  command_deadline_ = with_.loop.at(deadline, leash_.guard([this, name = command[0]] {
    command_->signal_group(SIGKILL);
    answer_with_last_line(std::exchange(running_, nullptr), ETIMEDOUT,
                          name + ": killed, it was late");
  }));
}

// Everything that is started writes into the file, also a stop command that comes before any start.
loop::ChildPlan Command::plan_for(const std::vector<std::string>& command,
                                  const std::vector<std::string>& environment) const {
  with_.hands.run([path = with_.output_file] { return prepare_output(path); }, nullptr);
  loop::ChildPlan plan;
  plan.command = command;
  plan.environment = environment;
  plan.output_file = with_.output_file;
  return plan;
}

void Command::answer(Outcome& to, int error, const std::string& text) {
  if (to != nullptr) {
    const Outcome once = std::exchange(to, nullptr);
    once(error, text);
  }
}

void Command::answer_with_last_line(Outcome done, int error, const std::string& text) {
  auto line = std::make_shared<std::string>();
  with_.hands.run(
      [line, path = with_.output_file] {
        *line = last_line_of(path);
        return 0;
      },
      [done = std::move(done), error, text, line](int) {
        done(error, line->empty() ? text : text + " (its last line: " + *line + ")");
      });
}

}  // namespace cb::service
