// SPDX-License-Identifier: Apache-2.0
#include "edge/arbitration.h"

#include "base/clock.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using core::Verdict;
using edge::ArbitrationAnswer;
using edge::ArbitrationAsk;
using edge::ArbitrationEdge;
using edge::ArbitrationKinds;

class ArbitrationTest : public testing::Test {
 protected:
  // A kind that answers in a later turn.
  ArbitrationAsk says(const std::string& name, Verdict verdict) {
    return [this, name, verdict](Instant, auto done) -> std::function<void()> {
      order.push_back(name);
      loop->after(Duration::from_ms(1),
                  [done, verdict, name] { done(verdict, name + " said so"); });
      return [] {};
    };
  }
  // A kind that never answers.
  ArbitrationAsk is_silent(const std::string& name) {
    return [this, name](Instant, auto) -> std::function<void()> {
      order.push_back(name);
      return [this, name] { order.push_back(name + " taken back"); };
    };
  }
  ArbitrationAnswer ask(std::vector<std::string> kinds, ArbitrationKinds with,
                        Duration within = Duration::from_s(5)) {
    ArbitrationEdge edge(*loop, std::move(kinds));
    std::optional<ArbitrationAnswer> answer;
    edge.ask(std::move(with), boottime_now() + within, [&](const ArbitrationAnswer& a) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = a;
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
    return answer.value_or(ArbitrationAnswer{});
  }

  std::unique_ptr<loop::Loop> loop = open_loop();
  std::vector<std::string> order;
};

TEST_F(ArbitrationTest, GrantsWhenEveryKindGrantsAskedInOrder) {
  const auto answer = ask({"gateway", "fence"}, {.gateway = says("gateway", Verdict::Granted),
                                                 .fence = says("fence", Verdict::Granted),
                                                 .witness = nullptr});
  EXPECT_EQ(answer.verdict, Verdict::Granted);
  EXPECT_EQ(order, (std::vector<std::string>{"gateway", "fence"}));
  EXPECT_EQ(answer.text, "gateway: gateway said so; fence: fence said so");
}

// A fence must not switch a peer off that the network still hears.
TEST_F(ArbitrationTest, AsksNoFurtherAfterTheFirstRefusal) {
  for (const Verdict verdict :
       {Verdict::Isolated, Verdict::Defended, Verdict::Refused, Verdict::Unavailable}) {
    order.clear();
    const auto answer = ask({"gateway", "fence"}, {.gateway = says("gateway", verdict),
                                                   .fence = says("fence", Verdict::Granted),
                                                   .witness = nullptr});
    EXPECT_EQ(answer.verdict, verdict);
    EXPECT_EQ(order, std::vector<std::string>{"gateway"});
  }
}

TEST_F(ArbitrationTest, SilenceOfTheGatewayIsIsolationAndOfOthersIsNoAnswer) {
  EXPECT_EQ(
      ask({"gateway"}, {.gateway = is_silent("gateway"), .fence = nullptr, .witness = nullptr},
          Duration::from_ms(10))
          .verdict,
      Verdict::Isolated);
  EXPECT_EQ(order, (std::vector<std::string>{"gateway", "gateway taken back"}));
  EXPECT_EQ(ask({"fence"}, {.gateway = nullptr, .fence = is_silent("fence"), .witness = nullptr},
                Duration::from_ms(10))
                .verdict,
            Verdict::Unavailable);
}

TEST_F(ArbitrationTest, WhatIsNotThereDoesNotGrant) {
  EXPECT_EQ(ask({}, {}).verdict, Verdict::Unavailable);
  const auto witness = ask({"witness"}, {});
  EXPECT_EQ(witness.verdict, Verdict::Unavailable);
  EXPECT_NE(witness.text.find("not configured"), std::string::npos);
  EXPECT_EQ(ask({"gateway"}, {}).verdict, Verdict::Unavailable);
  EXPECT_EQ(ask({"no such kind"}, {}).verdict, Verdict::Unavailable);
}

TEST_F(ArbitrationTest, NoneGrantsAndSaysThatTheRiskIsAccepted) {
  const auto answer = ask({"none"}, {});
  EXPECT_EQ(answer.verdict, Verdict::Granted);
  EXPECT_NE(answer.text.find("risk"), std::string::npos);
}

TEST_F(ArbitrationTest, ACancelledQuestionIsTakenBackAndNotAnswered) {
  ArbitrationEdge edge(*loop, {"gateway"});
  const auto id =
      edge.ask({.gateway = is_silent("gateway"), .fence = nullptr, .witness = nullptr},
               boottime_now() + Duration::from_ms(5), [](const ArbitrationAnswer&) { FAIL(); });
  edge.cancel(id);
  EXPECT_EQ(order, (std::vector<std::string>{"gateway", "gateway taken back"}));
  bool later = false;
  loop->after(Duration::from_ms(10), [&] { later = true; });
  EXPECT_TRUE(turn_until(*loop, [&] { return later; }));
}

TEST_F(ArbitrationTest, ALateOrSecondAnswerChangesNothing) {
  std::function<void(Verdict, const std::string&)> kept;
  const ArbitrationAsk keeps = [&](Instant, auto done) -> std::function<void()> {
    kept = done;
    return nullptr;
  };
  const auto answer = ask({"gateway"}, {.gateway = keeps, .fence = nullptr, .witness = nullptr},
                          Duration::from_ms(5));
  EXPECT_EQ(answer.verdict, Verdict::Isolated);
  kept(Verdict::Granted, "late");
}

TEST_F(ArbitrationTest, ManyQuestionsAreKeptApart) {
  ArbitrationEdge edge(*loop, {"gateway"});
  std::map<int, Verdict> verdicts;
  for (int i = 0; i < 16; ++i) {
    edge.ask({.gateway = says("gateway", i % 2 == 0 ? Verdict::Granted : Verdict::Defended),
              .fence = nullptr,
              .witness = nullptr},
             boottime_now() + Duration::from_s(5),
             [&, i](const ArbitrationAnswer& answer) { verdicts[i] = answer.verdict; });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return verdicts.size() == 16; }));
  for (const auto& [i, verdict] : verdicts) {
    EXPECT_EQ(verdict, i % 2 == 0 ? Verdict::Granted : Verdict::Defended);
  }
}

}  // namespace
}  // namespace cb::test
