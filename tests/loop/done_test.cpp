// SPDX-License-Identifier: Apache-2.0
#include "loop/done.h"

#include <cerrno>
#include <vector>

#include "base/clock.h"
#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

using test::open_loop;
using test::turn_until;

TEST(AnswerBy, PassesTheFirstAnswerOnAndNoOther) {
  auto loop = open_loop();
  std::vector<int> answers;
  const Done done =
      answer_by(*loop, boottime_now() + Duration::from_ms(2), [&](int e) { answers.push_back(e); });
  done(7);
  done(8);
  bool later = false;
  loop->after(Duration::from_ms(4), [&] { later = true; });
  EXPECT_TRUE(turn_until(*loop, [&] { return later; }));
  EXPECT_EQ(answers, std::vector<int>{7});
}

TEST(AnswerBy, SaysTimedOutAtTheDeadlineAndDropsWhatComesLater) {
  auto loop = open_loop();
  std::vector<int> answers;
  const Instant deadline = boottime_now() + Duration::from_ms(2);
  const Done done = answer_by(*loop, deadline, [&](int e) {
    answers.push_back(e);
    EXPECT_GE(boottime_now(), deadline);
  });
  EXPECT_TRUE(turn_until(*loop, [&] { return !answers.empty(); }));
  done(0);
  EXPECT_EQ(answers, std::vector<int>{ETIMEDOUT});
}

TEST(AnswerBy, AnswersAlsoWhenTheWorkWasThrownAway) {
  auto loop = open_loop();
  int answer = -1;
  {
    const Done done = answer_by(*loop, boottime_now(), [&](int e) { answer = e; });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return answer >= 0; }));
  EXPECT_EQ(answer, ETIMEDOUT);
}

TEST(Leash, MakesCallbacksHarmlessWhenTheOwnerIsGone) {
  int calls = 0;
  auto leash = std::make_unique<Leash>();
  auto call = leash->guard([&](int by) { calls += by; });
  call(2);
  leash.reset();
  call(5);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace cb::loop
