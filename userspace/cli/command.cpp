// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/clock.h"
#include "base/fd.h"

namespace cb::cli {
namespace {

Result<pid_t> start(const std::vector<std::string>& arguments, int out) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
  // A group of its own, so that at the deadline all that it started goes too; and no signal that
  // this program holds back for itself.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fail(error, "run " + arguments[0]);
  }
  return pid;
}

// Everything until the other end is closed; false when the deadline came first.
bool collect(int fd, Instant deadline, std::size_t limit, std::string& text) {
  std::array<char, 4096> part;
  while (true) {
    const Duration left = deadline - boottime_now();
    if (left <= Duration{}) {
      return false;
    }
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left.as_ms() + 1, 1, 60'000))) <=
        0) {
      continue;
    }
    const ssize_t count = read(fd, part.data(), part.size());
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) {
      return true;
    }
    if (count > 0) {
      const std::size_t room = limit - std::min(limit, text.size());
      text.append(part.data(), std::min(room, static_cast<std::size_t>(count)));
    }
  }
}

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& arguments, Duration within,
                                  std::size_t limit) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(errno, "make a pipe");
  }
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const Instant deadline = boottime_now() + within;
  CB_TRY(pid, start(arguments, writing.get()));
  writing.reset();
  CommandOutput output;
  const bool ended = collect(reading.get(), deadline, limit, output.text);
  if (!ended) {
    kill(-pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    return fail(ETIMEDOUT, "run " + arguments[0]);
  }
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

}  // namespace cb::cli
