// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/memory.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

namespace cb::test {
namespace {

using Capabilities = std::array<__user_cap_data_struct, 2>;

Capabilities capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Capabilities data{};
  EXPECT_EQ(syscall(SYS_capget, &header, data.data()), 0);
  return data;
}

bool may() { return (capabilities()[0].effective & 1u << CAP_SYS_RESOURCE) != 0; }

// What it answers in a process of its own: this one stays as it is.
int answer_of_child(bool allowed, int (*asks)()) {
  const pid_t child = fork();
  if (child == 0) {
    if (!allowed) {
      __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
      Capabilities data = capabilities();
      data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
      if (syscall(SYS_capset, &header, data.data()) != 0) {
        _exit(255);
      }
    }
    _exit(asks());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(IoFlusher, TellsThatItWasRefused) {
  EXPECT_EQ(answer_of_child(false, volume::become_io_flusher), EPERM);
}

TEST(IoFlusher, IsGrantedToWhoMay) {
  EXPECT_EQ(answer_of_child(true, volume::become_io_flusher), may() ? 0 : EPERM);
}

int score_when_spared() {
  const int error = volume::be_spared_when_memory_ends();
  if (error != 0) {
    return error;
  }
  std::ifstream file("/proc/self/oom_score_adj");
  int score = 0;
  file >> score;
  return score == -1000 ? 0 : 255;
}

TEST(MemoryEnds, SparesWhoMayAskForIt) {
  EXPECT_EQ(answer_of_child(true, score_when_spared), may() ? 0 : EACCES);
}

TEST(MemoryEnds, TellsThatItWasRefused) {
  EXPECT_EQ(answer_of_child(false, score_when_spared), EACCES);
}

}  // namespace
}  // namespace cb::test
