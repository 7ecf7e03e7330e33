// SPDX-License-Identifier: Apache-2.0
#include "core/arbitration.h"

#include <gtest/gtest.h>

namespace cb::core {
namespace {

TEST(Arbitration, EveryConfiguredVoiceMustAgree) {
  const uint8_t both = kArbitrateGateway | kArbitrateWitness;
  const Voices all{.gateway_answers = true, .address_defended = false, .witness_granted = true};
  EXPECT_EQ(verdict_of(both, all), Verdict::Granted);
  Voices v = all;
  v.gateway_answers = false;
  EXPECT_EQ(verdict_of(both, v), Verdict::Isolated);
  v = all;
  v.address_defended = true;
  EXPECT_EQ(verdict_of(both, v), Verdict::Defended);
  v = all;
  v.witness_granted = false;
  EXPECT_EQ(verdict_of(both, v), Verdict::Refused);
}

TEST(Arbitration, AVoiceThatDidNotSpeakDoesNotAgree) {
  EXPECT_EQ(verdict_of(kArbitrateGateway, {}), Verdict::Isolated);
  EXPECT_EQ(verdict_of(kArbitrateGateway, {.gateway_answers = true}), Verdict::Unavailable);
  EXPECT_EQ(verdict_of(kArbitrateWitness, {}), Verdict::Unavailable);
}

TEST(Arbitration, NothingConfiguredIsNotALicence) {
  EXPECT_TRUE(needs_asking(0));
  const Voices all{.gateway_answers = true, .address_defended = false, .witness_granted = true};
  EXPECT_EQ(verdict_of(0, all), Verdict::Unavailable);
}

TEST(Arbitration, AFenceAloneOrTheAcceptedRiskNeedsNoQuestion) {
  EXPECT_FALSE(needs_asking(kArbitrateFence));
  EXPECT_FALSE(needs_asking(kArbitrateNone));
  EXPECT_TRUE(needs_asking(kArbitrateFence | kArbitrateGateway));
  EXPECT_EQ(verdict_of(kArbitrateFence, {}), Verdict::Granted);
}

TEST(Arbitration, AVerdictCountsOnlyAboutTheSilenceThatItWasAskedAbout) {
  Settings settings;
  settings.arbitration = kArbitrateGateway;
  settings.confirm = 4_ms;
  const Instant asked = Instant::from_ns(0) + 10_s;
  const Question q{.asked_at = asked,
                   .answered = true,
                   .verdict = Verdict::Granted,
                   .answered_at = asked + 1_ms};
  EXPECT_EQ(granted_from(q, settings, asked - 1_ms), asked + 5_ms);
  EXPECT_EQ(granted_from(q, settings, asked), asked + 5_ms);
  EXPECT_FALSE(granted_from(q, settings, asked + 1_us).has_value()) << "it was heard since";
  Question negative = q;
  negative.verdict = Verdict::Defended;
  EXPECT_FALSE(granted_from(negative, settings, asked).has_value());
  Question open = q;
  open.answered = false;
  EXPECT_FALSE(granted_from(open, settings, asked).has_value());
}

TEST(Arbitration, WithoutASettingTheConfirmationIsAQuarterOfTheGrant) {
  Settings settings;
  settings.grant_us = 8000;
  EXPECT_EQ(confirm_of(settings), 2_ms);
  settings.confirm = 7_ms;
  EXPECT_EQ(confirm_of(settings), 7_ms);
}

}  // namespace
}  // namespace cb::core
