// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config.h"
#include "config/defaults.h"
#include "core/lease.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Node node_with(const std::string& lines) {
  const auto parsed =
      parse_node(contents(fixtures() / "good/minimal.toml") + lines, "x", machine());
  for (const Problem& problem : parsed.problems) {
    ADD_FAILURE() << problem.text();
  }
  return parsed.value;
}

Pair pair() {
  Pair result;
  result.id = 1;
  result.primary_hm = address("10.10.10.12");
  result.secondary_hm = address("10.10.10.13");
  result.failover_wait = 4_s;
  return result;
}

TEST(Settings, OfAnUnpairedNodeSaySo) {
  const auto settings = settings_for(node_with(""), nullptr);
  EXPECT_FALSE(settings.paired);
  EXPECT_EQ(settings.role, core::Role::Primary);
  EXPECT_EQ(settings.arbitration, core::kArbitrateGateway);
}

TEST(Settings, OfAPairingComeFromThePairing) {
  Pair paired = pair();
  paired.self_role = core::Role::Secondary;
  paired.automatic_failover = true;
  paired.automatic_failback = true;
  const auto settings = settings_for(node_with(""), &paired);
  EXPECT_TRUE(settings.paired);
  EXPECT_EQ(settings.role, core::Role::Secondary);
  EXPECT_TRUE(settings.automatic_failover);
  EXPECT_TRUE(settings.automatic_failback);
  EXPECT_EQ(settings.failover_wait, 4_s);
}

TEST(Settings, NoArbitrationStaysManualUnlessTheRiskIsAccepted) {
  Pair paired = pair();
  paired.automatic_failover = true;  // from the other node, or from an operator
  const std::string none = "[arbitration]\nkinds = \"none\"\n";
  EXPECT_FALSE(settings_for(node_with(none), &paired).automatic_failover);
  const std::string accepted = none + "accept_no_arbitration_risk = true\n";
  EXPECT_TRUE(settings_for(node_with(accepted), &paired).automatic_failover);
}

TEST(Settings, TheGrantIsOverBeforeTheVerdictAndNeverAboveTheLongest) {
  for (const char* lines :
       {"profile = \"fast\"", "profile = \"normal\"", "profile = \"relaxed\"",
        "profile = \"custom\"\ninterval = \"3s\"\nprobes_lost = 32\nmonitor_grace = \"6s\""}) {
    const Node node = node_with("[heartbeat]\n" + std::string(lines));
    const Duration grant = Duration::from_us(settings_for(node, nullptr).grant_us);
    EXPECT_GT(grant, node.heartbeat.direct.interval) << lines;
    EXPECT_LT(core::lease_closed_at(Instant{} + grant, grant) - Instant{},
              detection_most(node.heartbeat.direct, node.heartbeat.burst_interval) + kLateProbe)
        << lines;
    EXPECT_LE(grant, kLongestGrant) << lines;
  }
}

TEST(Settings, WaitForThePeerIsNeverShorterThanTheLongestGrant) {
  Node node = node_with("");
  node.wait_for_peer = 1_s;
  EXPECT_EQ(settings_for(node, nullptr).wait_for_peer, kLongestGrant);
}

TEST(Settings, ServicesAreGivenTheTimeOfAllOneAfterTheOther) {
  const std::string services =
      "[[service]]\nname = \"a\"\nunit = \"a.service\"\nstart_within = \"10s\"\nstop_within = "
      "\"20s\"\n[[service]]\nname = \"b\"\nunit = \"b.service\"\nstart_within = "
      "\"5s\"\nstop_within "
      "= \"1s\"\n[[service]]\nname = \"c\"\nunit = \"c.service\"\nenabled = false\n";
  const auto settings = settings_for(node_with(services), nullptr);
  EXPECT_TRUE(settings.has_services);
  EXPECT_EQ(settings.service_deadline, 21_s);
  EXPECT_FALSE(settings_for(node_with(""), nullptr).has_services);
}

TEST(Settings, AFenceIsThereOnlyWhenItIsAmongTheKinds) {
  const std::string fence = "[fence]\ncommand = [\"/sbin/power\"]\n";
  EXPECT_TRUE(
      settings_for(node_with("[arbitration]\nkinds = [\"gateway\", \"fence\"]\n" + fence), nullptr)
          .has_fence);
  const auto unused =
      parse_node(contents(fixtures() / "good/minimal.toml") + fence, "x", machine());
  EXPECT_FALSE(settings_for(unused.value, nullptr).has_fence);
}

