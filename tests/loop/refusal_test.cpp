// SPDX-License-Identifier: Apache-2.0
//
// What an operator reads where io_uring is refused. Two refusals are real: a process of its own
// takes a seccomp filter like a container's and then opens a loop.
#include "loop/refusal.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "loop/loop.h"
#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

bool says(const Error& error, const char* words) {
  return error.what.find(words) != std::string::npos;
}

TEST(Refusal, NamesTheSwitchAndHowToTurnIt) {
  EXPECT_TRUE(says(explain_refusal(EPERM, 2, false), "sysctl -w kernel.io_uring_disabled=0"));
  EXPECT_TRUE(says(explain_refusal(EPERM, 1, false), "kernel.io_uring_group"));
}

TEST(Refusal, NamesTheFilterWhenTheSwitchIsNotTheCause) {
  for (const int error : {EPERM, ENOSYS}) {
    EXPECT_TRUE(says(explain_refusal(error, 0, true), "SystemCallFilter="));
    EXPECT_TRUE(says(explain_refusal(error, {}, true), "seccomp"));
  }
}

TEST(Refusal, NamesTheKernelWhenItHasNone) {
  EXPECT_TRUE(says(explain_refusal(ENOSYS, {}, false), "5.15"));
}

TEST(Refusal, NamesTheLimits) {
  EXPECT_TRUE(says(explain_refusal(ENOMEM, 0, false), "LimitMEMLOCK"));
  EXPECT_TRUE(says(explain_refusal(EMFILE, 0, false), "LimitNOFILE"));
}

// Opens a loop in a process in which io_uring_setup answers `error`, and returns what it says.
std::string refused_with(int error) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    std::array<sock_filter, 4> rules = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{rules.size(), rules.data()};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    std::string text = "no filter";
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) {
      const auto loop = Loop::open();
      text = loop ? "opened" : to_text(loop.error());
    }
    const auto written = ::write(ends[1], text.data(), text.size());
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text(2000, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(ends[0], text.data(), 2000))));
  ::close(ends[0]);
  waitpid(pid, nullptr, 0);
  return text;
}

TEST(Refusal, AContainersFilterIsRecognised) {
  for (const int error : {EPERM, ENOSYS}) {
    const std::string text = refused_with(error);
    EXPECT_NE(text.find("seccomp"), std::string::npos) << text;
    EXPECT_NE(text.find("io_uring_enter"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace cb::loop
