// SPDX-License-Identifier: Apache-2.0
#include "edge/aside.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace cb::edge {
namespace {

// A thread that sleeps and says who it is.
class Sleeper {
 public:
  Sleeper()
      : thread_([this] {
          id_.store(gettid());
          id_.notify_one();
          stop_.wait(false);
        }) {
    id_.wait(0);
  }
  ~Sleeper() {
    stop_.store(true);
    stop_.notify_one();
    thread_.join();
  }
  pid_t id() const { return id_.load(); }
  cpu_set_t processors() const {
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(id(), sizeof set, &set), 0);
    return set;
  }

 private:
  std::atomic<pid_t> id_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class AsideTest : public testing::Test {
 protected:
  // On one processor for the test's own thread, so that "here" does not change.
  void SetUp() override {
    ASSERT_EQ(sched_getaffinity(0, sizeof all_, &all_), 0);
    const int here = sched_getcpu();
    ASSERT_GE(here, 0);
    here_ = static_cast<size_t>(here);
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(here_, &only);
    ASSERT_EQ(sched_setaffinity(sleeper_.id(), sizeof all_, &all_), 0);
    ASSERT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
  }
  void TearDown() override { EXPECT_EQ(sched_setaffinity(0, sizeof all_, &all_), 0); }

  const Instant now_ = Instant::from_ns(1'000'000);
  const Instant until_ = now_ + Duration::from_ms(30);
  Sleeper sleeper_;
  cpu_set_t all_{};
  size_t here_ = 0;
};

TEST_F(AsideTest, TheOtherThreadLeavesThisProcessorAndComesBack) {
  Aside aside(sleeper_.id());
  aside.make_way(until_);
  cpu_set_t wanted = all_;
  if (CPU_COUNT(&all_) == 1) {
    EXPECT_FALSE(aside.holds()) << "there is nowhere to go";
  } else {
    EXPECT_TRUE(aside.holds());
    CPU_CLR(here_, &wanted);
  }
  const cpu_set_t meanwhile = sleeper_.processors();
  EXPECT_TRUE(CPU_EQUAL(&meanwhile, &wanted));

  aside.release_when_over(until_ - Duration::from_us(1));
  EXPECT_EQ(aside.holds(), CPU_COUNT(&all_) > 1) << "not yet";
  aside.release_when_over(until_);
  EXPECT_FALSE(aside.holds());
  const cpu_set_t after = sleeper_.processors();
  EXPECT_TRUE(CPU_EQUAL(&after, &all_));
}

TEST_F(AsideTest, WhatSomebodyElseChangedMeanwhileStays) {
  Aside aside(sleeper_.id());
  aside.make_way(until_);
  cpu_set_t theirs;
  CPU_ZERO(&theirs);
  CPU_SET(here_, &theirs);
  ASSERT_EQ(sched_setaffinity(sleeper_.id(), sizeof theirs, &theirs), 0);
  aside.release_when_over(until_);
  const cpu_set_t after = sleeper_.processors();
  EXPECT_TRUE(CPU_EQUAL(&after, &theirs));
}

TEST_F(AsideTest, NobodyIsMovedByDefault) {
  Aside aside;
  aside.make_way(until_);
  EXPECT_FALSE(aside.holds());
  aside.release_when_over(until_);
}

}  // namespace
}  // namespace cb::edge
