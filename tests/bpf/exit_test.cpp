// SPDX-License-Identifier: Apache-2.0
//
// The exit mark: the kernel's word that the monitor process is gone.
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

// A child that runs `inside`, then waits to be killed. Killed with the object at the latest.
class Child {
 public:
  explicit Child(const std::function<void()>& inside = [] {}) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      inside();
      char ready = 1;
      if (write(ends[1], &ready, 1) == 1) {
        for (;;) {
          pause();
        }
      }
      _exit(1);
    }
    close(ends[1]);
    char ready = 0;
    EXPECT_EQ(read(ends[0], &ready, 1), 1) << "the child did not come up";
    close(ends[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill_and_wait(); }
  void kill_and_wait() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

class Exit : public ::testing::Test {
 protected:
  void SetUp() override { bed.reset(); }
  Bed& bed = Bed::shared();
  cb_node& node() { return *bed.kernel().node(); }
};

TEST_F(Exit, IsMarkedWhenTheMonitorIsKilled) {
  Child monitor;
  node().monitor_tgid = static_cast<uint32_t>(monitor.pid());
  EXPECT_EQ(node().exit_ns, 0u);
  const uint64_t before = now_ns();
  monitor.kill_and_wait();
  EXPECT_GE(node().exit_ns, before);
  EXPECT_LE(node().exit_ns, now_ns());
}

TEST_F(Exit, IsNotMarkedWhenSomebodyElseDies) {
  Child monitor;
  node().monitor_tgid = static_cast<uint32_t>(monitor.pid());
  { Child other; }
  run({"true"});
  EXPECT_EQ(node().exit_ns, 0u);
}

TEST_F(Exit, IsNotMarkedWhenAThreadOfTheMonitorEnds) {
  node().monitor_tgid = static_cast<uint32_t>(getpid());
  std::thread([] {}).join();
  // Joined is not yet gone: its entry disappears after everything that its end causes.
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  while (threads() > 1) {
    std::this_thread::yield();
  }
  EXPECT_EQ(node().exit_ns, 0u);
}

TEST_F(Exit, TheLoaderKnowsItsProcessIdAsTheProgramsSeeIt) {
  EXPECT_EQ(bed.kernel().facts().tgid, static_cast<uint32_t>(getpid()));
}

TEST_F(Exit, TheLoaderKnowsItAlsoFromInsideAPidNamespace) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  // The outer child makes the namespace, the inner one is its process 1. Both are gone at the end.
  const pid_t outer = fork();
  if (outer == 0) {
    if (unshare(CLONE_NEWPID | CLONE_NEWNET) != 0) {
      _exit(1);
    }
    const pid_t inner = fork();
    if (inner == 0) {
      uint32_t told[2] = {static_cast<uint32_t>(getpid()), 0};
      {
        Root root;
        const auto kernel = edge::Kernel::open({.root = root.path(), .service_ifname = "lo"});
        told[1] = kernel ? kernel->facts().tgid : 0;
        if (write(ends[1], told, sizeof told) != sizeof told) {
          _exit(1);
        }
      }
      _exit(0);
    }
    const auto seen = static_cast<uint32_t>(inner);
    const bool ok = write(ends[1], &seen, sizeof seen) == sizeof seen;
    int status = 0;
    waitpid(inner, &status, 0);
    _exit(ok && status == 0 ? 0 : 1);
  }
  close(ends[1]);
  std::vector<uint32_t> words(3);
  size_t got = 0;
  for (ssize_t n = 0; got < 12 && (n = read(ends[0], reinterpret_cast<char*>(words.data()) + got,
                                            12 - got)) > 0;) {
    got += static_cast<size_t>(n);
  }
  close(ends[0]);
  int status = 0;
  waitpid(outer, &status, 0);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(got, 12u);
  // In whichever order they wrote: the inner one told {1, id}, the outer one id.
  const bool outer_first = words[1] == 1;
  EXPECT_EQ(words[outer_first ? 1 : 0], 1u);
  const uint32_t as_seen = outer_first ? words[0] : words[2];
  const uint32_t as_told = outer_first ? words[2] : words[1];
  EXPECT_NE(as_told, 1u);
  EXPECT_EQ(as_told, as_seen);
}

}  // namespace
}  // namespace cb::test
