// SPDX-License-Identifier: Apache-2.0
#include "loop/loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <csignal>
#include <cstring>
#include <thread>

#include "tests/loop/ends.h"
#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

using test::open_loop;
using test::Pipe;
using test::turn_until;

// Every test on each form of ring, since this kernel would only ever use the newest.
class LoopOfForm : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(NewestToOldest, LoopOfForm, testing::Range(0u, kLoopForms));

TEST_P(LoopOfForm, ReturnsWhenTheGivenTimeHasComeAndNothingHappened) {
  auto loop = open_loop({GetParam()});
  const Instant until = boottime_now() + Duration::from_ms(5);
  ASSERT_TRUE(loop->turn(until));
  EXPECT_GE(boottime_now(), until);
  EXPECT_EQ(loop->stats().turns, 1u);
}

TEST_P(LoopOfForm, DoesNotWaitForATimeInThePast) {
  auto loop = open_loop({GetParam()});
  const Instant before = boottime_now();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_LT(boottime_now() - before, Duration::from_s(1));
}

TEST_P(LoopOfForm, WaitsForNeverUntilSomethingHappens) {
  auto loop = open_loop({GetParam()});
  bool posted = false;
  std::thread other([&] {
    const Instant later = boottime_now() + Duration::from_ms(20);
    while (boottime_now() < later) {
    }
    loop->post([&] { posted = true; });
  });
  ASSERT_TRUE(loop->turn(Instant::never()));
  EXPECT_TRUE(posted);
  other.join();
}

TEST_P(LoopOfForm, CallsAgainWhileSomethingIsLeftUnread) {
  auto loop = open_loop({GetParam()});
  Pipe pipe;
  std::string seen;
  loop->watch(pipe.reader.get(), [&] { seen += pipe.take(); });  // one byte each
  pipe.put("abc");
  EXPECT_TRUE(turn_until(*loop, [&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, "abc");
}

TEST_P(LoopOfForm, CallsAnewForWhatArrivesLater) {
  auto loop = open_loop({GetParam()});
  Pipe pipe;
  int calls = 0;
  loop->watch(pipe.reader.get(), [&] {
    pipe.take();
    ++calls;
  });
  for (int i = 1; i <= 5; ++i) {
    pipe.put("x");
    EXPECT_TRUE(turn_until(*loop, [&] { return calls == i; }));
  }
}

TEST_P(LoopOfForm, RunsEverythingThatIsReadyInOneTurn) {
  auto loop = open_loop({GetParam()});
  std::array<Pipe, 8> pipes;
  int calls = 0;
  for (Pipe& pipe : pipes) {
    loop->watch(pipe.reader.get(), [&] {
      pipe.take();
      ++calls;
    });
  }
  ASSERT_TRUE(loop->turn(Instant{}));  // arms them
  for (Pipe& pipe : pipes) {
    pipe.put("x");
  }
  ASSERT_TRUE(loop->turn(boottime_now() + Duration::from_s(5)));
  EXPECT_EQ(calls, 8);
}

TEST_P(LoopOfForm, DoesNotCallAfterUnwatchAlthoughBytesAreThere) {
  auto loop = open_loop({GetParam()});
  Pipe pipe;
  int calls = 0;
  loop->watch(pipe.reader.get(), [&] { ++calls; });
  ASSERT_TRUE(loop->turn(Instant{}));
  pipe.put("x");
  loop->unwatch(pipe.reader.get());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_EQ(calls, 0);
}

TEST_P(LoopOfForm, ACallbackMayUnwatchItselfAndItsNeighbours) {
  auto loop = open_loop({GetParam()});
  std::array<Pipe, 3> pipes;
  int calls = 0;
  for (Pipe& pipe : pipes) {
    loop->watch(pipe.reader.get(), [&] {
      ++calls;
      for (Pipe& each : pipes) {
        loop->unwatch(each.reader.get());
      }
    });
  }
  ASSERT_TRUE(loop->turn(Instant{}));
  for (Pipe& pipe : pipes) {
    pipe.put("x");
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_EQ(calls, 1);
}

TEST_P(LoopOfForm, ACallbackMayWatchTheSameDescriptorAnew) {
  auto loop = open_loop({GetParam()});
  Pipe pipe;
  std::string who;
  loop->watch(pipe.reader.get(), [&] {
    who += 'a';
    pipe.take();
    loop->unwatch(pipe.reader.get());
    loop->watch(pipe.reader.get(), [&] {
      who += 'b';
      pipe.take();
    });
  });
  pipe.put("12");
  EXPECT_TRUE(turn_until(*loop, [&] { return who.size() == 2; }));
  EXPECT_EQ(who, "ab");
}

// The number of a closed descriptor is given out again at once. A watch that was not yet submitted,
// or not yet cancelled, must not end up on the new file.
TEST_P(LoopOfForm, AWatchNeverMovesToAnotherFileOfTheSameNumber) {
  auto loop = open_loop({GetParam()});
  int wrong = 0;
  auto first = std::make_unique<Pipe>();
  const int number = first->reader.get();
  loop->watch(number, [&] { ++wrong; });
  loop->unwatch(number);
  first.reset();
  Pipe second;
  ASSERT_EQ(second.reader.get(), number);
  second.put("x");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_EQ(wrong, 0);
}

TEST_P(LoopOfForm, TimersRunInTheOrderOfTheirTime) {
  auto loop = open_loop({GetParam()});
  std::string order;
  const Instant now = boottime_now();
  loop->at(now + Duration::from_ms(3), [&] { order += 'c'; });
  loop->at(now + Duration::from_ms(1), [&] { order += 'a'; });
  loop->at(now + Duration::from_ms(2), [&] { order += 'b'; });
  EXPECT_TRUE(turn_until(*loop, [&] { return order.size() == 3; }));
  EXPECT_EQ(order, "abc");
}

TEST_P(LoopOfForm, TimersOfOneMomentRunInTheOrderTheyWereSet) {
  auto loop = open_loop({GetParam()});
  std::string order;
  const Instant when = boottime_now() + Duration::from_ms(1);
  for (char c = 'a'; c <= 'h'; ++c) {
    loop->at(when, [&order, c] { order += c; });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return order.size() == 8; }));
  EXPECT_EQ(order, "abcdefgh");
}

TEST_P(LoopOfForm, NoTimerRunsBeforeItsTime) {
  auto loop = open_loop({GetParam()});
  for (int i = 0; i < 50; ++i) {
    const Instant when = boottime_now() + Duration::from_us(200);
    bool ran = false;
    loop->at(when, [&] {
      ran = true;
      EXPECT_GE(boottime_now(), when);
      EXPECT_GE(loop->now(), when);
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return ran; }));
  }
}

