// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/suggest.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Node good(const std::string& name) {
  const auto parsed = parse_node(contents(fixtures() / "good" / name), name, machine());
  for (const Problem& problem : parsed.problems) {
    ADD_FAILURE() << problem.text();
  }
  return parsed.value;
}

TEST(GoodFile, MinimalTakesTheRestFromTheMachineAndTheDefaults) {
  const Node node = good("minimal.toml");
  EXPECT_EQ(node.name, "mse1");
  EXPECT_EQ(node.role, core::Role::Primary);
  EXPECT_EQ(node.hm_address, address("10.10.10.12"));
  EXPECT_EQ(node.gateway, address("10.10.10.1"));
  EXPECT_EQ(node.port, 7388);
  EXPECT_THAT(node.virtual_addresses, ElementsAre(prefix("10.10.10.11/24")));
  EXPECT_EQ(node.address_label, "eth0:1");
  EXPECT_EQ(node.heartbeat.profile, Profile::Normal);
  const ProfileNumbers& normal = numbers_of(Profile::Normal);
  EXPECT_EQ(node.heartbeat.direct,
            (LinkHeartbeat{normal.interval, normal.answer_within, normal.probes_lost}));
  EXPECT_FALSE(node.automatic_failover);
  EXPECT_FALSE(node.automatic_failback);
  EXPECT_EQ(node.failover_wait, 10_s);
  EXPECT_THAT(node.arbitration, ElementsAre("gateway"));
  EXPECT_EQ(node.product.udi_product, "CROSSBEAT");
  EXPECT_EQ(node.product.udi_version, "V01");
  EXPECT_EQ(node.product.udi_serial, "mse1_666f2046-5699-11e1-b1b1-0050568901d9");
  EXPECT_EQ(node.instance_number, 3);
  EXPECT_EQ(node.instance_prefix, "mse");
}

TEST(GoodFile, SecondaryNeedsNoVirtualAddress) {
  const Node node = good("secondary.toml");
  EXPECT_EQ(node.role, core::Role::Secondary);
  EXPECT_THAT(node.virtual_addresses, IsEmpty());
}

