// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/clock.h"

namespace cb::cli::test {
namespace {

Result<CommandOutput> shell(const std::string& line, Duration within = Duration::from_s(20),
                            std::size_t limit = 1000) {
  return run_command({"sh", "-c", line}, within, limit);
}

TEST(Command, TellsTheExitCodeAndBothOutputs) {
  const auto output = shell("echo out; echo err >&2; exit 3");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->code, 3);
  EXPECT_EQ(output->text, "out\nerr\n");
}

TEST(Command, HasNoInput) {
  const auto output = shell("cat; echo end");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "end\n");
}

TEST(Command, ThatIsNotThereIsAnError) {
  const auto output = run_command({"/nowhere/program"}, Duration::from_s(20));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ENOENT);
  EXPECT_EQ(output.error().what, "run /nowhere/program");
}

TEST(Command, ThatWasKilledTellsTheSignal) {
  const auto output = shell("kill -9 $$");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->code, 128 + 9);
}

TEST(Command, IsKilledAtTheDeadlineWithAllThatItStarted) {
  const Instant before = boottime_now();
  // The one in the background keeps the output open; only its end ends the wait.
  const auto output = shell("sleep 100 & sleep 100", Duration::from_ms(200));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ETIMEDOUT);
  EXPECT_LT(boottime_now() - before, Duration::from_s(20));
}

TEST(Command, KeepsNoMoreThanTheLimitAndReadsTheRest) {
  const auto output = shell("head -c 300000 /dev/zero; exit 4", Duration::from_s(20), 10);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text.size(), 10u);
  EXPECT_EQ(output->code, 4);
}

}  // namespace
}  // namespace cb::cli::test
