// SPDX-License-Identifier: Apache-2.0
//
// gethainfo and getserverinfo in every worked situation that other people's scripts were written
// against. The texts in golden/gethainfo and golden/getserverinfo come from the
// specification of the fields, never from the program.
#include <gtest/gtest.h>
#include <utmp.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>

#include "cli/getserverinfo.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

std::string golden(const std::string& name) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  const std::string path =
      std::string(source == nullptr ? "." : source) + "/tests/cli/golden/" + name;
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Machine {
  const char* hm;
  const char* udi;
};

constexpr Machine kVa1{"10.10.10.12", "AIR-MSE-VA-K9:V01:mse1"};
constexpr Machine kVa2{"10.10.10.13",
                       "AIR-MSE-VA-K9:V01:mse2_666f2046-5699-11e1-b1b1-0050568901d9"};
constexpr Machine kDirect1{"10.10.10.15", "AIR-MSE-3355-K9:V01:KQ37xx"};
constexpr Machine kDirect2{"10.10.10.16", "AIR-MSE-3355-K9:V01:KQ38xx"};
constexpr Machine kFirst{"10.10.10.17", "AIR-MSE-3310-K9:V01:FTX140xx"};
constexpr Machine kSecond{"10.10.10.22", "AIR-MSE-3350-K9:V01:MXQ839xx"};
constexpr Machine kTheirs{"10.10.10.16", "AIR-MSE-3355-K9:V01:KQ37xx"};
constexpr Machine kNico1{"10.48.39.238",
                         "AIR-MSE-VA-K9:V01:NicoMSE_b950a7c0-a68b-11e4-99d9-005056993b63"};
constexpr Machine kNico2{"10.48.39.240",
                         "AIR-MSE-VA-K9:V01:NicoMSE2_666f2046-5699-11e1-b1b1-0050568901d9"};

Json seen_on(bool primary, const Machine& self, const Machine& peer, const char* address,
             const Json& patch = Json::object()) {
  Json all{{"pairing", primary ? self.hm : peer.hm},
           {"peer", {{"hm_address", peer.hm}, {"udi", peer.udi}}},
           {"virtual_addresses", {std::string(address) + "/24"}}};
  all.update(patch);
  Json status = primary ? primary_status(all) : secondary_status(all);
  status["node"]["hm_address"] = self.hm;
  status["node"]["udi"] = self.udi;
  return status;
}

std::string gethainfo_of(const Json& status) {
  FakeMonitor monitor;
  monitor.answers("status", {status});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {}, "", "/usr/bin/gethainfo");
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.out;
}

TEST(ReferenceSamples, APairOverTheNetwork) {
  EXPECT_EQ(gethainfo_of(seen_on(true, kVa1, kVa2, "10.10.10.11")),
            golden("gethainfo/network_primary.txt"));
  EXPECT_EQ(gethainfo_of(seen_on(false, kVa2, kVa1, "10.10.10.11")),
            golden("gethainfo/network_secondary.txt"));
}

TEST(ReferenceSamples, APairWithADirectCable) {
  const Json patch{{"direct_used", true}, {"failover_type", "Automatic"}};
  EXPECT_EQ(gethainfo_of(seen_on(true, kDirect1, kDirect2, "10.10.10.14", patch)),
            golden("gethainfo/direct_primary.txt"));
  EXPECT_EQ(gethainfo_of(seen_on(false, kDirect2, kDirect1, "10.10.10.14", patch)),
            golden("gethainfo/direct_secondary.txt"));
}

TEST(ReferenceSamples, TwoPrimariesWithOneSecondary) {
  const Json fourth{{"instance_number", 4}};
  EXPECT_EQ(gethainfo_of(seen_on(true, kFirst, kTheirs, "10.10.10.18")),
            golden("gethainfo/two_to_one_first_primary.txt"));
  EXPECT_EQ(gethainfo_of(seen_on(true, kSecond, kTheirs, "10.10.10.21", fourth)),
            golden("gethainfo/two_to_one_second_primary.txt"));
  Json both = seen_on(false, kTheirs, kFirst, "10.10.10.18");
  both["pairings"].push_back(
      seen_on(false, kTheirs, kSecond, "10.10.10.21", fourth)["pairings"][0]);
  EXPECT_EQ(gethainfo_of(both), golden("gethainfo/two_to_one_secondary.txt"));
}