TEST(GoodFile, FullIsTakenOverWordForWord) {
  const Node node = good("full.toml");
  Node expected;
  expected.name = "alpha";
  expected.role = core::Role::Primary;
  expected.network_interface = "eth0";
  expected.hm_address = address("10.10.10.12");
  expected.gateway = address("10.10.10.254");
  expected.port = 7400;
  expected.direct_interface = "eth1";
  expected.xdp_mode = Node::XdpMode::Generic;
  expected.virtual_addresses = {prefix("10.10.10.11/24"), prefix("fd00::11/64")};
  expected.address_label = "eth0:ha";
  expected.heartbeat = {.profile = Profile::Custom,
                        .direct = {1_ms, 800_us, 6},
                        .network = {15_ms, 800_us, 6},
                        .burst_interval = 2_ms,
                        .monitor_grace = 750_ms};
  expected.automatic_failover = true;
  expected.automatic_failback = true;
  expected.failover_wait = 7_s;
  expected.hold_down = 120_s;
  expected.wait_for_peer = 30_s;
  expected.automatic_moves_max = 5;
  expected.automatic_moves_window = 3600_s;
  expected.address_last = true;
  expected.arbitration = {"gateway", "witness", "fence"};
  expected.witness_address = *parse_address("10.10.20.5");
  expected.witness_port = 7400;
  expected.witness_deadline = 8_s;
  expected.accept_no_arbitration_risk = true;
  expected.arbitration_deadline = 80_ms;
  expected.defend_wait = 1_ms;
  expected.fence_command = {"/usr/local/sbin/power", "off", "--node=peer"};
  expected.fence_deadline = 12_s;
  expected.announce_schedule = {0_s, 50_ms, 1_s};
  expected.announce_refresh = 30_s;
  Service database;
  database.name = "database";
  database.version = "15.6";
  database.kind = Service::Kind::Unit;
  database.unit = "postgresql.service";
  database.start_within = 90_s;
  database.stop_within = 120_s;
  database.restarts = 0;
  database.health = {HealthProbe::Kind::Tcp, "127.0.0.1:5432", 500_ms, 3, 4};
  Service application;
  application.name = "application";
  application.kind = Service::Kind::Command;
  application.start = {"/opt/app/bin/app", "start"};
  application.stop = {"/opt/app/bin/app", "stop"};
  application.start_within = kServiceStartWithin;
  application.stop_within = kServiceStopWithin;
  application.enabled = false;
  application.restarts = kServiceRestarts;
  application.health = {HealthProbe::Kind::Http, "http://127.0.0.1:8083/health", kHealthInterval,
                        kHealthRise, kHealthFall};
  expected.services = {database, application};
  expected.hooks = {
      {"pager", {"/usr/local/bin/page", "--who=night"}, {"FAILOVER_ACTIVE", "TERMINATED"}, 5_s}};
  expected.product = {"Wireless Services",
                      "8.0.110.0",
                      "VA-Standard",
                      "AIR-MSE-VA-K9",
                      "V01",
                      "KQ37xx",
                      "WSE",
                      "enabled",
                      8443,
                      7,
                      9,
                      45,
                      1,
                      {"/opt/app/bin/info", "--all"}};
  expected.licence = {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", true};
  expected.planned_restart_grant = 8_s;
  expected.log_level = "debug";
  expected.instance_number = 4;
  expected.instance_prefix = "app";
  expected.volume = Volume{.mode = Volume::Mode::FastSync,
                           .bytes = 100ull << 30,
                           .log_bytes = 2ull << 30,
                           .mount_point = "/srv/data",
                           .file_system = "xfs",
                           .mount_options = "noatime,nodiratime",
                           .port = 7500};
  expected.volume_directory = "/srv/volumes";
  expected.volume_log_device = "/dev/nvme0n1p3";
  expected.volume_home_device = "/dev/disk/by-id/wwn-0x5000c500";
  expected.volume_stuck_after = 300_s;
  expected.volume_front_end = "ublk";
  expected.volume_write_cache = true;
  expected.volume_cpu_latency = "20us";
  EXPECT_EQ(node, expected);
}

Node with_heartbeat(const std::string& lines) {
  const auto parsed = parse_node(
      contents(fixtures() / "good/minimal.toml") + "[heartbeat]\n" + lines, "x", machine());
  for (const Problem& problem : parsed.problems) {
    ADD_FAILURE() << problem.text();
  }
  return parsed.value;
}

TEST(Profile, NamesGiveTheNumbersOfTheTable) {
  for (const ProfileNumbers& numbers : kProfiles) {
    const Node node = with_heartbeat("profile = \"" + std::string(numbers.name) + "\"");
    EXPECT_EQ(node.heartbeat.profile, numbers.profile);
    EXPECT_EQ(node.heartbeat.direct,
              (LinkHeartbeat{numbers.interval, numbers.answer_within, numbers.probes_lost}));
    EXPECT_EQ(node.heartbeat.network.interval, numbers.network_interval);
    EXPECT_EQ(node.heartbeat.burst_interval, numbers.burst_interval);
  }
}

TEST(Profile, WithAnExactValueIsCustom) {
  const Node node = with_heartbeat("profile = \"fast\"\nprobes_lost = 6");
  EXPECT_EQ(node.heartbeat.profile, Profile::Custom);
  const ProfileNumbers& fast = numbers_of(Profile::Fast);
  EXPECT_EQ(node.heartbeat.direct, (LinkHeartbeat{fast.interval, fast.answer_within, 6}));
  EXPECT_EQ(node.heartbeat.burst_interval, fast.burst_interval);
}

TEST(Profile, CustomIntervalIsAlsoTheDeadlineOfAnAnswerWhenNothingElseIsSaid) {
  const Node node = with_heartbeat("profile = \"custom\"\ninterval = \"50ms\"\nprobes_lost = 3");
  EXPECT_EQ(node.heartbeat.direct, (LinkHeartbeat{50_ms, 50_ms, 3}));
  EXPECT_EQ(node.heartbeat.network, (LinkHeartbeat{50_ms, 50_ms, 3}));
  EXPECT_EQ(node.heartbeat.burst_interval, 12500_us);
}

TEST(Profile, NoticesSilenceOnBothLinksTogether) {
  // The burst on the network link begins with the first overdue probe of the direct one.
  for (const ProfileNumbers& numbers : kProfiles) {
    const LinkHeartbeat direct{numbers.interval, numbers.answer_within, numbers.probes_lost};
    EXPECT_LE(detection_beside(direct, direct, numbers.burst_interval),
              detection_least(direct, numbers.burst_interval) + numbers.burst_interval)
        << numbers.name;
  }
}

class ShownNode : public testing::TestWithParam<const char*> {};

TEST_P(ShownNode, IsReadBackAsItWas) {
  const Node node = good(GetParam());
  const std::string shown = node_to_toml(node);
  const auto again = parse_node(shown, "shown.toml", machine());
  for (const Problem& problem : again.problems) {
    ADD_FAILURE() << problem.text() << "\n" << shown;
  }
  EXPECT_EQ(again.value, node) << shown;
}

INSTANTIATE_TEST_SUITE_P(All, ShownNode,
                         testing::Values("minimal.toml", "secondary.toml", "full.toml"),
                         [](const auto& file) {
                           const std::string name = file.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(DurationText, AcceptsANumberAndItsUnit) {
  EXPECT_EQ(parse_duration("250us"), 250_us);
  EXPECT_EQ(parse_duration("250\xc2\xb5s"), 250_us);
  EXPECT_EQ(parse_duration("2ms"), 2_ms);
  EXPECT_EQ(parse_duration("2 ms"), 2_ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500_ms);
  EXPECT_EQ(parse_duration("15min"), 900_s);
  EXPECT_EQ(parse_duration("1h"), 3600_s);
  EXPECT_EQ(parse_duration("0s"), 0_s);
  EXPECT_EQ(parse_duration("999999999h"), std::nullopt);  // more than 63 bits of nanoseconds
}

TEST(DurationText, RefusesEverythingElse) {
  for (const char* text : {"",    "0",   "250",  "ms",          "-1ms",  "+1ms",          "1,5s",
                           "1.s", ".5s", "1  s", "1e3s",        "0x1s",  "1s ",           " 1s",
                           "1S",  "1m",  "1d",   "1234567890s", "0.1ns", "0.0000000001s", "inf s",
                           "1s1s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(DurationText, IsReadBackExactly) {
  Prng prng(1);
  for (int i = 0; i < 20'000; ++i) {
    const Duration longest = Duration::from_ns(prng.between(0, 900'000'000'000'000'000));
    const Duration drawn = prng.chance(1, 2) ? longest : longest % 1_s;
    EXPECT_EQ(parse_duration(duration_text(drawn)), drawn) << duration_text(drawn);
  }
  EXPECT_EQ(duration_text(250_us), "250us");
  EXPECT_EQ(duration_text(900_s), "15min");
  EXPECT_EQ(duration_text(1500_ms), "1500ms");
  EXPECT_EQ(duration_text(12345678901_ns), "12.345678901s");
}

TEST(Suggestion, IsTheNearestWordOrNothing) {
  const std::vector<std::string> words = {"interval", "answer_within", "probes_lost"};
  EXPECT_EQ(suggestion("intervall", words), "; did you mean 'interval'?");
  EXPECT_EQ(suggestion("proebs_lost", words), "; did you mean 'probes_lost'?");
  EXPECT_EQ(suggestion("something", words), "");
  EXPECT_EQ(suggestion("", words), "");
}

TEST(Suggestion, DistanceCountsLettersAndSwaps) {
  EXPECT_EQ(distance("", "abc"), 3u);
  EXPECT_EQ(distance("abc", "abc"), 0u);
  EXPECT_EQ(distance("abc", "acb"), 1u);
  EXPECT_EQ(distance("kitten", "sitting"), 3u);
  EXPECT_EQ(distance(std::string(500, 'a'), std::string(500, 'b')), 64u);
}

TEST(Machine, ThisOneHasALoopbackInterface) {
  const auto facts = read_machine_facts();
  ASSERT_TRUE(facts) << to_text(facts.error());
  EXPECT_FALSE(facts->host_name.empty());
  bool found = false;
  for (const auto& interface : facts->interfaces) {
    EXPECT_EQ(interface.addresses.size(), interface.labels.size());
    found = found || interface.name == "lo";
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace cb::config::test
