// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

Json moving(const char* state, const char* sub) {
  return primary_status({{"state", state}, {"sub_state", sub}, {"since_ms", 5.0}});
}

TEST(Switchover, IsWatchedUntilThePeerServes) {
  FakeMonitor monitor;
  monitor.story(primary_status(), {moving("FAILOVER_INVOKED", "going-down"),
                                   moving("FAILOVER_INVOKED", "handing-over"),
                                   primary_status({{"state", "TERMINATED"},
                                                   {"sub_state", "peer-in-command"},
                                                   {"serving", false},
                                                   {"peer_state", "FAILOVER_ACTIVE"}})});
  monitor.answers("switchover", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, ContainsRegex("[0-9:.]+  FAILOVER_INVOKED"));
  EXPECT_THAT(ran.out, HasSubstr("mse2 serves 10.10.10.11."));
  ASSERT_EQ(monitor.requests().size(), 1u);
  EXPECT_EQ(monitor.requests()[0], (Json{{"verb", "switchover"}}));
}

TEST(Switchover, ThatIsGivenUpFails) {
  FakeMonitor monitor;
  Json back = primary_status({{"reason_text", "the hand-over timed out"}});
  monitor.story(primary_status(), {moving("FAILOVER_INVOKED", "going-down"), back});
  monitor.answers("switchover", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("it was given up: the hand-over timed out"));
}

TEST(Switchover, ThatCameToNothingBetweenTwoLooksFailsToo) {
  FakeMonitor monitor;
  monitor.story(primary_status(), {primary_status({{"since_ms", 0.0}})});
  monitor.answers("switchover", {accepted()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"switchover", "--timeout", "20s"}).code, 1);
}

TEST(Switchover, ThatDoesNotEndTimesOut) {
  FakeMonitor monitor;
  monitor.story(primary_status(), {moving("FAILOVER_INVOKED", "going-down")});
  monitor.answers("switchover", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--timeout", "300ms"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_THAT(ran.err, HasSubstr("it goes on in the monitor"));
}

TEST(Switchover, DryRunShowsTheRungsAndWaitsForNothing) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("switchover", {Json{{"ok", true},
                                      {"would", {"stop-services", "close-guard", "remove-address"}},
                                      {"then", "FAILOVER_INVOKED"},
                                      {"then_sub_state", "handing-over"}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--dry-run"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("  1. stop-services\n  2. close-guard\n  3. remove-address\n"));
  EXPECT_THAT(ran.out, HasSubstr("Nothing was done."));
  EXPECT_TRUE(flag_at(monitor.requests()[0], "dry_run"));
  EXPECT_EQ(monitor.looks(), 1);
}

TEST(Switchover, DryRunThatWouldBeRefusedIsFour) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers(
      "switchover",
      {Json{{"ok", true}, {"would", Json::array()}, {"refused", "the peer is silent"}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--dry-run"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.out, HasSubstr("would be refused: the peer is silent"));
}

TEST(Switchover, WaitsForAPeerThatWasHeardAMomentAgo) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  Json unheard = refusal(4);
  unheard["reason"] = "peer-unheard";
  monitor.answers("switchover", {unheard, unheard, accepted()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"switchover", "--no-wait"}).code, 0);
  EXPECT_EQ(monitor.requests().size(), 3u);
}

TEST(Switchover, DoesNotWaitForEverForAPeerThatSaysNothing) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  Json unheard = refusal(4);
  unheard["reason"] = "peer-unheard";
  monitor.answers("switchover", {unheard});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"switchover", "--no-wait"}).code, 4);
}

TEST(Switchover, NoWaitReturnsAtOnce) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.answers("switchover", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"switchover", "--no-wait"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(monitor.looks(), 1);
}

TEST(Failover, IsDoneWhenThisNodeServes) {
  FakeMonitor monitor;
  const Json silent{{"heartbeat", "Down"}, {"sub_state", "peer-silent-manual"}};
  Json serving = silent;
  serving.merge_patch({{"state", "FAILOVER_ACTIVE"}, {"sub_state", "alone"}, {"serving", true}});
  monitor.story(secondary_status(silent), {secondary_status(serving)});
  monitor.answers("failover", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"failover", "--force", "--json", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0);
  const auto said = parse_object(ran.out);
  ASSERT_TRUE(said) << ran.out;
  EXPECT_EQ(text_at(*said, "outcome"), "done");
  EXPECT_EQ(text_at(*said, "state"), "FAILOVER_ACTIVE");
  EXPECT_TRUE(flag_at(monitor.requests()[0], "force"));
}

TEST(Failback, OnThePrimaryIsDoneWhenItServesAgain) {
  FakeMonitor monitor;
  monitor.story(primary_status({{"state", "TERMINATED"},
                                {"sub_state", "peer-in-command"},
                                {"serving", false},
                                {"peer_state", "FAILOVER_ACTIVE"}}),
                {primary_status({{"state", "FAILBACK_ACTIVE"}, {"serving", false}}),
                 primary_status({{"state", "FAILBACK_COMPLETE"}, {"in_step", false}})});
  monitor.answers("failback", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"failback", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("mse1 serves 10.10.10.11; mse2 is catching up."));
}

// Not every monitor tells of every change, and the peer's own are seen only by looking.
TEST(Failback, LooksAgainByItself) {
  FakeMonitor monitor;
  monitor.answers("status", {secondary_status({{"state", "FAILOVER_ACTIVE"}, {"serving", true}}),
                             secondary_status({{"state", "FAILBACK_ACTIVE"}, {"serving", true}}),
                             secondary_status({{"state", "SECONDARY_ALONE"},
                                               {"sub_state", "synchronizing"},
                                               {"peer_state", "FAILBACK_COMPLETE"}})});
  monitor.answers("failback", {accepted()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"failback", "--timeout", "20s"}).code, 0);
  EXPECT_EQ(monitor.looks(), 3);
}

TEST(Failback, SurvivesAMonitorThatIsAwayForAMoment) {
  FakeMonitor monitor;
  monitor.answers("status", {secondary_status({{"state", "FAILOVER_ACTIVE"}, {"serving", true}}),
                             secondary_status({{"state", "FAILBACK_ACTIVE"}, {"serving", true}})});
  monitor.answers("failback", {accepted()});
  monitor.listen();
  std::thread away([&] {
    monitor.wait_for_looks(3);
    monitor.stop();
    monitor.answers("status", {secondary_status({{"state", "SECONDARY_ALONE"},
                                                 {"sub_state", "synchronizing"},
                                                 {"peer_state", "FAILBACK_COMPLETE"}})});
    monitor.listen();
  });
  const Ran ran = run_cli(monitor.root(), {"failback", "--timeout", "30s"});
  away.join();
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
}

TEST(Maintenance, WaitsUntilEveryInstanceFollows) {
  FakeMonitor monitor;
  monitor.story(primary_status(), {primary_status(), primary_status({{"maintenance", true}})});
  monitor.answers("maintenance", {Json{{"ok", true}, {"maintenance", true}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"maintenance", "on", "--for", "30min"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(monitor.requests()[0],
            (Json{{"verb", "maintenance"}, {"on", true}, {"seconds", 1800}}));
}

}  // namespace
}  // namespace cb::cli::test