TEST(ReferenceSamples, AMonitorThatDoesNotRun) {
  FakeMonitor monitor;
  Json saved = seen_on(true, kNico1, kNico2, "10.48.39.224", {{"state", "FAILOVER_ACTIVE"}});
  saved["node"]["version"] = saved["pairings"][0]["peer"]["version"] = "8.0.110.0";
  saved["saved_at_wall"] = "2015-03-08T13:01:02.000Z";
  monitor.write("var/lib/crossbeat/last_status.json", saved.dump());
  const Ran ran = run_cli(monitor.root(), {"gethainfo"});
  EXPECT_EQ(ran.out, golden("gethainfo/not_running.txt"));
  EXPECT_EQ(ran.code, 3);
}

// The walk of a manual switchover and failback: what each node prints at each step.
struct Shown {
  bool primary;
  const char* state;
  const char* heartbeat;  // nullptr: the monitor does not run
};

class Walk : public testing::TestWithParam<Shown> {};

TEST_P(Walk, PrintsTheStateAndTheHeartbeat) {
  const Shown& shown = GetParam();
  const Json status = seen_on(
      shown.primary, shown.primary ? kVa1 : kVa2, shown.primary ? kVa2 : kVa1, "10.10.10.11",
      {{"state", shown.state},
       {"heartbeat", shown.heartbeat == nullptr ? "Down" : shown.heartbeat}});
  std::string wanted =
      golden(shown.primary ? "gethainfo/network_primary.txt" : "gethainfo/network_secondary.txt");
  wanted.resize(wanted.find("Heartbeat status"));
  if (shown.heartbeat != nullptr) {
    wanted += std::string("Heartbeat status: ") + shown.heartbeat +
              "\nCurrent state: " + shown.state + "\n";
    EXPECT_EQ(gethainfo_of(status), wanted);
    return;
  }
  const std::string running = "Health Monitor is running. Retrieving HA related information";
  ASSERT_TRUE(wanted.starts_with(running));
  wanted.replace(0, running.size(),
                 "Health Monitor is not running. Following information is from the last saved "
                 "configuration");
  wanted += std::string("Last shutdown state: ") + shown.state + "\n";
  FakeMonitor monitor;
  monitor.write("var/lib/crossbeat/last_status.json", status.dump());
  EXPECT_EQ(run_cli(monitor.root(), {"gethainfo"}).out, wanted);
}

INSTANTIATE_TEST_SUITE_P(
    Steps, Walk,
    testing::Values(Shown{true, "PRIMARY_ACTIVE", "Up"}, Shown{false, "SECONDARY_ACTIVE", "Up"},
                    Shown{true, "FAILOVER_INVOKED", "Down"},
                    Shown{false, "FAILOVER_INVOKED", "Down"},
                    Shown{true, "FAILOVER_ACTIVE", nullptr},
                    Shown{false, "FAILOVER_ACTIVE", "Down"}, Shown{true, "TERMINATED", "Down"},
                    Shown{true, "FAILBACK_ACTIVE", "Down"}, Shown{false, "FAILBACK_ACTIVE", "Down"},
                    Shown{true, "FAILBACK_COMPLETE", "Up"}, Shown{false, "SECONDARY_ALONE", "Up"},
                    Shown{false, "GRACEFUL_SHUTDOWN", "Down"}));

// --- getserverinfo ---

