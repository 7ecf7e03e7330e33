// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/model/authority.h"

namespace cb::model {
namespace {

std::string trace_of(const Verdict& verdict) {
  std::string text = verdict.what + "\n";
  for (const std::string& step : verdict.trace) {
    text += "  " + step + "\n";
  }
  return text;
}

TEST(Authority, TheRulesLoseNothingInAnyReachableState) {
  const Verdict verdict = search(Variant::Rules, 3, 7);
  EXPECT_FALSE(verdict.violated) << trace_of(verdict);
  EXPECT_GT(verdict.states, 100'000u);  // a model that goes nowhere proves nothing
  std::printf("%llu states\n", static_cast<unsigned long long>(verdict.states));
}

// The same with what people do: a hand-over in good order, an operator's force, and a peer that
// lets the writer go alone by giving up its own right.
TEST(Authority, HandOverForceAndAnOutdatedPeerLoseNothingEither) {
  const Moves all{.hand_over = true, .force = true, .outdate = true};
  const Verdict verdict = search(Variant::Rules, 2, 6, all);
  EXPECT_FALSE(verdict.violated) << trace_of(verdict);
  EXPECT_GT(verdict.states, 900'000u);
  std::printf("%llu states\n", static_cast<unsigned long long>(verdict.states));
}

class WrongRule : public testing::TestWithParam<int> {};

TEST_P(WrongRule, IsFound) {
  const Moves all{.hand_over = true, .force = true, .outdate = true};
  const auto variant = static_cast<Variant>(GetParam());
  const Verdict verdict = search(variant, 3, 7, variant >= Variant::HandOverAlone ? all : Moves{});
  EXPECT_TRUE(verdict.violated) << verdict.states << " states";
  std::printf("%s", trace_of(verdict).c_str());
}

std::string rule_name(const testing::TestParamInfo<int>& info) {
  std::string name = name_of(static_cast<Variant>(info.param));
  for (char& letter : name) {
    letter = letter == '-' ? '_' : letter;
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Authority, WrongRule, testing::Range(1, kVariants), rule_name);

}  // namespace
}  // namespace cb::model
