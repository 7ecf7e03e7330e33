// SPDX-License-Identifier: Apache-2.0
//
// The rules about machines, licences and the network, as both sides of a pairing tell them.
#include <gtest/gtest.h>

#include "pairing/licence.h"
#include "tests/pairing/pair_run.h"

namespace cb::pairing {
namespace {

using test::other_pair;
using test::PairRun;

config::Platforms shipped() {
  return config::parse_platforms(config::built_in_platforms(), "built in").value;
}

PairRun with_rules() {
  PairRun run;
  run.primary.rules.platforms = run.secondary.rules.platforms = shipped();
  return run;
}

// Refused on both sides, for the same reason, with no try used and nothing saved.
void expect_refused(PairRun& run, Refusal refusal) {
  const std::string code = run.new_code();
  EXPECT_FALSE(run.go(code));
  EXPECT_EQ(name_of(run.failure.refusal), name_of(refusal));
  EXPECT_EQ(name_of(run.refusal), name_of(refusal));
  EXPECT_EQ(run.failure.exit_code, 4);
  EXPECT_FALSE(run.failure.next.empty());
  EXPECT_FALSE(run.primary_disk.pair || run.secondary_disk.pair);
  EXPECT_EQ(run.desk.tries_left(run.now), kCodeTries);
}

TEST(PlatformRules, AMatrixThatForbidsIsToldByBothSides) {
  PairRun run = with_rules();
  run.primary.platform.model = "3365";
  run.secondary.platform.model = "3355";
  expect_refused(run, Refusal::Platform);
  EXPECT_NE(run.failure.what.find("the platform matrix allows 3365"), std::string::npos)
      << run.failure.what;
  EXPECT_NE(run.detail.find("3365"), std::string::npos) << run.detail;
  run.secondary.platform.model = "3365";
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.primary_disk.pair->peer_model, "3365");
}

TEST(PlatformRules, ASecondaryWithLessIsRefusedWithTheNumbers) {
  PairRun run = with_rules();
  run.primary.platform.capacity = {8, 16000, 1000, 1000};
  run.secondary.platform.capacity = {4, 16000, 1000, 1000};
  expect_refused(run, Refusal::Platform);
  EXPECT_NE(run.failure.what.find("processors: the secondary has 4, the primary 8"),
            std::string::npos)
      << run.failure.what;
}

TEST(PlatformRules, ASecondPrimaryMustFitBesideTheFirst) {
  PairRun run = with_rules();
  run.primary.platform.model = run.secondary.platform.model = "VA-Low";
  run.secondary.pairs = {other_pair(0)};
  run.secondary.pairs[0].peer_model = "VA-Low";
  expect_refused(run, Refusal::Together);
  run.secondary.pairs.clear();
  ASSERT_TRUE(run.go()) << run.failure.what;
  ASSERT_TRUE(run.go()) << "pairing again is no second primary: " << run.failure.what;
}

TEST(PlatformRules, TheStricterOfTwoRuleBooksDecides) {
  PairRun run = with_rules();
  run.primary.rules.platforms = {};  // compares, and finds nothing to compare
  run.primary.platform.model = "VA-High";
  run.secondary.platform.model = "VA-Low";
  expect_refused(run, Refusal::Platform);
  run.dry_run = true;
  EXPECT_FALSE(run.go("")) << "a dry run hears of the secondary's rules too";
  EXPECT_EQ(run.failure.refusal, Refusal::Platform);
}

TEST(PlatformRules, NothingPairsByRulesThatCannotBeRead) {
  PairRun run = with_rules();
  run.secondary.rules.platforms_problem = "platforms.toml:3: error: x";
  expect_refused(run, Refusal::PlatformRules);
}

TEST(PlatformRules, TheCableGoesToOnePrimaryAndThatIsSaid) {
  PairRun run = with_rules();
  run.secondary.pairs = {other_pair(0)};
  run.secondary.pairs[0].direct = true;
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_FALSE(run.primary_disk.pair->direct);
  bool said = false;
  for (const RuleLine& line : run.rules) {
    EXPECT_TRUE(line.holds) << line.rule;
    said = said || line.text.find("a cable serves one pairing") != std::string::npos;
  }
  EXPECT_TRUE(said);
}

// ---- versions

TEST(Upgrade, APairThatIsHeldMayBeRenewedWhileTheVersionsDiffer) {
  PairRun run;
  run.primary.version = "0.2.0";
  expect_refused(run, Refusal::SoftwareVersion);
  run.primary.version = "0.1.0";
  ASSERT_TRUE(run.go());
  run.primary.version = "0.2.0";
  run.primary.product_version = "8.1";
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_TRUE(run.renewed);
}

TEST(Upgrade, HeartbeatsThatNobodyUnderstandsPairNobody) {
  Hello primary = make_hello(test::primary_node(), test::address("10.66.0.2"));
  Hello secondary = make_hello(test::secondary_node(), test::address("10.66.0.1"));
  primary.held = secondary.held = HeldPairing{7, {}};
  primary.heartbeat = {2, 3};
  EXPECT_EQ(check_rules(primary, secondary, {}).refusal, Refusal::Protocol);
  secondary.heartbeat = {1, 2};
  EXPECT_FALSE(check_rules(primary, secondary, {}));
}

// A peer of before: it sends no options, and passes over ours.
TEST(Upgrade, AnOlderPeerPairsAsBeforeUnlessARuleNeedsToKnowItsModel) {
  PairRun run = with_rules();
  run.primary.platform = {"", {8, 16000, 1000, 1000}};
  const auto strip = [](int index, std::string& bytes) {
    if (index != 1) {
      return;
    }
    const auto hello = decode_hello(std::string_view(bytes).substr(kHeaderBytes));
    ASSERT_TRUE(hello);
    const std::string body = *encode_hello(*hello);
    const std::size_t options = body.find(std::string("\x83\x00\x18", 3));  // the first: capacity
    ASSERT_NE(options, std::string::npos);
    bytes = frame_bytes(Kind::Hello, body.substr(0, options));
  };
  run.dry_run = true;
  run.middle = strip;
  EXPECT_TRUE(run.go("")) << run.failure.what;
  run.primary.platform.model = "VA-Low";
  EXPECT_FALSE(run.go(""));
  EXPECT_EQ(run.failure.refusal, Refusal::Platform);
}

// ---- the network

TEST(Neighbours, WhatEitherSideFindsStopsThePairing) {
  for (const bool at_primary : {true, false}) {
    for (const Refusal refusal : {Refusal::NotNeighbours, Refusal::VirtualAnswered}) {
      PairRun run;
      (at_primary ? run.primary_looks : run.secondary_looks) = {refusal, "found"};
      expect_refused(run, refusal);
      run.dry_run = true;
      EXPECT_FALSE(run.go(""));
      EXPECT_EQ(run.failure.refusal, refusal);
    }
  }
}

// ---- licences

TEST(Activation, IsAskedForOfBothWhereTheMakerDemandsIt) {
  ASSERT_TRUE(crypto_ready());
  const MakerKey maker = make_maker_key();
  PairRun run;
  for (LocalIdentity* node : {&run.primary, &run.secondary}) {
    node->rules.licence = {maker.public_key, true};
    node->rules.today = "2026-01-01";
  }
  const auto licence_for = [&](const LocalIdentity& node) {
    return licence_text(*sign_licence({"L", node.udi, "", "2026-12-31", ""}, maker.seed));
  };
  expect_refused(run, Refusal::PrimaryLicence);
  run.primary.licence = licence_for(run.primary);
  expect_refused(run, Refusal::SecondaryLicence);
  run.secondary.licence = licence_for(run.primary);
  expect_refused(run, Refusal::SecondaryLicence);
  EXPECT_NE(run.failure.what.find("for another machine"), std::string::npos) << run.failure.what;
  run.secondary.licence = licence_for(run.secondary);
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.primary_disk.pair->peer_activation, "activated");
}

TEST(Activation, IsNotAskedForOtherwise) {
  PairRun run;
  ASSERT_TRUE(run.go());
  EXPECT_EQ(run.secondary_disk.pair->peer_activation, "not required");
}

}  // namespace
}  // namespace cb::pairing
