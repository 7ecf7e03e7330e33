// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Json both_serve() {
  return secondary_status({{"state", "FAILOVER_ACTIVE"},
                           {"serving", true},
                           {"heartbeat", "Up"},
                           {"peer_state", "PRIMARY_ACTIVE"}});
}

TEST(ResolveConflict, TakesTheSecondaryDownAndWaitsUntilItStandsBehind) {
  FakeMonitor monitor;
  Json after = secondary_status();
  after["node"]["session"] = 18;
  Json not_yet = both_serve();
  not_yet["node"]["session"] = 18;
  monitor.answers("status", {both_serve(), both_serve(), not_yet, not_yet, after});
  monitor.answers("stop", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"resolve-conflict", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("does not serve any more and stands behind its primary"));
  EXPECT_THAT(monitor.requests(), SizeIs(1));
}

TEST(ResolveConflict, TheNewerTermGoesOnAndTheWayBackIsNamed) {
  FakeMonitor monitor;
  Json after = secondary_status({{"state", "FAILOVER_ACTIVE"},
                                 {"serving", true},
                                 {"heartbeat", "Up"},
                                 {"peer_state", "TERMINATED"}});
  after["node"]["session"] = 18;
  Json asks = secondary_status({{"state", "TERMINATED"}, {"heartbeat", "Up"}});  // who goes on?
  asks["node"]["session"] = 18;
  monitor.answers("status", {both_serve(), both_serve(), asks, asks, after});
  monitor.answers("stop", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"resolve-conflict", "--timeout", "20s"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("had served in the newer term"));
  EXPECT_THAT(ran.out, HasSubstr("crossbeat failback"));
}

TEST(ResolveConflict, SaysWhenNothingWasSettledInTime) {
  FakeMonitor monitor;
  Json deaf =
      secondary_status({{"state", "TERMINATED"}, {"heartbeat", "Down"}, {"peer_state", nullptr}});
  deaf["node"]["session"] = 18;
  monitor.answers("status", {both_serve(), both_serve(), deaf});
  monitor.answers("stop", {accepted()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"resolve-conflict", "--timeout", "1s"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_THAT(ran.err, HasSubstr("crossbeat doctor, on both"));
}

TEST(ResolveConflict, ADryRunTouchesNothing) {
  FakeMonitor monitor;
  monitor.answers("status", {both_serve()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"resolve-conflict", "--dry-run"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("take down 10.10.10.11"));
  EXPECT_THAT(ran.out, HasSubstr("the one that served in the newer"));
  EXPECT_THAT(ran.out, HasSubstr("Nothing was done."));
  EXPECT_THAT(monitor.requests(), IsEmpty());
}

TEST(ResolveConflict, DoesNothingWithoutAConflict) {
  FakeMonitor standby;
  standby.answers("status", {secondary_status()});
  standby.listen();
  const Ran idle = run_cli(standby.root(), {"resolve-conflict"});
  EXPECT_EQ(idle.code, 0);
  EXPECT_THAT(idle.out, HasSubstr("There is no conflict"));
  EXPECT_THAT(standby.requests(), IsEmpty());

  FakeMonitor alone;
  alone.answers("status", {secondary_status({{"state", "FAILOVER_ACTIVE"},
                                             {"serving", true},
                                             {"heartbeat", "Down"},
                                             {"peer_state", nullptr}})});
  alone.listen();
  const Ran serving = run_cli(alone.root(), {"resolve-conflict"});
  EXPECT_EQ(serving.code, 4);
  EXPECT_THAT(serving.err, HasSubstr("--force"));
  EXPECT_THAT(alone.requests(), IsEmpty());
}

TEST(ResolveConflict, IsForTheSecondary) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"resolve-conflict", "--force"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("on the secondary"));
  EXPECT_THAT(monitor.requests(), IsEmpty());
}

TEST(Recover, IsRefusedWhileTheMonitorRunsOrAPairingIsThere) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  const Ran running = run_cli(monitor.root(), {"recover", "--from", "10.10.10.13"});
  EXPECT_EQ(running.code, 4);
  EXPECT_THAT(running.err, HasSubstr("systemctl stop crossbeat"));
  FakeMonitor none;
  EXPECT_EQ(run_cli(none.root(), {"recover", "--from", "mse2"}).code, 2);
  EXPECT_EQ(run_cli(none.root(), {"recover", "--from", "10.10.10.13", "--code", "K7QM"}).code, 2);
}

TEST(Pair, ShowsEveryRuleThatWasLookedAt) {
  FakeMonitor monitor;
  Json refused = refusal(4);
  refused["rules"] =
      Json::array({{{"rule", "version"}, {"holds", true}, {"text", "both have 1"}},
                   {{"rule", "platform"}, {"holds", false}, {"text", "the matrix allows 3365"}}});
  monitor.answers("pair", {refused});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"pair", "10.10.10.13", "--dry-run"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.out, HasSubstr("  ok  version: both have 1\n"));
  EXPECT_THAT(ran.out, HasSubstr("  NO  platform: the matrix allows 3365\n"));
}

TEST(Unpair, AsksForTheLicenceToBeDeletedToo) {
  FakeMonitor monitor;
  monitor.answers("unpair", {Json{{"ok", true}, {"peer_told", true}}});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"unpair", "--delete-licence"}).code, 0);
  ASSERT_THAT(monitor.requests(), SizeIs(1));
  EXPECT_TRUE(monitor.requests()[0]["delete_licence"].get<bool>());
}

}  // namespace
}  // namespace cb::cli::test
