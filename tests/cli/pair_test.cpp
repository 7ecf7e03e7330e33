// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Pair, ReadsTheCodeFromStandardInputAndShowsProgress) {
  FakeMonitor monitor;
  monitor.answers("pair", [](const Json&) {
    return std::vector<std::string>{
        R"({"progress":"asking the secondary"})", R"({"progress":"keys agreed"})",
        R"({"ok":true,"paired":true,"peer":{"name":"mse2","hm_address":"10.10.10.13"}})"};
  });
  monitor.listen();
  const Ran ran =
      run_cli(monitor.root(), {"pair", "10.10.10.13", "--code", "-"}, " K7QM-3XWD-9FN \n");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("asking the secondary\n"));
  EXPECT_THAT(ran.out, HasSubstr("Paired with mse2 (10.10.10.13)."));
  EXPECT_EQ(text_at(monitor.requests()[0], "code"), "K7QM-3XWD-9FN");
  EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("K7QM")));
}

TEST(Pair, ReadsTheCodeFromAFile) {
  FakeMonitor monitor;
  monitor.answers("pair", {refusal(1)});
  monitor.write("code", "K7QM-3XWD-9FN\n");
  monitor.listen();
  const Ran ran =
      run_cli(monitor.root(), {"pair", "10.10.10.13", "--code-file", monitor.path("code")});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(text_at(monitor.requests()[0], "code"), "K7QM-3XWD-9FN");
}

TEST(Pair, WarnsOfACodeAmongTheArguments) {
  FakeMonitor monitor;
  monitor.answers("pair", {refusal(1)});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"pair", "10.10.10.13", "--code", "K7QM-3XWD-9FN"});
  EXPECT_THAT(ran.err, HasSubstr("can be read by every user"));
  EXPECT_THAT(ran.err, Not(HasSubstr("K7QM")));
}

TEST(Pair, WithNobodyToAskIsWrongUse) {
  FakeMonitor monitor;
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"pair", "10.10.10.13"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("--code -"));
  EXPECT_THAT(monitor.requests(), IsEmpty());
}

TEST(Pair, WithAnEmptyCodeAsksNobody) {
  FakeMonitor monitor;
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"pair", "10.10.10.13", "--code", "-"}, "\n").code, 2);
  EXPECT_THAT(monitor.requests(), IsEmpty());
}

TEST(PairingCode, IsShownWithTheCommandForThePrimary) {
  FakeMonitor monitor;
  monitor.answers("pairing-code", {Json{{"ok", true},
                                        {"code", "K7QM-3XWD-9FN"},
                                        {"valid_s", 600},
                                        {"hm_address", "10.10.10.13"}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"pairing-code"});
  EXPECT_EQ(ran.out,
            "Pairing code: K7QM-3XWD-9FN\nIt works once, for 10 min 0 s. On the primary, type:\n"
            "  crossbeat pair 10.10.10.13\n");
}

TEST(Unpair, SaysWhenThePeerCouldNotBeTold) {
  FakeMonitor monitor;
  monitor.answers("unpair", {Json{{"ok", true}, {"peer_told", false}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"unpair", "--force"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("run crossbeat unpair --force there too"));
}

TEST(Witness, TheKeyIsAloneOnStandardOutput) {
  FakeMonitor monitor;
  monitor.answers("witness-key",
                  {{{"ok", true}, {"pairing", "10.10.10.12"}, {"line", "cbw1-00ff"}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"witness", "key"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "cbw1-00ff\n");
  EXPECT_THAT(ran.err, testing::HasSubstr("Keep it secret"));
}

}  // namespace
}  // namespace cb::cli::test
