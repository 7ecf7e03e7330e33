// SPDX-License-Identifier: Apache-2.0
//
// gethainfo to the letter. These texts are the interface; they are written by hand.
#include <gtest/gtest.h>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

constexpr const char* kPrimary =
    R"(Health Monitor is running. Retrieving HA related information

-----
Base high availability configuration for this server
-----

Server role: Primary
Health Monitor IP Address: 10.10.10.12
Virtual IP Address: 10.10.10.11
Version: 7.2.103.0
UDI: AIR-MSE-VA-K9:V01:mse1
Number of paired peers: 1

-----
Peer configuration#: 1
-----

Health Monitor IP Address 10.10.10.13
Virtual IP Address: 10.10.10.11
Version: 7.2.103.0
UDI: AIR-MSE-VA-K9:V01:mse2_666f2046-5699-11e1-b1b1-0050568901d9
Failover type: Manual
Failback type: Manual
Failover wait time (seconds): 10
Instance database name: mseos3s
Instance database port: 1624
Dataguard configuration name: dg_mse3
Primary database alias: mseop3s
Direct connect used: No
Heartbeat status: Up
Current state: PRIMARY_ACTIVE
)";

constexpr const char* kSecondaryOfTwo =
    R"(Health Monitor is running. Retrieving HA related information

-----
Base high availability configuration for this server
-----

Server role: Secondary
Health Monitor IP Address: 10.10.10.16
Virtual IP Address: Not Applicable for a secondary
Version: 7.2.103.0
UDI: AIR-MSE-3355-K9:V01:KQ37xx
Number of paired peers: 2

-----
Peer configuration#: 1
-----

Health Monitor IP Address 10.10.10.17
Virtual IP Address: 10.10.10.18
Version: 7.2.103.0
UDI: AIR-MSE-3310-K9:V01:FTX140xx
Failover type: Manual
Failback type: Manual
Failover wait time (seconds): 10
Instance database name: mseos3
Instance database port: 1524
Dataguard configuration name: dg_mse3
Primary database alias: mseop3s
Direct connect used: No
Heartbeat status: Up
Current state: SECONDARY_ACTIVE

-----
Peer configuration#: 2
-----

Health Monitor IP Address 10.10.10.22
Virtual IP Address: 10.10.10.21
Version: 7.2.103.0
UDI: AIR-MSE-3350-K9:V01:MXQ839xx
Failover type: Automatic
Failback type: Manual
Failover wait time (seconds): 10
Instance database name: mseos4
Instance database port: 1525
Dataguard configuration name: dg_mse4
Primary database alias: mseop4s
Direct connect used: No
Heartbeat status: Down
Current state: FAILOVER_ACTIVE
)";

constexpr const char* kNotRunning =
    R"(Health Monitor is not running. Following information is from the last saved configuration

-----
Base high availability configuration for this server
-----

Server role: Primary
Health Monitor IP Address: 10.10.10.15
Virtual IP Address: 10.10.10.14
Version: 7.2.103.0
UDI: AIR-MSE-VA-K9:V01:mse1
Number of paired peers: 1

-----
Peer configuration#: 1
-----

Health Monitor IP Address 10.10.10.16
Virtual IP Address: 10.10.10.14
Version: 7.2.103.0
UDI: AIR-MSE-VA-K9:V01:mse2_666f2046-5699-11e1-b1b1-0050568901d9
Failover type: Automatic
Failback type: Manual
Failover wait time (seconds): 10
Instance database name: mseos3s
Instance database port: 1624
Dataguard configuration name: dg_mse3
Primary database alias: mseop3s
Direct connect used: Yes
Last shutdown state: FAILOVER_ACTIVE
)";

