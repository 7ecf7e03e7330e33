// SPDX-License-Identifier: Apache-2.0
//
// The status page of every situation that an operator may wake up to, as golden texts in golden/.
// CB_UPDATE_GOLDEN=1 writes them anew; the difference is what is reviewed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/status_text.h"
#include "cli/verdict.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

Json unpaired_primary() {
  Json status = primary_status(
      {{"sub_state", "alone"}, {"solo", true}, {"lease_ms", nullptr}, {"heartbeat", "Down"}});
  status["unpaired"] = status["pairings"][0];
  for (const char* key : {"peer", "links", "profile", "peer_state"}) {
    status["unpaired"].erase(key);
  }
  status["pairings"] = Json::array();
  return status;
}

Json two_primaries() {
  Json status = secondary_status();
  status["pairings"].push_back(
      secondary_status({{"pairing", "10.10.10.22"},
                        {"peer", {{"hm_address", "10.10.10.22"}, {"name", "mse9"}}},
                        {"virtual_addresses", {"10.10.10.21/24"}},
                        {"state", "FAILOVER_ACTIVE"},
                        {"sub_state", "alone"},
                        {"sub_state_text", "in command, no standby"},
                        {"serving", true},
                        {"solo", true},
                        {"guard", "open"},
                        {"heartbeat", "Down"},
                        {"reason", "peer-silent"},
                        {"reason_text", "the peer fell silent"},
                        {"peer_age_ms", 61'000.0}})["pairings"][0]);
  return status;
}

Json silent_link(const char* name, const char* interface) {
  return {{"link", name}, {"interface", interface}, {"state", "silent"}, {"age_ms", 42'000.0}};
}

Json silent(const Json& patch) {
  Json base{{"heartbeat", "Down"},
            {"peer_age_ms", 42'000.0},
            {"links", {silent_link("direct", "eth1"), silent_link("network", "eth0")}}};
  base.update(patch);
  return base;
}

Json with_silent_direct_link(Json status) {
  status["pairings"][0]["links"][0]["state"] = "silent";
  status["pairings"][0]["links"][0]["age_ms"] = 95'000.0;
  return status;
}

Json saved(Json status) {
  status["saved_at_wall"] = "2026-01-31T17:02:03.123Z";
  return status;
}

struct Situation {
  const char* name;
  Json status;
  Tone tone;  // of the first verdict
};

void PrintTo(const Situation& situation, std::ostream* out) { *out << situation.name; }

std::vector<Situation> situations() {
  const Json last{{"at_wall", "2026-01-31T17:02:03.123Z"},
                  {"detection_us", 1050.0},
                  {"arbitration_us", 80.0},
                  {"lease_wait_us", 0.0},
                  {"address_us", 120.0},
                  {"announce_us", 40.0},
                  {"total_us", 1290.0},
                  {"reason", "peer-silent"}};
  return {
      {"primary_protected", primary_status(), Tone::Good},
      {"primary_protected_automatic",
       primary_status({{"failover_type", "Automatic"}, {"automatic", true}}), Tone::Good},
      {"primary_synchronizing",
       primary_status(
           {{"sub_state", "synchronizing"}, {"in_step", false}, {"progress_permille", 664}}),
       Tone::Caution},
      {"primary_degraded_link",
       with_silent_direct_link(primary_status({{"sub_state", "degraded"}})), Tone::Caution},
      {"primary_alone_peer_dead",
       primary_status(silent({{"sub_state", "alone"},
                              {"solo", true},
                              {"reason", "peer-silent"},
                              {"reason_text", "the peer fell silent"}})),
       Tone::Caution},
      {"primary_alone_peer_stopped",
       primary_status(silent({{"sub_state", "peer-stopped"},
                              {"state", "PRIMARY_ACTIVE"},
                              {"reason", "peer-goodbye"},
                              {"solo", true}})),
       Tone::Caution},
      {"primary_guard_shut", primary_status(silent({{"guard", "lease over"}, {"lease_ms", -12.0}})),
       Tone::Alarm},
      {"primary_back_secondary_serves",
       primary_status({{"state", "TERMINATED"},
                       {"sub_state", "peer-in-command"},
                       {"serving", false},
                       {"guard", "closed"},
                       {"peer_state", "FAILOVER_ACTIVE"}}),
       Tone::Caution},
      {"primary_failback_running",
       primary_status({{"state", "FAILBACK_ACTIVE"},
                       {"sub_state", "synchronizing"},
                       {"sub_state_text", "data is on its way"},
                       {"serving", false},
                       {"progress_permille", 120},
                       {"peer_state", "FAILBACK_ACTIVE"}}),
       Tone::Caution},
      {"primary_waiting_for_peer",
       primary_status(silent({{"state", "TERMINATED"},
                              {"sub_state", "waiting-for-peer"},
                              {"serving", false},
                              {"peer_age_ms", nullptr},
                              {"peer_state", nullptr}})),
       Tone::Alarm},
      {"primary_maintenance",
       primary_status({{"maintenance", true}, {"failover_type", "Automatic"}}), Tone::Good},
      {"primary_unpaired", unpaired_primary(), Tone::Caution},
      {"secondary_ready", secondary_status(), Tone::Good},
      {"secondary_not_ready",
       secondary_status({{"sub_state", "not-ready"},
                         {"reason", "services-failed"},
                         {"reason_text", "the services do not run"}}),
       Tone::Caution},
      {"secondary_peer_silent_manual",
       secondary_status(silent({{"sub_state", "peer-silent-manual"}, {"since_ms", 42'000.0}})),
       Tone::Alarm},
      {"secondary_peer_silent_was_solo",
       secondary_status(silent(
           {{"sub_state", "peer-silent-manual"},
            {"failover_type", "Automatic"},
            {"reason", "peer-was-solo"},
            {"reason_text",
             "when last heard, the peer needed no lease of this node: it may still serve"}})),
       Tone::Alarm},
      {"secondary_peer_silent_waiting",
       secondary_status(silent({{"sub_state", "peer-silent-waiting"},
                                {"failover_type", "Automatic"},
                                {"reason", "isolated"},
                                {"reason_text", "our gateway does not answer"}})),
       Tone::Alarm},
      {"secondary_failover_running",
       secondary_status(silent({{"state", "FAILOVER_INVOKED"},
                                {"sub_state", "going-up"},
                                {"sub_state_text", "taking command"},
                                {"reason_text", "the peer fell silent"}})),
       Tone::Caution},
      {"secondary_serving",
       secondary_status(silent({{"state", "FAILOVER_ACTIVE"},
                                {"sub_state", "alone"},
                                {"serving", true},
                                {"solo", true},
                                {"guard", "open"},
                                {"reason", "peer-silent"},
                                {"reason_text", "the peer fell silent"},
                                {"last_failover", last}})),
       Tone::Caution},
      {"secondary_serving_primary_back",
       secondary_status({{"state", "FAILOVER_ACTIVE"},
                         {"sub_state", "protected"},
                         {"serving", true},
                         {"guard", "open"},
                         {"lease_ms", 7.9},
                         {"peer_state", "TERMINATED"},
                         {"last_failover", last}}),
       Tone::Caution},
      {"secondary_peer_stopped",
       secondary_status(silent({{"state", "GRACEFUL_SHUTDOWN"}, {"sub_state", "peer-stopped"}})),
       Tone::Alarm},
      {"secondary_peer_just_stopped",
       secondary_status({{"state", "GRACEFUL_SHUTDOWN"}, {"sub_state", "peer-stopped"}}),
       Tone::Alarm},
      {"primary_stopping", primary_status({{"sub_state", "stopping"}}), Tone::Caution},
      {"secondary_operator_needed",
       secondary_status({{"sub_state", "operator-needed"},
                         {"reason", "fence-failed"},
                         {"reason_text", "the fence command failed"}}),
       Tone::Alarm},
      {"secondary_conflict",
       secondary_status({{"sub_state", "conflict"}, {"serving", true}, {"guard", "open"}}),
       Tone::Alarm},
      {"secondary_automatic_off",
       secondary_status({{"failover_type", "Automatic"}, {"automatic_off", true}}), Tone::Good},
      {"secondary_of_two", two_primaries(), Tone::Good},
      {"saved", saved(primary_status()), Tone::Good},
  };
}

std::string golden(const std::string& name) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/cli/golden/" + name + ".txt";
}

class Status : public testing::TestWithParam<Situation> {};

TEST_P(Status, ReadsAsReviewed) {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  const Terminal terminal{.out = out, .err = err, .in = in};
  const std::string text = status_text(view_of(GetParam().status), terminal);
  const std::string path = golden(GetParam().name);
  if (std::getenv("CB_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path) << text;
  }
  std::ifstream file(path);
  std::ostringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(text, expected.str()) << path;
}

TEST_P(Status, HasTheRightTone) {
  const StatusView view = view_of(GetParam().status);
  const Verdict verdict = verdict_of(view.node, *view.instances().front());
  EXPECT_EQ(verdict.tone, GetParam().tone) << verdict.word;
  EXPECT_FALSE(verdict.word.empty());
  EXPECT_TRUE(verdict.sentence.ends_with(".")) << verdict.sentence;
  if (verdict.tone == Tone::Alarm) {
    EXPECT_FALSE(verdict.next.empty()) << "an alarm without a next step";
  }
}

TEST_P(Status, ReadsTheSameWithTheOtherSpellingOfNames) {
  // A monitor may write enumerators as "PeerSilentManual".
  Json status = GetParam().status;
  const auto pascal = [](const std::string& name) {
    std::string result;
    bool up = true;
    for (const char c : name) {
      if (c == '-') {
        up = true;
      } else {
        result += up && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        up = false;
      }
    }
    return result;
  };
  for (Json& pair : status["pairings"]) {
    pair["sub_state"] = pascal(pair["sub_state"]);
  }
  std::ostringstream sink;
  std::istringstream in;
  const Terminal terminal{.out = sink, .err = sink, .in = in};
  EXPECT_EQ(status_text(view_of(status), terminal),
            status_text(view_of(GetParam().status), terminal));
}

INSTANTIATE_TEST_SUITE_P(All, Status, testing::ValuesIn(situations()),
                         [](const auto& situation) { return situation.param.name; });

TEST(StatusText, TellsWhatIsWrongBesides) {
  std::ostringstream sink;
  std::istringstream in;
  const Terminal terminal{.out = sink, .err = sink, .in = in};
  Json status = secondary_status({{"ledger_failed", true}, {"stale", true}});
  status["node"]["gateway"] = "10.10.10.1";
  status["node"]["gateway_answers"] = false;
  status["node"]["warnings"] = {"somebody removes our address"};
  const std::string text = status_text(view_of(status), terminal);
  for (const char* part :
       {"The ledger cannot be written", "data may be old", "The gateway 10.10.10.1 does not answer",
        "somebody removes our address"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << text;
  }
}

TEST(StatusText, OfNothingIsStillAPage) {
  std::ostringstream sink;
  std::istringstream in;
  const Terminal terminal{.out = sink, .err = sink, .in = in};
  for (const char* json :
       {"{}", R"({"node":3,"pairings":{}})", R"({"pairings":[1,null,"x",[],{}]})",
        R"({"pairings":[{"links":[7],"virtual_addresses":"x","services":{"a":1},"since_ms":"x",)"
        R"("last_failover":[],"progress_permille":1e300,"lease_ms":-1e308}]})"}) {
    EXPECT_FALSE(status_text(view_of(*parse_object(json)), terminal).empty()) << json;
  }
}

TEST(StatusText, PaintsTheVerdictOnlyOnATerminal) {
  std::ostringstream sink;
  std::istringstream in;
  Terminal terminal{.out = sink, .err = sink, .in = in};
  EXPECT_EQ(status_text(view_of(primary_status()), terminal).find('\033'), std::string::npos);
  terminal.colour = true;
  EXPECT_EQ(status_text(view_of(primary_status()), terminal).find("\033[1;32mPROTECTED\033[0m"),
            0u);
}

TEST(Times, AreForPeople) {
  EXPECT_EQ(age_text(0), "0 ms");
  EXPECT_EQ(age_text(999), "999 ms");
  EXPECT_EQ(age_text(4200), "4.2 s");
  EXPECT_EQ(age_text(185'000), "3 min 5 s");
  EXPECT_EQ(age_text(7'500'000), "2 h 5 min");
  EXPECT_EQ(age_text(3 * 86'400'000.0 + 14'400'000), "3 d 4 h");
  EXPECT_EQ(us_text(0), "0 us");
  EXPECT_EQ(us_text(0.85), "850 ns");
  EXPECT_EQ(us_text(21.4), "21.4 us");
  EXPECT_EQ(us_text(1290), "1.29 ms");
  EXPECT_EQ(us_text(2'000'000), "2.00 s");
}

TEST(Status, ShowsTheWitnessWhereThereIsOne) {
  for (const bool answers : {true, false}) {
    FakeMonitor monitor;
    monitor.answers("status",
                    {primary_status({{"witness",
                                      {{"address", "10.9.9.9"},
                                       {"answers", answers},
                                       {"holder", "the primary"},
                                       {"trouble", answers ? Json() : Json("no answer")}}}})});
    monitor.listen();
    EXPECT_THAT(run_cli(monitor.root(), {"status"}).out,
                testing::HasSubstr(answers ? "10.9.9.9, answers, the address is held by the primary"
                                           : "10.9.9.9, DOES NOT ANSWER, no answer"));
  }
}

}  // namespace
}  // namespace cb::cli::test
