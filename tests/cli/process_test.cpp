// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;

TEST(Restart, IsOverWhenAnotherSessionAnswers) {
  FakeMonitor monitor;
  Json after = primary_status();
  after["node"]["session"] = 18;
  monitor.answers("status", {primary_status(), primary_status(), after});
  monitor.answers("restart", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"restart", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(monitor.looks(), 3);
}

TEST(Stop, IsOverWhenNobodyAnswers) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("stop", {accepted()});
  monitor.listen();
  std::thread ending([&] {
    monitor.wait_for_request();
    monitor.stop();
  });
  const Ran ran = run_cli(monitor.root(), {"stop", "--timeout", "20s"});
  ending.join();
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("has stopped"));
}

TEST(Stop, ThatDoesNotEndTimesOut) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("stop", {accepted()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"stop", "--timeout", "300ms"}).code, 5);
}

}  // namespace
}  // namespace cb::cli::test