class InBrussels : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "Europe/Brussels", 1);
    tzset();
  }
  void TearDown() override {
    unsetenv("TZ");
    tzset();
  }

  static constexpr std::int64_t kNow = 1'425'819'870;      // 14:04:30 CET
  static constexpr std::int64_t kStarted = 1'425'814'832;  // 12:40:32 CET

  static Json service(const char* name, bool enabled, const char* state, int restarts = 0) {
    return {{"name", name},
            {"state", state},
            {"admin", enabled ? "Enabled" : "Disabled"},
            {"restarts", restarts}};
  }

  static config::Service configured(const char* name, const char* version, bool enabled) {
    config::Service service;
    service.name = name;
    service.version = version;
    service.enabled = enabled;
    return service;
  }

  static ServerFacts facts() {
    ServerFacts facts;
    facts.now_s = kNow;
    facts.timezone = "Europe/Brussels";
    facts.used_mb = 197;
    facts.allocated_mb = 989;
    facts.max_mb = 989;
    facts.disk_mb = 17191;
    facts.sessions = {{5672, 1, "10.48.39.238", 1'425'815'094, 1'425'819'826}};
    facts.traps = {{"10.48.39.225", 1'425'814'452}};
    facts.product.name = "Cisco Mobility Service Engine";
    facts.services = {configured("Context Aware Service", "8.0.1.79", true),
                      configured("WIPS", "3.0.8155.0", true),
                      configured("Mobile Concierge Service", "5.0.1.23", false),
                      configured("CMX Analytics", "3.0.1.68", false),
                      configured("CMX Connect & Engage", "1.0.0.29", false),
                      configured("HTTP Proxy Service", "1.0.0.1", false)};
    return facts;
  }

  static StatusView status(bool primary, const Machine& self, const Machine& peer,
                           const char* state, const char* version) {
    Json json = seen_on(primary, self, peer, "10.48.39.224",
                        {{"services",
                          {service("Context Aware Service", true, state, primary ? 1 : 0),
                           service("WIPS", true, state)}}});
    json["node"]["version"] = version;
    json["node"]["uptime_s"] = kNow - kStarted;
    return view_of(json);
  }
};

TEST_F(InBrussels, GetserverinfoOfAPrimaryIsExact) {
  EXPECT_EQ(getserverinfo_text(status(true, kNico1, kNico2, "running", "8.0.110.0"), facts()),
            golden("getserverinfo/primary.txt"));
}

TEST_F(InBrussels, GetserverinfoOfADormantSecondaryIsExact) {
  EXPECT_EQ(getserverinfo_text(status(false, kNico2, kNico1, "dormant", "8.0.110.0"), facts()),
            golden("getserverinfo/secondary.txt"));
}

TEST_F(InBrussels, GetserverinfoEndsWithTheProductsOwnLines) {
  ServerFacts mine = facts();
  mine.services = {configured("Context Aware Service", "7.2.1.56", true),
                   configured("WIPS", "1.0.5080.0", false)};
  std::string tail = golden("getserverinfo/product_tail.txt");
  tail.pop_back();
  mine.tail = tail;
  Json json = seen_on(true, kVa1, kVa2, "10.10.10.11",
                      {{"services", {service("Context Aware Service", true, "running", 1)}}});
  json["node"]["uptime_s"] = kNow - kStarted;
  EXPECT_EQ(getserverinfo_text(view_of(json), mine),
            golden("getserverinfo/primary_with_its_own_end.txt"));
}

TEST_F(InBrussels, ASecondaryThatServesIsNotDormant) {
  Json json = seen_on(false, kNico2, kNico1, "10.48.39.224",
                      {{"state", "FAILOVER_ACTIVE"}, {"serving", true}});
  const std::string text = getserverinfo_text(view_of(json), facts());
  EXPECT_NE(text.find("MSE services are up, getting the status\n"), std::string::npos) << text;
  EXPECT_NE(text.find("High Availability Role: 2\n"), std::string::npos);
  EXPECT_NE(text.find("\nActive Sessions\n"), std::string::npos);
}

TEST_F(InBrussels, JsonHasAMemberForEachSection) {
  const Json json =
      getserverinfo_json(status(true, kNico1, kNico2, "running", "8.0.110.0"), facts());
  EXPECT_EQ(text_at(json["server_config"], "hw_product_identifier"), "AIR-MSE-VA-K9");
  EXPECT_TRUE(json["server_config"]["https"].is_null());
  ASSERT_EQ(json["services"].size(), 6u);
  EXPECT_EQ(text_at(json["services"][1], "service_name"), "WIPS");
  EXPECT_EQ(text_at(json["server_monitor"], "used_memory_mb"), "197");
  EXPECT_EQ(text_at(json["active_sessions"][0], "session_id"), "5672");
  EXPECT_EQ(text_at(json["default_trap_destinations"][0], "ip_address"), "10.48.39.225");
}

// The whole way: a running monitor, the configuration, the machine's own files.
class Getserverinfo : public testing::Test {
 protected:
  void write_configuration(const std::string& product) {
    monitor_.write("etc/crossbeat/crossbeat.toml",
                   "[node]\nrole = \"primary\"\n[network]\ninterface = \"lo\"\n"
                   "[[service]]\nname = \"database\"\nversion = \"15.6\"\nunit = \"db.service\"\n"
                   "[product]\nname = \"Wireless Services\"\nshort_name = \"WSE\"\n" +
                       product);
  }
  FakeMonitor monitor_;
};

TEST_F(Getserverinfo, TakesTheProductFromTheConfigurationAndTheRestFromTheMachine) {
  write_configuration("legacy_port = 8443\n");
  monitor_.write("etc/snmp/snmpd.conf", "# traps\ntrap2sink  10.1.1.5 public\nrocommunity x\n");
  monitor_.write("etc/timezone", "Europe/Brussels\n");
  utmp entry{};
  entry.ut_type = USER_PROCESS;
  entry.ut_pid = 4711;
  std::strcpy(entry.ut_user, "root");  // tidy-allow: strcpy of a literal into a field of 32 bytes
  entry.ut_addr_v6[0] = static_cast<int>(0x0a0a0a0a);
  monitor_.write("run/utmp", std::string(reinterpret_cast<const char*>(&entry), sizeof entry));
  monitor_.answers("status", {primary_status()});
  monitor_.listen();
  const Ran ran = run_cli(monitor_.root(), {}, "", "/usr/bin/getserverinfo");
  EXPECT_EQ(ran.code, 0) << ran.err;
  for (const char* line :
       {"Retrieving WSE Services status.\nWSE services are up, getting the status\n",
        "Product name: Wireless Services\n", "Legacy Port: 8443\n",
        "Service Name: database\nService Version: 15.6\nAdmin Status: Enabled\n",
        "Server timezone: Europe/Brussels\n", "Session ID: 4711\nSession User ID: 0\n",
        "Session IP Address: 10.10.10.10\n", "Trap Destination - 1\nIP Address: 10.1.1.5\n"}) {
    EXPECT_NE(ran.out.find(line), std::string::npos) << line << "\nis not in\n" << ran.out;
  }
  EXPECT_TRUE(std::regex_search(ran.out, std::regex("Max Memory \\(MB\\): [1-9][0-9]+\n")));
  EXPECT_TRUE(std::regex_search(ran.out, std::regex("DB disk size \\(MB\\): [1-9][0-9]*\n")));
}

TEST_F(Getserverinfo, RunsTheProductsOwnCommandOnlyWhileServicesAreUp) {
  const std::string program = monitor_.path("info").string();
  monitor_.write("info", "#!/bin/sh\necho 'Active Wired Clients: 0'\nprintf '\\033[31mred\\n'\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  write_configuration("info_command = [\"" + program + "\"]\n");
  monitor_.answers("status", {primary_status(), primary_status({{"serving", false}})});
  monitor_.listen();
  const Ran up = run_cli(monitor_.root(), {"getserverinfo"});
  EXPECT_TRUE(up.out.ends_with("\nActive Wired Clients: 0\n?[31mred\n")) << up.out;
  const Ran dormant = run_cli(monitor_.root(), {"getserverinfo"});
  EXPECT_EQ(dormant.out.find("Active Wired Clients"), std::string::npos) << dormant.out;
}

TEST_F(Getserverinfo, SaysWhenTheProductsOwnCommandFails) {
  write_configuration("info_command = [\"/bin/false\"]\n");
  monitor_.answers("status", {primary_status()});
  monitor_.listen();
  const Ran ran = run_cli(monitor_.root(), {"getserverinfo"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_NE(ran.err.find("info_command ended with 1"), std::string::npos) << ran.err;
}

TEST_F(Getserverinfo, WithoutAMonitorSaysJustThat) {
  const Ran ran = run_cli(monitor_.root(), {"getserverinfo"});
  EXPECT_EQ(ran.out, golden("getserverinfo/not_running.txt"));
  EXPECT_EQ(ran.code, 3);
}

}  // namespace
}  // namespace cb::cli::test
