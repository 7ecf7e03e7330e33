// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/io_flusher.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

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
int answer_of_child(bool allowed) {
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
    _exit(volume::become_io_flusher());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(IoFlusher, TellsThatItWasRefused) { EXPECT_EQ(answer_of_child(false), EPERM); }

TEST(IoFlusher, IsGrantedToWhoMay) { EXPECT_EQ(answer_of_child(true), may() ? 0 : EPERM); }

}  // namespace
}  // namespace cb::test
