// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace cb {
namespace {

Fd open_null() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesWhatItOwnsAtTheEndOfItsScope) {
  int number = -1;
  {
    const Fd fd = open_null();
    ASSERT_TRUE(fd);
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovingLeavesNothingBehind) {
  Fd first = open_null();
  const int number = first.get();
  Fd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the promise under test
  EXPECT_EQ(second.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(Fd, AssignmentClosesTheFormerDescriptor) {
  Fd kept = open_null();
  const int former = kept.get();
  kept = open_null();
  EXPECT_NE(kept.get(), former);
  EXPECT_FALSE(is_open(former));
  EXPECT_TRUE(is_open(kept.get()));
}

TEST(Fd, AssigningItToItselfKeepsItOpen) {
  Fd fd = open_null();
  Fd& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(is_open(fd.get()));
}

TEST(Fd, ReleaseGivesTheDescriptorAwayOpen) {
  Fd fd = open_null();
  const int number = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(Fd, ResetLeavesErrnoAsItWas) {
  Fd bad(1 << 20);  // not open: close() fails with EBADF
  errno = ENOSPC;
  bad.reset();
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace cb
