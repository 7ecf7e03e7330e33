// SPDX-License-Identifier: Apache-2.0
#include "loop/child.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "loop/launch.h"

namespace cb::loop {

namespace {

constexpr std::size_t kLineMax = 4096;  // longer lines are passed on in pieces

// By number: glibc 2.36 declares pidfd_open without extern "C".
Fd pidfd_of(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

void drain_to_the_end(Loop& loop, Fd output) {
  auto held = std::make_shared<Fd>(std::move(output));
  loop.watch(held->get(), [&loop, held] {
    std::array<char, 4096> bytes{};
    const ssize_t count = ::read(held->get(), bytes.data(), bytes.size());
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      loop.unwatch(held->get());
    }
  });
}

void reap_at_the_end(Loop& loop, Fd pidfd) {
  auto held = std::make_shared<Fd>(std::move(pidfd));
  loop.watch(held->get(), [&loop, held] {
    waitid(P_PIDFD, static_cast<id_t>(held->get()), nullptr, WEXITED | WNOHANG);
    loop.unwatch(held->get());
  });
}

}  // namespace

// What a launch needs and brings: used by the hands' thread while it works, by the loop before and
// after.
struct Child::Launch {
  ChildPlan plan;
  Launched launched;
  Fd output;  // our end of the pipe
  std::uint64_t start_time = 0;

  int work();

  ~Launch() {
    // Nobody waits for it: a process that nobody wanted any more is ended and reaped here.
    if (launched.pid > 0 && launched.pidfd) {
      ::kill(-launched.pid, SIGKILL);
      waitpid(launched.pid, nullptr, 0);
    }
  }
};

int Child::Launch::work() {
  std::vector<std::string> command = plan.command;
  command[0] = find_program(command[0]);
  if (command[0].empty()) {
    return ENOENT;
  }
  Fd theirs;
  if (plan.output_file.empty()) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return errno;
    }
    output = Fd(ends[0]);
    theirs = Fd(ends[1]);
    fcntl(output.get(), F_SETFL, O_NONBLOCK);
  } else {
    theirs = Fd(::open(plan.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!theirs) {
      return errno;
    }
  }
  std::vector<std::string> environment = {"PATH=" + std::string(kChildPath), "LANG=C.UTF-8"};
  environment.insert(environment.end(), plan.environment.begin(), plan.environment.end());
  launched = launch(command, environment, theirs, plan.input);
  if (launched.error != 0) {
    return launched.error;
  }
  start_time = start_time_of(launched.pid);
  return 0;
}

std::unique_ptr<Child> Child::start(Loop& loop, Hands& hands, ChildPlan plan, Calls calls) {
  std::unique_ptr<Child> child(new Child(loop, std::move(calls)));
  child->output_left_ = plan.output_max;
  child->end_group_ = plan.end_group;
  auto launch = std::make_shared<Launch>();
  launch->plan = std::move(plan);
  if (launch->plan.command.empty() || launch->plan.command[0].empty()) {
    loop.after(Duration{},
               child->leash_.guard([self = child.get()] { self->end(Ended{.error = EINVAL}); }));
    return child;
  }
  hands.run([launch] { return launch->work(); },
            child->leash_.guard(
                [self = child.get(), launch](int error) { self->on_launched(error, launch); }));
  return child;
}

void Child::on_launched(int error, const std::shared_ptr<Launch>& launch) {
  if (error != 0) {
    end(Ended{.error = error});
    return;
  }
  pid_ = launch->launched.pid;
  start_time_ = launch->start_time;
  pidfd_ = std::move(launch->launched.pidfd);
  output_ = std::move(launch->output);
  if (output_) {
    loop_.watch(output_.get(), leash_.guard([this] {
      read_output();
      pass_lines();
    }));
  }
  watch_process();
  if (pending_signal_ != 0) {
    signal_group(pending_signal_);
  }
  if (calls_.on_started != nullptr) {
    const auto call = calls_.on_started;
    call();
  }
}

std::unique_ptr<Child> Child::adopt(Loop& loop, pid_t pid, std::uint64_t start_time, Calls calls) {
  if (pid <= 0 || start_time == 0) {
    return nullptr;
  }
  // The descriptor first: if the start time is right afterwards, it is of the right process.
  Fd pidfd = pidfd_of(pid);
  if (!pidfd || start_time_of(pid) != start_time) {
    return nullptr;
  }
  std::unique_ptr<Child> child(new Child(loop, std::move(calls)));
  child->pid_ = pid;
  child->start_time_ = start_time;
  child->ours_ = false;
  child->pidfd_ = std::move(pidfd);
  child->watch_process();
  return child;
}

// The process outlives us: its output is still read, so that it does not fail at a closed pipe, and
// it is still reaped. What is left of it belongs to these two watches.
Child::~Child() {
  if (output_) {
    loop_.unwatch(output_.get());
    if (!ended_) {
      drain_to_the_end(loop_, std::move(output_));
    }
  }
  if (pidfd_ && !ended_) {
    loop_.unwatch(pidfd_.get());
    if (ours_) {
      reap_at_the_end(loop_, std::move(pidfd_));
    }
  }
}

void Child::watch_process() {
  loop_.watch(pidfd_.get(), leash_.guard([this] { on_exit(); }));
}

void Child::signal_group(int signal) noexcept {
  if (ended_) {
    return;
  }
  if (pid_ == 0) {
    pending_signal_ = signal;
    return;
  }
  // The group has the number of its first process, which is not yet reaped, so nobody else has it.
  ::kill(-pid_, signal);
}

