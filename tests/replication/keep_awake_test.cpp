// SPDX-License-Identifier: Apache-2.0
#include "replication/keep_awake.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/clock.h"
#include "tests/base/temporary_folder.h"

namespace cb::replication {
namespace {

// What the kernel was asked for, from a pipe with a name in place of its device.
class KeepAwakeTest : public testing::Test {
 protected:
  KeepAwakeTest() {
    EXPECT_EQ(::mkfifo(device.c_str(), 0600), 0);
    kernel = Fd(::open(device.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  std::vector<std::int32_t> asked() {
    std::vector<std::int32_t> all;
    std::int32_t one = 0;
    while (::read(kernel.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one)) {
      all.push_back(one);
    }
    return all;
  }

  test::TemporaryFolder folder;
  std::string device = folder.at("cpu_dma_latency");
  Fd kernel;
  Result<std::unique_ptr<loop::Loop>> loop = loop::Loop::open();
};

using Asked = std::vector<std::int32_t>;
constexpr std::int32_t kAnySleep = 2'000'000'000;

TEST_F(KeepAwakeTest, AsksWithTheFirstWorkAndTakesItBackWhenThereIsNoMore) {
  KeepAwake awake(**loop, 2, device.c_str());
  EXPECT_EQ(asked(), Asked{kAnySleep}) << "without work";
  awake.touch();
  awake.touch();
  EXPECT_TRUE(awake.holds());
  EXPECT_EQ(asked(), Asked{2});
  while (awake.holds()) {
    ASSERT_TRUE((*loop)->turn(Instant::never()));
  }
  EXPECT_EQ(asked(), Asked{kAnySleep});
  awake.touch();
  EXPECT_EQ(asked(), Asked{2});
}

// Whenever it is taken back, be this machine as slow as it likes, the last work was 50 ms ago.
TEST_F(KeepAwakeTest, KeepsItAsLongAsWorkComes) {
  KeepAwake awake(**loop, 0, device.c_str());
  Instant last = boottime_now();
  awake.touch();
  const Instant enough = last + Duration::from_ms(30);
  while (awake.holds() && boottime_now() < enough) {
    ASSERT_TRUE((*loop)->turn(enough));
  }
  last = (*loop)->now();
  awake.touch();
  while (awake.holds()) {
    ASSERT_TRUE((*loop)->turn(Instant::never()));
  }
  EXPECT_GE(boottime_now() - last, Duration::from_ms(50));
  const Asked all = asked();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back(), kAnySleep);
}

TEST_F(KeepAwakeTest, DoesNothingWithoutALimit) {
  KeepAwake awake(**loop, std::nullopt, device.c_str());
  awake.touch();
  EXPECT_FALSE(awake.holds());
  EXPECT_EQ(awake.error(), 0);
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(KeepAwakeTest, TellsThatTheKernelHasNoSuchThing) {
  KeepAwake awake(**loop, 0, folder.at("nothing").c_str());
  awake.touch();
  EXPECT_FALSE(awake.holds());
  EXPECT_EQ(awake.error(), ENOENT);
}

TEST_F(KeepAwakeTest, TellsThatTheKernelRefuses) {
  KeepAwake awake(**loop, 0, "/dev/full");
  awake.touch();
  EXPECT_FALSE(awake.holds());
  EXPECT_EQ(awake.error(), ENOSPC);
  awake.touch();  // and it does not ask again
  EXPECT_FALSE(awake.holds());
}

TEST(CpuLatencyOf, AMachineIsChosenByTheDriverOfItsIdleStates) {
  EXPECT_EQ(CpuLatency{}.limit("intel_idle"), 2);
  EXPECT_EQ(CpuLatency{}.limit("none"), 2);
  EXPECT_EQ(CpuLatency{}.limit("haltpoll"), 0) << "a virtual machine's";
  EXPECT_EQ((CpuLatency{.automatic = false, .limit_us = 20}.limit("haltpoll")), 20);
  EXPECT_EQ((CpuLatency{.automatic = false, .limit_us = {}}.limit("haltpoll")), std::nullopt);
}

}  // namespace
}  // namespace cb::replication
