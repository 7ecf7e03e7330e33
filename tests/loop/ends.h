// SPDX-License-Identifier: Apache-2.0
//
// Two connected descriptors.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/fd.h"

namespace cb::test {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    reader = Fd(ends[0]);
    writer = Fd(ends[1]);
  }
  void put(const char* text) const {
    EXPECT_EQ(::write(writer.get(), text, strlen(text)), static_cast<ssize_t>(strlen(text)));
  }
  char take() const {
    char c = 0;
    return ::read(reader.get(), &c, 1) == 1 ? c : '-';
  }
  Fd reader;
  Fd writer;
};

struct Pair {
  explicit Pair(int flags = 0) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, ends.data()), 0);
    a = Fd(ends[0]);
    b = Fd(ends[1]);
  }
  Fd a;
  Fd b;
};

}  // namespace cb::test