TEST_P(LoopOfForm, ACancelledTimerDoesNotRunAlsoWhenBothAreDue) {
  auto loop = open_loop({GetParam()});
  const Instant when = boottime_now();
  bool second_ran = false;
  TimerId second;
  bool first_ran = false;
  loop->at(when, [&] {
    first_ran = true;
    loop->cancel(second);
  });
  second = loop->at(when, [&] { second_ran = true; });
  EXPECT_TRUE(turn_until(*loop, [&] { return first_ran; }));
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_FALSE(second_ran);
}

TEST_P(LoopOfForm, ATimerThatSetsItselfForThePastDoesNotHoldUpTheTurn) {
  auto loop = open_loop({GetParam()});
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    loop->at(Instant{}, again);
  };
  loop->at(Instant{}, again);
  ASSERT_TRUE(loop->turn(Instant::never()));
  EXPECT_EQ(runs, 1);
  ASSERT_TRUE(loop->turn(Instant::never()));
  EXPECT_EQ(runs, 2);
}

TEST_P(LoopOfForm, CompletionsAreDrainedBeforeTimersRun) {
  auto loop = open_loop({GetParam()});
  Pipe pipe;
  std::string order;
  loop->watch(pipe.reader.get(), [&] {
    order += 'r';
    pipe.take();
  });
  ASSERT_TRUE(loop->turn(Instant{}));
  pipe.put("x");
  loop->at(Instant{}, [&] { order += 't'; });
  EXPECT_TRUE(turn_until(*loop, [&] { return order.size() == 2; }));
  EXPECT_EQ(order, "rt");
}

TEST_P(LoopOfForm, PostsOfManyThreadsAllArriveEachInOrder) {
  auto loop = open_loop({GetParam()});
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::array<int, kThreads> next{};
  int arrived = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop->post([&, t, i] {
          EXPECT_EQ(next[static_cast<size_t>(t)]++, i);
          ++arrived;
        });
      }
    });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return arrived == kThreads * kEach; }));
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_P(LoopOfForm, WakeEndsTheWaitFromAnotherThread) {
  auto loop = open_loop({GetParam()});
  for (int i = 0; i < 100; ++i) {
    std::thread other([&] { loop->wake(); });
    ASSERT_TRUE(loop->turn(boottime_now() + Duration::from_s(30)));
    other.join();
    ASSERT_TRUE(loop->turn(Instant{}));  // the bell that came too late for the turn, if any
  }
}

TEST_P(LoopOfForm, AWakeBeforeTheTurnIsNotLost) {
  auto loop = open_loop({GetParam()});
  loop->wake();
  const Instant before = boottime_now();
  ASSERT_TRUE(loop->turn(before + Duration::from_s(30)));
  EXPECT_LT(boottime_now() - before, Duration::from_s(10));
}

TEST_P(LoopOfForm, SignalsArriveAsCalls) {
  // Its own thread, since the mask stays.
  std::thread([&] {
    auto loop = open_loop({GetParam()});
    std::vector<int> seen;
    ASSERT_TRUE(loop->on_signals({SIGUSR1, SIGUSR2}, [&](int signal) { seen.push_back(signal); }));
    pthread_kill(pthread_self(), SIGUSR1);
    pthread_kill(pthread_self(), SIGUSR2);
    EXPECT_TRUE(turn_until(*loop, [&] { return seen.size() == 2; }));
    EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
  }).join();
}

TEST_P(LoopOfForm, MeasuresItsLongestTurn) {
  auto loop = open_loop({GetParam()});
  loop->at(Instant{}, [] {
    const Instant end = boottime_now() + Duration::from_ms(3);
    while (boottime_now() < end) {
    }
  });
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_GE(loop->stats().longest_turn, Duration::from_ms(3));
  loop->reset_longest_turn();
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_LT(loop->stats().longest_turn, Duration::from_ms(3));
}

TEST(LoopDeath, OnlyItsOwnThreadMayUseIt) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  auto loop = open_loop();
  EXPECT_DEATH(std::thread([&] { loop->at(Instant{}, [] {}); }).join(),
               "only post and wake are for other threads");
}

}  // namespace
}  // namespace cb::loop
