// SPDX-License-Identifier: Apache-2.0
//
// Child: a process that we started, watched through its pidfd. It gets a session and process group
// of its own, /dev/null or a text as input, ordinary scheduling (SCHED_OTHER, nice 0), default
// signals, and none of our descriptors. Starting may block (the program is read from disk), so a
// Hands does it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::loop {

struct ChildPlan {
  std::vector<std::string> command;      // looked up in kChildPath when it has no '/'
  std::vector<std::string> environment;  // NAME=value; PATH, LANG and what is here, nothing else
  std::string input;                     // of its standard input; empty: /dev/null
  // Output and error output are appended to this file. A process that outlives us must have one:
  // writing into a pipe without a reader would kill it. Empty: a pipe to on_line.
  std::string output_file;
  std::size_t output_max = 64 << 10;  // bytes passed on to on_line; the rest is read and dropped
  bool end_group = false;             // when the process ends, what is left of its group is killed
};

inline constexpr std::string_view kChildPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// How a process ended.
struct Ended {
  int exit_code = 0;  // when it exited
  int signal = 0;     // when a signal ended it, else 0
  int error = 0;      // errno when it could not be started at all
  bool known = true;  // false: it was not our child, so nobody told us
  bool success() const noexcept { return known && error == 0 && signal == 0 && exit_code == 0; }
  std::string text() const;  // "exit code 3", "killed by signal 9", "could not be started: ..."
};

class Child {
 public:
  struct Calls {
    std::function<void()> on_started;                    // it runs (the program was executed)
    std::function<void(std::string_view line)> on_line;  // of its output and error output
    std::function<void(const Ended&)> on_ended;  // exactly once, last; also when not started
  };

  // Answers through `calls` only; the Child may be destroyed at any time, also in its calls.
  // Destroying it lets a process that runs run on, to be reaped by the loop; one that is just being
  // started is killed.
  static std::unique_ptr<Child> start(Loop& loop, Hands& hands, ChildPlan plan, Calls calls);

  // A process that an earlier monitor started: only on_ended, with known = false. Nothing when no
  // process has this pid and start time any more.
  static std::unique_ptr<Child> adopt(Loop& loop, pid_t pid, std::uint64_t start_time, Calls calls);

  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const noexcept { return pid_; }  // 0 until on_started
  std::uint64_t start_time() const noexcept { return start_time_; }
  bool running() const noexcept { return pid_ != 0 && !ended_; }

  // To the whole process group. A signal sent before it runs is sent when it does.
  void signal_group(int signal) noexcept;

 private:
  struct Launch;
  Child(Loop& loop, Calls calls) : loop_(loop), calls_(std::move(calls)) {}
  void on_launched(int error, const std::shared_ptr<Launch>& launch);
  void watch_process();
  void read_output();
  void pass_lines();
  void on_exit();
  void end(const Ended& ended);

  Loop& loop_;
  Calls calls_;
  pid_t pid_ = 0;
  std::uint64_t start_time_ = 0;
  bool ours_ = true;
  bool end_group_ = false;
  bool ended_ = false;
  int pending_signal_ = 0;
  Fd pidfd_;
  Fd output_;
  std::string unfinished_line_;
  std::size_t output_left_ = 0;
  Leash leash_;
};

// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat): with the pid it
// names one process for ever. 0 when there is none. Does not block: /proc.
std::uint64_t start_time_of(pid_t pid);

// Runs a command to its end: 0 when it exits 0 in time, else an errno (EIO: exit code or signal;
// ETIMEDOUT: its group was killed at the deadline) and a text that says why. One answer. lines:
// optional. A command that ignores everything is answered at the deadline all the same.
using CommandDone = std::function<void(int error, const std::string& text)>;
void run_command(Loop& loop, Hands& hands, ChildPlan plan, Instant deadline,
                 std::function<void(std::string_view)> on_line, CommandDone done);

}  // namespace cb::loop
