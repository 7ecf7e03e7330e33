// SPDX-License-Identifier: Apache-2.0
//
// A stop and a start at the same time.
#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

TEST_F(ServiceEdgeTest, AStopWinsOverAStart) {
  services = {command("a"), command("b"), command("c")};
  services[1].start = sh(note_pid() + say_pid("b") + say("start b") + "exec tail -f /dev/null");
  open();
  const Answer started = start();
  ASSERT_TRUE(until([&] { return logged("start b"); }));
  const Answer stopped = stop();
  EXPECT_EQ(result_of(started), ECANCELED);
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_TRUE(until([&] { return !runs(pid_of("b")); }));
  EXPECT_THAT(log(), ElementsAre("start a", "start b", "stop c", "stop b", "stop a"));
  EXPECT_EQ(state("b"), ServiceState::Stopped);
}

TEST_F(ServiceEdgeTest, AStopWinsOverAProcessThatIsJustBeingStarted) {
  services = {process("a")};
  open();
  for (int i = 0; i < 20; ++i) {
    const Answer started = start();
    const Answer stopped = stop();
    EXPECT_EQ(result_of(started), ECANCELED);
    EXPECT_EQ(result_of(stopped), 0);
    EXPECT_EQ(state("a"), ServiceState::Stopped);
    const pid_t pid = pid_of("a");
    EXPECT_FALSE(runs(pid));
  }
}

TEST_F(ServiceEdgeTest, AStartDuringAStopBeginsWhenThatIsOver) {
  Gate gate(folder.at("gate"));
  services = {command("a"), command("b")};
  services[1].stop = sh(say("stop b") + gate.pass());
  open();
  ASSERT_EQ(result_of(start()), 0);
  const Answer stopped = stop();
  ASSERT_TRUE(until([&] { return logged("stop b"); }));
  const Answer started = start();
  gate.open();
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_EQ(result_of(started), 0);
  EXPECT_THAT(log(), ElementsAre("start a", "start b", "stop b", "stop a", "start a", "start b"));
  EXPECT_EQ(state("a"), ServiceState::Running);
}

TEST_F(ServiceEdgeTest, AStopTakesBackTheStartThatWaitsForAStop) {
  Gate gate(folder.at("gate"));
  services = {command("a")};
  services[0].stop = sh(say("stop a") + gate.pass());
  open();
  ASSERT_EQ(result_of(start()), 0);
  const Answer first = stop();
  ASSERT_TRUE(until([&] { return logged("stop a"); }));
  const Answer started = start();
  const Answer second = stop();
  EXPECT_EQ(result_of(started), ECANCELED);
  gate.open();
  EXPECT_EQ(result_of(first), 0);
  EXPECT_EQ(result_of(second), 0);
  EXPECT_THAT(log(), ElementsAre("start a", "stop a"));
  EXPECT_EQ(state("a"), ServiceState::Stopped);
}

TEST_F(ServiceEdgeTest, AStartAndAResumeThatWaitForAStopAreOne) {
  Gate gate(folder.at("gate"));
  services = {command("a")};
  services[0].stop = sh(say("stop a") + gate.pass());
  open();
  for (const bool start_first : {true, false}) {
    std::filesystem::remove(folder.at("log"));
    ASSERT_EQ(result_of(start()), 0);
    const Answer stopped = stop();
    ASSERT_TRUE(until([&] { return logged("stop a"); }));
    const Answer first = start_first ? start() : resume();
    const Answer second = start_first ? resume() : start();
    gate.open();
    EXPECT_EQ(result_of(stopped), 0);
    EXPECT_EQ(result_of(first), 0);
    EXPECT_EQ(result_of(second), 0);
    EXPECT_EQ(log().back(), "start a");
    EXPECT_EQ(std::ranges::count(log(), "stop a"), 1);
    EXPECT_EQ(state("a"), ServiceState::Running);
  }
}

TEST_F(ServiceEdgeTest, ACancelledAnswerMayDestroyIt) {
  services = {command("a")};
  services[0].start = sh(note_pid() + say("start a") + "exec tail -f /dev/null");
  open();
  bool gone = false;
  edge->start(context, boottime_now() + 10_s, [&](int error) {
    EXPECT_EQ(error, ECANCELED);
    edge.reset();
    gone = true;
  });
  ASSERT_TRUE(until([&] { return logged("start a"); }));
  const Answer stopped = stop();
  EXPECT_TRUE(gone);
  settle_hands();
  EXPECT_FALSE(stopped->has_value());
}

TEST_F(ServiceEdgeTest, TwoStartsAreOneAndBothAreAnswered) {
  services = {command("a"), command("b")};
  open();
  const Answer first = start();
  const Answer second = start();
  EXPECT_EQ(result_of(first), 0);
  EXPECT_EQ(result_of(second), 0);
  EXPECT_THAT(log(), ElementsAre("start a", "start b"));
}

TEST_F(ServiceEdgeTest, MayBeDestroyedInTheMiddleOfAnything) {
  services = {process("a"), command("b")};
  services[1].start = sh(note_pid() + say("start b") + "exec tail -f /dev/null");
  open();
  const Answer started = start();
  ASSERT_TRUE(until([&] { return logged("start b"); }));
  edge.reset();
  settle_hands();
  EXPECT_FALSE(started->has_value());
  ASSERT_NE(pid_of("a"), 0);
  EXPECT_TRUE(runs(pid_of("a"))) << "services run on without a monitor";
}

}  // namespace
}  // namespace cb::test