TEST(LinkHeartbeat, NetworkIsProbedAtTheProfilesRateWhenThereIsNoDirectLink) {
  const Node alone = node_with("");
  EXPECT_EQ(heartbeat_for(alone, nullptr, core::Link::Network), alone.heartbeat.direct);
  const Node both = node_with("[direct]\ninterface = \"eth1\"\n");
  EXPECT_EQ(heartbeat_for(both, nullptr, core::Link::Network), both.heartbeat.network);
  EXPECT_EQ(heartbeat_for(both, nullptr, core::Link::Direct), both.heartbeat.direct);
  Pair without = pair();  // the peer has no direct link
  EXPECT_EQ(heartbeat_for(both, &without, core::Link::Network), both.heartbeat.direct);
  EXPECT_FALSE(settings_for(both, &without).direct_link);
  without.direct = true;
  EXPECT_EQ(heartbeat_for(both, &without, core::Link::Network), both.heartbeat.network);
  EXPECT_TRUE(settings_for(both, &without).direct_link);
}

TEST(Timeline, NamesEachStepWithItsNumbers) {
  const Node node = node_with(
      "[direct]\ninterface = \"eth1\"\n[heartbeat]\nprofile = \"custom\"\ninterval = \"1ms\"\n"
      "answer_within = \"1ms\"\nprobes_lost = 5\n[failover]\nfailover = \"automatic\"\n"
      "[[service]]\nname = \"db\"\nunit = \"db.service\"\n");
  const std::string text = timeline_text(node, nullptr);
  EXPECT_THAT(text, HasSubstr("eth1: every 1ms, answer within 1ms, silent after 5 unanswered"));
  EXPECT_THAT(text, HasSubstr("in a burst every 250us"));
  EXPECT_THAT(text, HasSubstr("3.0 ms to 4.0 ms until all links are silent"));
  EXPECT_THAT(text, HasSubstr("the gateway does not answer: this node is cut off"));
  EXPECT_THAT(text, HasSubstr("waited out for 10.0 s"));
  EXPECT_THAT(text, HasSubstr("then announced at 0s, 20ms, 200ms, 1s, 5s, 15s and every 1min"));
  EXPECT_THAT(text, HasSubstr("db (within 1min)"));
  EXPECT_LT(text.find("  detect"), text.find("  arbitrate"));
  EXPECT_LT(text.find("  arbitrate"), text.find("  wait "));
  EXPECT_LT(text.find("  wait "), text.find("  fence"));
  EXPECT_LT(text.find("  fence"), text.find("  address "));
  EXPECT_LT(text.find("  address "), text.find("  services"));
}

TEST(Timeline, WithTheAddressLastHasItLast) {
  const std::string text = timeline_text(node_with("[failover]\naddress_last = true\n"), nullptr);
  EXPECT_GT(text.find("  address "), text.find("  services"));
}

TEST(Timeline, ManualFailoverWaitsForAnOperator) {
  const std::string text = timeline_text(node_with(""), nullptr);
  EXPECT_THAT(text, HasSubstr("Failover after a power-off (manual)"));
  EXPECT_THAT(text, HasSubstr("for an operator: crossbeat failover"));
  EXPECT_THAT(text, Not(HasSubstr("in all")));
}

TEST(Timeline, NamesAnAcceptedRisk) {
  const std::string text = timeline_text(
      node_with("[failover]\nfailover = \"automatic\"\n[arbitration]\nkinds = \"none\"\n"
                "accept_no_arbitration_risk = true\n"),
      nullptr);
  EXPECT_THAT(text, HasSubstr("may BOTH serve"));
}

TEST(Settings, AWitnessIsGivenTheTimeOfItsDisk) {
  const std::string witness =
      "[witness]\naddress = \"10.10.10.40\"\n[arbitration]\nkinds = [\"gateway\", \"witness\"]\n";
  const core::Settings settings = settings_for(node_with(witness), nullptr);
  EXPECT_EQ(settings.arbitration, core::kArbitrateGateway | core::kArbitrateWitness);
  EXPECT_EQ(settings.arbitration_deadline, 500_ms);
  EXPECT_EQ(
      settings_for(node_with(witness + "deadline = \"90ms\"\n"), nullptr).arbitration_deadline,
      90_ms);
  const std::string text = timeline_text(node_with(witness), nullptr);
  EXPECT_NE(text.find("the witness 10.10.10.40 does not answer: no takeover"), std::string::npos);
  EXPECT_NE(text.find("an alarm after 5.0 s, and nothing else"), std::string::npos) << text;
}

}  // namespace
}  // namespace cb::config::test
