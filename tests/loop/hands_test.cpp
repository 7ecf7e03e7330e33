// SPDX-License-Identifier: Apache-2.0
#include "loop/hands.h"

#include <future>
#include <thread>

#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

using test::open_loop;
using test::turn_until;

std::unique_ptr<Hands> start_hands(Loop& loop) {
  auto hands = Hands::start(loop, {.name = "test-hands", .fifo = {}});
  EXPECT_TRUE(hands) << to_text(hands.error());
  return std::move(*hands);
}

TEST(Hands, RunWorkElsewhereAndAnswerInTheLoopsThread) {
  auto loop = open_loop();
  auto hands = start_hands(*loop);
  const auto here = std::this_thread::get_id();
  std::thread::id worked;
  std::thread::id answered;
  int error = -1;
  hands->run(
      [&] {
        worked = std::this_thread::get_id();
        return 42;
      },
      [&](int e) {
        answered = std::this_thread::get_id();
        error = e;
      });
  EXPECT_TRUE(turn_until(*loop, [&] { return error >= 0; }));
  EXPECT_EQ(error, 42);
  EXPECT_NE(worked, here);
  EXPECT_EQ(answered, here);
}

TEST(Hands, KeepTheOrder) {
  auto loop = open_loop();
  auto hands = start_hands(*loop);
  std::vector<int> worked;
  std::vector<int> answered;
  for (int i = 0; i < 500; ++i) {
    hands->run(
        [&worked, i] {
          worked.push_back(i);
          return 0;
        },
        [&answered, i](int) { answered.push_back(i); });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return answered.size() == 500; }));
  EXPECT_EQ(worked, answered);
  EXPECT_TRUE(std::is_sorted(worked.begin(), worked.end()));
}

TEST(Hands, DropWorkThatHasNotBegunWhenTheyEnd) {
  auto loop = open_loop();
  auto hands = start_hands(*loop);
  std::promise<void> begun;
  std::promise<void> release;
  bool second_worked = false;
  bool answered = false;
  hands->run(
      [&] {
        begun.set_value();
        release.get_future().wait();
        return 0;
      },
      nullptr);
  hands->run(
      [&] {
        second_worked = true;
        return 0;
      },
      [&](int) { answered = true; });
  begun.get_future().wait();
  std::thread releaser([&] { release.set_value(); });
  // The releaser may be first: then the second piece of work runs, and what this test asks is only
  // that nothing hangs and nothing is called afterwards.
  hands.reset();
  releaser.join();
  ASSERT_TRUE(loop->turn(Instant{}));
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_EQ(answered, second_worked);
}

// What the functions hold may belong to the loop's thread: it must not be destroyed in the other
// one.
TEST(Hands, DestroyTheWorkInTheLoopsThread) {
  auto loop = open_loop();
  auto hands = start_hands(*loop);
  std::thread::id destroyed;
  bool answered = false;
  std::shared_ptr<void> held(nullptr, [&](void*) { destroyed = std::this_thread::get_id(); });
  hands->run([held] { return 0; }, [&](int) { answered = true; });
  held.reset();
  EXPECT_TRUE(turn_until(*loop, [&] { return answered; }));
  EXPECT_EQ(destroyed, std::this_thread::get_id());
}

TEST(Hands, HaveNoRealTimePriorityUnlessAskedFor) {
  auto loop = open_loop();
  auto hands = start_hands(*loop);
  int policy = -1;
  bool answered = false;
  hands->run(
      [&] {
        policy = sched_getscheduler(0);
        return 0;
      },
      [&](int) { answered = true; });
  EXPECT_TRUE(turn_until(*loop, [&] { return answered; }));
  EXPECT_EQ(policy, SCHED_OTHER);
  EXPECT_FALSE(hands->is_fifo());
}

}  // namespace
}  // namespace cb::loop