Json secondary_of_two() {
  Json status = secondary_status(
      {{"pairing", "10.10.10.17"},
       {"peer", {{"hm_address", "10.10.10.17"}, {"udi", "AIR-MSE-3310-K9:V01:FTX140xx"}}},
       {"virtual_addresses", {"10.10.10.18/24"}}});
  Json second = secondary_status(
      {{"pairing", "10.10.10.22"},
       {"peer", {{"hm_address", "10.10.10.22"}, {"udi", "AIR-MSE-3350-K9:V01:MXQ839xx"}}},
       {"virtual_addresses", {"10.10.10.21/24"}},
       {"failover_type", "Automatic"},
       {"instance_number", 4},
       {"heartbeat", "Down"},
       {"state", "FAILOVER_ACTIVE"}})["pairings"][0];
  status["pairings"].push_back(second);
  status["node"]["hm_address"] = "10.10.10.16";
  status["node"]["udi"] = "AIR-MSE-3355-K9:V01:KQ37xx";
  return status;
}

TEST(Gethainfo, OfAPrimaryIsExact) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"gethainfo"});
  EXPECT_EQ(ran.out, kPrimary);
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(ran.code, 0);
}

TEST(Gethainfo, OfASecondaryWithTwoPrimariesIsExact) {
  FakeMonitor monitor;
  monitor.answers("status", {secondary_of_two()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"gethainfo"}).out, kSecondaryOfTwo);
}

TEST(Gethainfo, IsAlsoACommandOfItsOwn) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status()});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {}, "", "/usr/bin/gethainfo").out, kPrimary);
}

TEST(Gethainfo, WithoutAMonitorTellsWhatWasSavedLast) {
  FakeMonitor monitor;
  Json saved = primary_status({{"peer", {{"hm_address", "10.10.10.16"}}},
                               {"virtual_addresses", {"10.10.10.14/24"}},
                               {"failover_type", "Automatic"},
                               {"direct_used", true},
                               {"state", "FAILOVER_ACTIVE"}});
  saved["node"]["hm_address"] = "10.10.10.15";
  saved["saved_at_wall"] = "2026-01-31T17:02:03.123Z";
  monitor.write("var/lib/crossbeat/last_status.json", saved.dump());
  const Ran ran = run_cli(monitor.root(), {"gethainfo"});
  EXPECT_EQ(ran.out, kNotRunning);
  EXPECT_EQ(ran.code, 3);
}

TEST(Gethainfo, OfAnUnpairedPrimaryHasNoPeerBlock) {
  FakeMonitor monitor;
  Json status = primary_status();
  status["unpaired"] = status["pairings"][0];
  status["unpaired"].erase("peer");
  status["pairings"] = Json::array();
  monitor.answers("status", {status});
  monitor.listen();
  const std::string out = run_cli(monitor.root(), {"gethainfo"}).out;
  EXPECT_TRUE(
      out.ends_with("Virtual IP Address: 10.10.10.11\nVersion: 7.2.103.0\n"
                    "UDI: AIR-MSE-VA-K9:V01:mse1\nNumber of paired peers: 0\n"))
      << out;
}

TEST(Gethainfo, TakesTheInstancePrefixOfTheProduct) {
  FakeMonitor monitor;
  Json status = primary_status();
  status["node"]["instance_prefix"] = "app";
  monitor.answers("status", {status});
  monitor.listen();
  const std::string out = run_cli(monitor.root(), {"gethainfo"}).out;
  EXPECT_NE(out.find("Instance database name: appos3s\nInstance database port: 1624\n"
                     "Dataguard configuration name: dg_app3\nPrimary database alias: appop3s\n"),
            std::string::npos)
      << out;
}

TEST(Gethainfo, WithoutAnythingAtAllSaysSo) {
  FakeMonitor monitor;
  const Ran ran = run_cli(monitor.root(), {"gethainfo"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("the health monitor is not running"), std::string::npos) << ran.err;
}

// A peer's name or UDI comes from another machine: it cannot add lines of its own.
TEST(Gethainfo, PrintsNoControlCharacters) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status({{"peer", {{"udi", "x\nCurrent state: \033[31mY"}}}})});
  monitor.listen();
  const std::string out = run_cli(monitor.root(), {"gethainfo"}).out;
  EXPECT_NE(out.find("UDI: x?Current state: ?[31mY\n"), std::string::npos) << out;
}

}  // namespace
}  // namespace cb::cli::test
