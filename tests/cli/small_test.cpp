// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(Vip, ShowsWhereEachAddressIs) {
  FakeMonitor monitor;
  monitor.answers("vip", {Json{{"ok", true},
                               {"addresses", Json::array({{{"address", "10.10.10.11/24"},
                                                           {"interface", "eth0"},
                                                           {"label", "eth0:1"},
                                                           {"serving", true},
                                                           {"on_interface", true},
                                                           {"guard", "open"}}})}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"vip", "show"});
  EXPECT_EQ(ran.out,
            "10.10.10.11/24  on eth0 (eth0:1): served here, on the interface, guard open\n");
  EXPECT_EQ(text_at(monitor.requests()[0], "action"), "show");
}

TEST(Vip, AnnounceThatFailsIsAFailure) {
  FakeMonitor monitor;
  monitor.answers("vip", {Json{{"ok", true},
                               {"addresses", Json::array({{{"address", "10.10.10.11/24"},
                                                           {"interface", "eth0"},
                                                           {"label", "eth0:1"},
                                                           {"serving", true},
                                                           {"error", "Network is down"}}})}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"vip", "announce"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("NOT announced: Network is down"));
}

TEST(Drill, ShowsWhatWouldHappen) {
  FakeMonitor monitor;
  monitor.answers("drill", {Json{{"ok", true},
                                 {"state", "SECONDARY_ACTIVE"},
                                 {"event", "the peer falls silent on all links"},
                                 {"would", {"arbitrate", "claim-term", "add-address"}},
                                 {"then", "FAILOVER_ACTIVE"},
                                 {"then_text", "in command"},
                                 {"eligible", true},
                                 {"automatic", false},
                                 {"resources",
                                  {{"memory_available_mb", 700},
                                   {"memory_total_mb", 8000},
                                   {"processors", 2},
                                   {"disk_free_mb", 5000},
                                   {"serving_now", 1},
                                   {"pairings", 16},
                                   {"doubts", {"only 700 MB of memory are left"}}}},
                                 {"timeline", "Heartbeats\n  direct link\n"}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"drill"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("  1. arbitrate\n  2. claim-term\n  3. add-address\n"));
  EXPECT_THAT(ran.out, HasSubstr("and then be FAILOVER_ACTIVE: in command\n"));
  EXPECT_THAT(ran.out, HasSubstr("an operator decides"));
  EXPECT_THAT(ran.out,
              HasSubstr("700 of 8000 MB of memory left, 2 processors, 5000 MB of disk; 1 of "
                        "16 pairings are served here now."));
  EXPECT_THAT(ran.out, HasSubstr("DOUBT: only 700 MB of memory are left\n"));
  EXPECT_THAT(ran.out, HasSubstr("Heartbeats\n  direct link\n"));
}

TEST(Set, SendsWhatWasAsked) {
  FakeMonitor monitor;
  monitor.answers("set", {Json{{"ok", true}}});
  monitor.listen();
  const Ran ran =
      run_cli(monitor.root(), {"set", "--failover", "automatic", "--pairing", "10.10.10.12"});
  EXPECT_EQ(ran.out.find("Failover is now automatic on this node.\n"), 0u) << ran.out;
  EXPECT_EQ(monitor.requests()[0],
            (Json{{"verb", "set"}, {"pairing", "10.10.10.12"}, {"failover", "automatic"}}));
  EXPECT_EQ(run_cli(monitor.root(), {"set"}).code, 2);
}

TEST(ConfigCheck, OfAMissingFileIsSixAndNamesIt) {
  FakeMonitor monitor;
  const Ran ran = run_cli(monitor.root(), {"config", "check"});
  EXPECT_EQ(ran.code, 6);
  EXPECT_THAT(ran.out, HasSubstr(monitor.root() + "/etc/crossbeat/crossbeat.toml: error: open"));
}

TEST(ConfigCheck, PrintsEveryProblemWithItsLine) {
  FakeMonitor monitor;
  monitor.write("bad.toml", "[node]\nrole = \"chief\"\n[netwrk]\n");
  const Ran ran = run_cli("", {"config", "check", monitor.path("bad.toml")});
  EXPECT_EQ(ran.code, 6);
  EXPECT_THAT(ran.out, HasSubstr("bad.toml:2: error: role: 'chief' is not known"));
  EXPECT_THAT(ran.out,
              HasSubstr("bad.toml:3: error: unknown table [netwrk]; did you mean 'network'?"));
  EXPECT_THAT(ran.out, ContainsRegex("[0-9]+ errors"));
  const Ran json = run_cli("", {"config", "check", "--json", monitor.path("bad.toml")});
  EXPECT_EQ(json.code, 6);
  EXPECT_GE(at(*parse_object(json.out), "problems").size(), 3u);
}

TEST(ConfigCheck, OfAGoodFilePrintsTheTimeline) {
  FakeMonitor monitor;
  // The loopback interface is on every machine.
  monitor.write("etc/crossbeat/crossbeat.toml",
                "[node]\nname = \"a\"\nrole = \"secondary\"\n[network]\ninterface = \"lo\"\n"
                "[arbitration]\nkinds = [\"none\"]\n");
  const Ran ran = run_cli(monitor.root(), {"config", "check"});
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("is in order"));
  EXPECT_THAT(ran.out, HasSubstr("until all links are silent"));
  const Ran shown = run_cli(monitor.root(), {"config", "show"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, HasSubstr("[heartbeat]\nprofile = \"normal\"\n"));
}

}  // namespace
}  // namespace cb::cli::test
