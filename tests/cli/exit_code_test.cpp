// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(ExitCode, IsThreeWhenNoMonitorRuns) {
  FakeMonitor monitor;
  for (const char* verb : {"status", "gethainfo", "switchover", "failover", "failback", "drill",
                           "restart", "stop", "unpair", "pairing-code", "events"}) {
    const Ran ran = run_cli(monitor.root(), {verb});
    EXPECT_EQ(ran.code, 3) << verb;
    EXPECT_THAT(ran.err, HasSubstr("the health monitor is not running")) << verb;
    EXPECT_THAT(ran.err, HasSubstr("systemctl start crossbeat")) << verb;
    EXPECT_THAT(ran.out, IsEmpty()) << verb;
  }
}

TEST(ExitCode, IsTwoForWrongUse) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {},
           {"stats"},
           {"status", "--nope"},
           {"vip"},
           {"maintenance"},
           {"maintenance", "maybe"},
           {"maintenance", "off", "--for", "1h"},
           {"maintenance", "on", "--for", "30"},
           {"pair"},
           {"status", "--timeout", "5"},
           {"set", "--failover", "sometimes"},
           {"events", "--limit", "-1"},
           {"events", "--since", "yesterday"},
           {"pair", "10.0.0.2", "--code", "x", "--code-file", "y"}}) {
    const Ran ran = run_cli("", arguments);
    EXPECT_EQ(ran.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(ran.err, Not(IsEmpty())) << testing::PrintToString(arguments);
    EXPECT_THAT(ran.out, IsEmpty()) << testing::PrintToString(arguments);
  }
}

TEST(ExitCode, IsFourAndNamesTheRuleWhenTheMonitorRefuses) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("failback", {refusal(4)});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"failback"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("refused: hold-down"));
  EXPECT_THAT(ran.err, HasSubstr("wait 12 s"));
}

TEST(ExitCode, OfAStrangeRefusalIsOne) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("failback", {refusal(0)});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"failback"}).code, 1);
}

TEST(ExitCode, IsFiveWhenTheMonitorHangs) {
  FakeMonitor monitor;
  monitor.listen_and_hang();
  const auto before = std::chrono::steady_clock::now();
  const Ran ran = run_cli(monitor.root(), {"status", "--timeout", "200ms"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_THAT(ran.err, HasSubstr("does not answer"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

// In a process of its own, since root must stop being root.
TEST(ExitCode, IsSevenWithoutPrivileges) {
  FakeMonitor monitor;
  monitor.listen();
  ASSERT_EQ(chmod(monitor.root().c_str(), 0755), 0);
  ASSERT_EQ(chmod(monitor.path("run/crossbeat/control.sock").c_str(), geteuid() == 0 ? 0600 : 0),
            0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) {
      _exit(100);
    }
    const Ran ran = run_cli(monitor.root(), {"status"});
    _exit(ran.err.find("try again with sudo") == std::string::npos ? 101 : ran.code);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(ExitCode, IsOneWhenTheAnswerIsNone) {
  for (const char* answer : {"not json", "[1,2]", "", "{\"ok\":"}) {
    FakeMonitor monitor;
    monitor.answers("status", [&](const Json&) { return std::vector<std::string>{answer}; });
    monitor.listen();
    const Ran ran = run_cli(monitor.root(), {"status"});
    EXPECT_EQ(ran.code, 1) << answer;
    EXPECT_THAT(ran.err, HasSubstr("not a JSON object")) << answer;
  }
}

}  // namespace
}  // namespace cb::cli::test
