// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/client.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(Help, NamesTheExitCodesAndEveryVerb) {
  const Ran ran = run_cli("", {"--help"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out,
              HasSubstr("Exit codes: 0 done; 1 failed; 2 wrong use; 3 the health monitor"));
  for (const char* verb :
       {"status", "gethainfo", "events", "vip", "drill", "switchover", "failover", "failback",
        "maintenance", "set", "pairing-code", "pair", "unpair", "recover", "licence",
        "resolve-conflict", "restart", "stop", "config"}) {
    EXPECT_THAT(ran.out, ContainsRegex("\n  " + std::string(verb) + " ")) << verb;
  }
}

TEST(Help, OfEveryVerbHasAnExample) {
  for (const auto& verb : std::vector<std::vector<std::string>>{{"status"},
                                                                {"gethainfo"},
                                                                {"events"},
                                                                {"vip", "show"},
                                                                {"vip", "announce"},
                                                                {"drill"},
                                                                {"switchover"},
                                                                {"failover"},
                                                                {"failback"},
                                                                {"maintenance"},
                                                                {"set"},
                                                                {"pairing-code"},
                                                                {"pair"},
                                                                {"unpair"},
                                                                {"recover"},
                                                                {"licence", "show"},
                                                                {"licence", "sign"},
                                                                {"resolve-conflict"},
                                                                {"restart"},
                                                                {"stop"},
                                                                {"config", "check"},
                                                                {"config", "show"}}) {
    std::vector<std::string> arguments = verb;
    arguments.push_back("--help");
    const Ran ran = run_cli("", arguments);
    EXPECT_EQ(ran.code, 0) << verb.front();
    EXPECT_THAT(ran.out, ContainsRegex("Example")) << verb.front();
    EXPECT_THAT(ran.out, HasSubstr("Usage: crossbeat " + verb.front())) << verb.front();
  }
}

TEST(Help, OfEveryVerbThatActsHasADryRun) {
  for (const char* verb : {"switchover", "failover", "failback", "maintenance", "set", "pair",
                           "unpair", "recover", "resolve-conflict", "restart", "stop"}) {
    EXPECT_THAT(run_cli("", {verb, "--help"}).out, HasSubstr("--dry-run")) << verb;
  }
}

TEST(Version, IsOneLine) {
  EXPECT_THAT(run_cli("", {"--version"}).out, ContainsRegex("^crossbeat [0-9.]+\n$"));
}

TEST(StatusVerb, WithoutAMonitorShowsWhatWasSavedAsSaved) {
  FakeMonitor monitor;
  Json saved = primary_status();
  saved["saved_at_wall"] = "2026-01-31T17:02:03.123Z";
  monitor.write("var/lib/crossbeat/last_status.json", saved.dump());
  const Ran ran = run_cli(monitor.root(), {"status"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.out.find("NOT RUNNING."), 0u) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("last saved at 2026-01-31T17:02:03.123Z and is not the present"));
  const Ran json = run_cli(monitor.root(), {"status", "--json"});
  EXPECT_EQ(json.code, 3);
  EXPECT_FALSE(flag_at(*parse_object(json.out), "running", true));
}

TEST(StatusVerb, WithADamagedSavedStatusSaysOnlyThatNobodyRuns) {
  FakeMonitor monitor;
  monitor.write("var/lib/crossbeat/last_status.json", "{\"node\": {\"na");
  EXPECT_EQ(run_cli(monitor.root(), {"status"}).code, 3);
}

TEST(StatusVerb, InJsonIsWhatTheMonitorSaid) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"status", "--json"});
  Json said = *parse_object(ran.out);
  EXPECT_TRUE(flag_at(said, "running"));
  said.erase("running");
  EXPECT_EQ(said, primary_status());
}

TEST(StatusVerb, WatchesAsOftenAsAsked) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status(), primary_status({{"sub_state", "degraded"}})});
  monitor.listen();
  const Ran ran =
      run_cli(monitor.root(), {"status", "--watch", "--interval", "1ms", "--count", "3", "--json"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(monitor.looks(), 3);
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 3) << "one line each";
}

TEST(StatusVerb, OfOnePairingLeavesTheOthersOut) {
  FakeMonitor monitor;
  Json status = secondary_status();
  status["pairings"].push_back(secondary_status({{"pairing", "10.10.10.22"}})["pairings"][0]);
  monitor.answers("status", {status});
  monitor.listen();
  const Ran one = run_cli(monitor.root(), {"status", "--json", "--pairing", "10.10.10.22"});
  EXPECT_EQ(at(*parse_object(one.out), "pairings").size(), 1u);
  EXPECT_EQ(run_cli(monitor.root(), {"status", "--pairing", "10.9.9.9"}).code, 2);
}

TEST(Client, ReachesASocketWhosePathIsTooLongForTheKernel) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  const auto deep = monitor.path(std::string(60, 'a') + "/" + std::string(60, 'b'));
  std::filesystem::create_directories(deep);
  std::filesystem::create_directory_symlink(monitor.path("run"), deep / "run");
  EXPECT_EQ(run_cli(deep.string(), {"status"}).code, 0);
}

TEST(Client, TakesTheRootFromTheEnvironment) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  setenv("CROSSBEAT_ROOT", monitor.root().c_str(), 1);
  const Ran ran = run_cli("", {"status"});
  unsetenv("CROSSBEAT_ROOT");
  EXPECT_EQ(ran.code, 0);
}

}  // namespace
}  // namespace cb::cli::test
