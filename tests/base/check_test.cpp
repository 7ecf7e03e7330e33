// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace cb {
namespace {

void write_text(const char* text) {
  [[maybe_unused]] auto count = ::write(STDERR_FILENO, "saved: ", 7);
  count = ::write(STDERR_FILENO, text, std::strlen(text));
}

void fail_again(const char*) { CB_CHECK_MSG(false, "inside the hook"); }

TEST(Check, LetsATrueConditionPassAndEvaluatesItOnce) {
  int evaluated = 0;
  CB_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeath, NamesThePlaceAndTheCondition) {
  const int role = 3;
  EXPECT_EXIT(CB_CHECK(role < 2), testing::KilledBySignal(SIGABRT),
              "check failed: .*check_test.cpp:[0-9]+: role < 2\n");
  EXPECT_DEATH(CB_CHECK_MSG(role < 2, "no such role"), "role < 2 \\(no such role\\)");
}

TEST(CheckDeath, CallsTheHookWithTheTextBeforeItAborts) {
  const CheckHook before = set_check_hook(&write_text);
  EXPECT_DEATH(CB_CHECK(1 > 2), "saved: check failed: .*1 > 2");
  EXPECT_EQ(set_check_hook(before), &write_text);
}

TEST(CheckDeath, AFailingHookDoesNotRunForEver) {
  const CheckHook before = set_check_hook(&fail_again);
  EXPECT_EXIT(CB_CHECK(1 > 2), testing::KilledBySignal(SIGABRT), "inside the hook");
  set_check_hook(before);
}

TEST(CheckDeath, CutsATextThatIsTooLong) {
  const std::string message(5000, 'x');
  EXPECT_EXIT(CB_CHECK_MSG(false, message.c_str()), testing::KilledBySignal(SIGABRT),
              "check failed");
}

}  // namespace
}  // namespace cb