// Reads what is there, within a limit: a process that writes without end must not hold up the turn.
void Child::read_output() {
  std::array<char, 4096> bytes{};
  for (int i = 0; output_ && i < 32; ++i) {
    const ssize_t count = ::read(output_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      break;
    }
    if (count == 0) {
      loop_.unwatch(output_.get());
      output_.reset();
      break;
    }
    const std::size_t pass = std::min(output_left_, static_cast<std::size_t>(count));
    output_left_ -= pass;
    unfinished_line_.append(bytes.data(), pass);
  }
}

// The whole lines, or everything once the process has ended. The callback may destroy us.
void Child::pass_lines() {
  std::vector<std::string> lines;
  for (;;) {
    const std::size_t end = unfinished_line_.find('\n');
    if (end != std::string::npos) {
      lines.push_back(unfinished_line_.substr(0, end));
      unfinished_line_.erase(0, end + 1);
    } else if (unfinished_line_.size() >= kLineMax || (ended_ && !unfinished_line_.empty())) {
      lines.push_back(std::exchange(unfinished_line_, {}));
    } else {
      break;
    }
  }
  const auto call = calls_.on_line;
  const auto alive = leash_.sight();
  for (const std::string& line : lines) {
    if (call != nullptr && !alive.expired()) {
      call(line);
    }
  }
}

void Child::on_exit() {
  siginfo_t info{};
  Ended ended;
  if (ours_) {
    // Looked at without reaping first, so that the number of its group is still its own.
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
      return;
    }
    if (end_group_) {
      ::kill(-pid_, SIGKILL);  // ignored: usually nobody is left
    }
    waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
    if (info.si_code == CLD_EXITED) {
      ended.exit_code = info.si_status;
    } else {
      ended.signal = info.si_status;
    }
  } else {
    ended.known = false;
  }
  loop_.unwatch(pidfd_.get());
  read_output();
  end(ended);
}

void Child::end(const Ended& ended) {
  ended_ = true;
  if (output_) {
    loop_.unwatch(output_.get());
    drain_to_the_end(loop_, std::move(output_));  // for what it left running
  }
  const auto alive = leash_.sight();
  pass_lines();
  if (!alive.expired() && calls_.on_ended != nullptr) {
    const auto call = std::exchange(calls_.on_ended, nullptr);
    call(ended);
  }
}

std::string Ended::text() const {
  if (error != 0) {
    return "could not be started: " + std::string(strerrordesc_np(error));
  }
  if (!known) {
    return "ended";
  }
  if (signal != 0) {
    return "killed by signal " + std::to_string(signal);
  }
  return "exit code " + std::to_string(exit_code);
}

std::uint64_t start_time_of(pid_t pid) {
  const auto stat = read_all("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) {
    return 0;
  }
  // The name, field 2, may hold anything, also spaces and parentheses: count from its last ')'.
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat->size()) {
    return 0;
  }
  const auto fields = split(std::string_view(*stat).substr(name_end + 2), ' ');
  constexpr std::size_t kStartTime = 22 - 3;
  if (fields.size() <= kStartTime || fields[0] == "Z" || fields[0] == "X") {
    return 0;
  }
  return parse_number(fields[kStartTime]).value_or(0);
}

namespace {

// One run of run_command. A timer that never comes keeps it until the process has ended, so it goes
// with the loop at the latest.
struct Run {
  Loop& loop;
  CommandDone done;
  std::unique_ptr<Child> child;
  std::string last_line;
  TimerId timer;
  TimerId keeper;

  void answer(int error, const std::string& text) {
    loop.cancel(timer);
    if (done != nullptr) {
      const CommandDone once = std::exchange(done, nullptr);
      once(error, text);
    }
  }
};

std::string with_last_line(const std::string& text, const std::string& line) {
  return line.empty() ? text : text + ": " + line;
}

}  // namespace

void run_command(Loop& loop, Hands& hands, ChildPlan plan, Instant deadline,
                 std::function<void(std::string_view)> on_line, CommandDone done) {
  const std::string name = plan.command.empty() ? "(no command)" : plan.command[0];
  auto kept = std::make_shared<Run>(Run{loop, std::move(done), nullptr, {}, {}, {}});
  Run* run = kept.get();
  run->keeper = loop.at(Instant::never(), [kept] {});
  Child::Calls calls;
  calls.on_line = [run, pass = std::move(on_line)](std::string_view line) {
    run->last_line = std::string(trim(line)).substr(0, 300);
    if (pass != nullptr) {
      pass(line);
    }
  };
  calls.on_ended = [run, name](const Ended& ended) {
    // The child is the one that calls: it is put down after it has returned, with the run.
    run->loop.after(Duration{}, [&from = run->loop, keeper = run->keeper] { from.cancel(keeper); });
    const int error = ended.success() ? 0 : ended.error != 0 ? ended.error : EIO;
    run->answer(error, with_last_line(name + ": " + ended.text(), run->last_line));
  };
  run->child = Child::start(loop, hands, std::move(plan), std::move(calls));
  if (!deadline.is_never()) {
    run->timer = loop.at(deadline, [run, name] {
      run->child->signal_group(SIGKILL);
      run->answer(ETIMEDOUT, with_last_line(name + ": killed, it was late", run->last_line));
    });
  }
}

}  // namespace cb::loop
