// SPDX-License-Identifier: Apache-2.0
//
// The register's questions go to whoever answers for it, with what the record says at that moment.
#include "tests/volume/fake_process.h"

namespace cb::test {
namespace {

using core::volume::Kind;
using core::volume::Standing;
using volume::Register;

const Register kSeen{7, {0x0123456789abcdef, 0xfedcba9876543210}, Kind::Together, 1};
const Register kWanted{8, {1, 2}, Kind::Alone, 0};

TEST(RegisterJson, IsReadBackAsItWasWritten) {
  EXPECT_EQ(volume::read_register(volume::register_json(kSeen)), kSeen);
  EXPECT_EQ(volume::register_json(kSeen).dump(),
            R"({"epoch":7,"generation":"0123456789abcdeffedcba9876543210","kind":"together",)"
            R"("holder":1})");
}

TEST(RegisterJson, RefusesWhatIsNotOne) {
  for (
      const char* text :
      {"7", "{}", R"({"epoch":7,"generation":"01","kind":"alone","holder":0})",
       R"({"epoch":7,"generation":"0123456789abcdeffedcba9876543210","kind":"both","holder":0})",
       R"({"epoch":7,"generation":"0123456789abcdeffedcba9876543210","kind":"alone","holder":2})"}) {
    EXPECT_FALSE(volume::read_register(Json::parse(text))) << text;
  }
}

TEST_F(ReplicatedTest, AReadIsAnsweredWithWhatTheKeeperSees) {
  open_running();
  seen = kSeen;
  process->status["standing"] = "alone";
  process->status["epoch"] = 12;
  process->say(Json{{"register", "read"}, {"number", 5}});
  ASSERT_TRUE(until([&] { return process->registered.size() == 1; }));
  EXPECT_EQ(process->registered[0].dump(), Json({{"error", 0},
                                                 {"seen", volume::register_json(kSeen)},
                                                 {"register", "answer"},
                                                 {"number", 5}})
                                               .dump());
  ASSERT_EQ(owns.size(), 1u);
  EXPECT_EQ(owns[0].standing, Standing::Alone) << "as the record says now";
  EXPECT_EQ(owns[0].epoch, 12u);
}

TEST_F(ReplicatedTest, ASwapIsAnsweredWithWhetherItTookPlace) {
  open_running();
  for (const bool takes_place : {true, false}) {
    granted = takes_place;
    process->registered.clear();
    process->say(Json{{"register", "swap"},
                      {"number", 6},
                      {"expected", volume::register_json(kSeen)},
                      {"wanted", volume::register_json(kWanted)}});
    ASSERT_TRUE(until([&] { return process->registered.size() == 1; }));
    EXPECT_EQ(volume::flag_of(process->registered[0], "granted"), takes_place);
    EXPECT_EQ(volume::number_of(process->registered[0], "error"), 0u);
    EXPECT_EQ(swaps.back(), std::make_pair(kSeen, kWanted));
  }
}

TEST_F(ReplicatedTest, AnAnswerThatNobodyKnowsIsAnError) {
  open_running();
  register_error = EAGAIN;
  process->say(Json{{"register", "read"}, {"number", 7}});
  process->say(Json{{"register", "swap"},
                    {"number", 8},
                    {"expected", volume::register_json(kSeen)},
                    {"wanted", volume::register_json(kWanted)}});
  ASSERT_TRUE(until([&] { return process->registered.size() == 2; }));
  for (const Json& answer : process->registered) {
    EXPECT_EQ(volume::number_of(answer, "error"), std::uint64_t{EAGAIN});
    EXPECT_FALSE(volume::flag_of(answer, "granted"));
    EXPECT_FALSE(answer.contains("seen"));
  }
}

}  // namespace
}  // namespace cb::test
