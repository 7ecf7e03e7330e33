// SPDX-License-Identifier: Apache-2.0
#include "agent/in_turn.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace cb::agent {
namespace {

using testing::ElementsAre;

TEST(InTurn, BeginsAtOnceWhenNothingIsUnderWay) {
  InTurn things;
  bool began = false;
  things.add([&](const InTurn::Over&) { began = true; });
  EXPECT_TRUE(began);
  EXPECT_TRUE(things.busy());
}

TEST(InTurn, TheNextOneWaitsUntilTheOneBeforeIsOver) {
  InTurn things;
  std::vector<std::string> seen;
  InTurn::Over first_over;
  things.add([&](const InTurn::Over& over) {
    seen.push_back("first");
    first_over = over;
  });
  things.add([&](const InTurn::Over& over) {
    seen.push_back("second");
    over();
  });
  things.add([&](const InTurn::Over& over) {
    seen.push_back("third");
    over();
  });
  EXPECT_THAT(seen, ElementsAre("first"));
  first_over();
  EXPECT_THAT(seen, ElementsAre("first", "second", "third"));
  EXPECT_FALSE(things.busy());
}

TEST(InTurn, OneThatIsAddedByAnotherComesAfterThoseThatWait) {
  InTurn things;
  std::vector<int> seen;
  InTurn::Over over_first;
  things.add([&](const InTurn::Over& over) {
    over_first = over;
    things.add([&](const InTurn::Over& last) {
      seen.push_back(2);
      last();
    });
  });
  things.add([&](const InTurn::Over& over) {
    seen.push_back(3);
    over();
  });
  EXPECT_TRUE(seen.empty());
  over_first();
  EXPECT_THAT(seen, ElementsAre(2, 3));
}

TEST(InTurn, ManyThatAreOverAtOnceDoNotPileUpOnTheStack) {
  InTurn things;
  int seen = 0;
  InTurn::Over over_first;
  things.add([&](const InTurn::Over& over) { over_first = over; });
  for (int i = 0; i < 200'000; ++i) {
    things.add([&](const InTurn::Over& over) {
      ++seen;
      over();
    });
  }
  over_first();
  EXPECT_EQ(seen, 200'000);
}

}  // namespace
}  // namespace cb::agent
