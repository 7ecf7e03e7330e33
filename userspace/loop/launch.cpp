// SPDX-License-Identifier: Apache-2.0
//
// Not fork: that would mark every page of a real-time process copy-on-write and make its loop fault
// them back in one by one. The child shares our memory until it executes (CLONE_VM), and this
// thread waits for that (CLONE_VFORK). So the child may only make system calls, on a stack of its
// own, with all signals blocked, as posix_spawn does; posix_spawn itself cannot reset nice, the OOM
// score and the timer slack.
#include "loop/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "base/file.h"
#include "base/text.h"
#include "loop/child.h"

namespace cb::loop {

namespace {

constexpr std::size_t kStackBytes = 128 << 10;
constexpr unsigned long kOrdinarySlackNs = 50'000;  // what a process has by default

struct Orders {
  const char* path;
  char* const* arguments;
  char* const* environment;
  int input;
  int output;
  int error;  // of execve, told through the shared memory
};

// What rt_sigaction(2) takes on x86-64; handler 0 is SIG_DFL.
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  std::uint64_t mask;
};

__attribute__((no_sanitize("address", "undefined"))) int be_the_child(void* given) {
  auto* orders = static_cast<Orders*>(given);
  for (int signal = 1; signal < NSIG; ++signal) {
    // The kernel's own call: glibc refuses the two signals that it keeps to itself, and a parent
    // may ignore them.
    KernelSigaction standard{};
    syscall(SYS_rt_sigaction, signal, &standard, nullptr,
            sizeof standard.mask);  // SIGKILL and SIGSTOP refuse
  }
  setsid();
  const sched_param ordinary{};
  sched_setscheduler(0, SCHED_OTHER, &ordinary);
  setpriority(PRIO_PROCESS, 0, 0);
  prctl(PR_SET_TIMERSLACK, kOrdinarySlackNs, 0, 0, 0);
  const int score = open("/proc/self/oom_score_adj", O_WRONLY);
  if (score >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(score, "0", 1);  // ignored: no harm done
  }
  if (chdir("/") == 0 && dup2(orders->input, 0) == 0 && dup2(orders->output, 1) == 1 &&
      dup2(orders->output, 2) == 2 && close_range(3, ~0u, 0) == 0) {
    umask(022);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(orders->path, orders->arguments, orders->environment);
  }
  orders->error = errno;
  _exit(127);
}

// A file in memory: a pipe would need somebody to write while the process reads.
Fd input_of(const std::string& bytes) {
  if (bytes.empty()) {
    return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  Fd file(memfd_create("crossbeat-input", MFD_CLOEXEC));
  if (file && (!write_all(file.get(), bytes) || lseek(file.get(), 0, SEEK_SET) != 0)) {
    file.reset();
  }
  return file;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Launched launch(const std::vector<std::string>& command,
                const std::vector<std::string>& environment, const Fd& output,
                const std::string& given) {
  const std::vector<char*> arguments = pointers_to(command);
  const std::vector<char*> variables = pointers_to(environment);
  const Fd input = input_of(given);
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (!input || stack == MAP_FAILED) {
    return {.error = errno, .pidfd = {}};
  }
  Orders orders{command[0].c_str(), arguments.data(), variables.data(),
                input.get(),        output.get(),     0};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  const pid_t pid = clone(be_the_child, static_cast<char*>(stack) + kStackBytes,
                          CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &orders, &pidfd);
  const int refused = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, kStackBytes);
  Launched launched{.pid = pid, .pidfd = Fd(pidfd)};
  if (pid < 0) {
    return {.error = refused, .pidfd = {}};
  }
  if (orders.error != 0) {
    waitpid(pid, nullptr, 0);
    return {.error = orders.error, .pidfd = {}};
  }
  return launched;
}

std::string find_program(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) {
    return name;
  }
  for (const std::string_view folder : split(kChildPath, ':')) {
    std::string path = std::string(folder) + "/" + name;
    struct stat facts {};
    if (stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
        access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return {};
}

}  // namespace cb::loop
