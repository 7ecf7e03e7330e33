// SPDX-License-Identifier: Apache-2.0
#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

// ---- order

TEST_F(ServiceEdgeTest, StartsInOrderAndStopsInReverse) {
  services = {command("a"), command("b"), process("c"), command("d")};
  open();
  EXPECT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return logged("start c"); }));
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(state(name), ServiceState::Running) << name;
  }
  const pid_t pid = pid_of("c");
  EXPECT_TRUE(runs(pid));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid));
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(state(name), ServiceState::Stopped) << name;
  }
  // A process is started when it is executed, so its own line may come after d's.
  auto order = log();
  std::erase(order, "start c");
  EXPECT_THAT(order, ElementsAre("start a", "start b", "start d", "stop d", "stop b", "stop a"));
}

TEST_F(ServiceEdgeTest, OneAtATime) {
  Gate starting(folder.at("starting"));
  Gate stopping(folder.at("stopping"));
  services = {command("a"), command("b")};
  services[0].start = sh(say("start a") + starting.pass());
  services[1].stop = sh(say("stop b") + stopping.pass());
  open();
  const Answer started = start();
  ASSERT_TRUE(until([&] { return logged("start a"); }));
  EXPECT_EQ(state("a"), ServiceState::Starting);
  EXPECT_EQ(state("b"), ServiceState::Stopped);
  starting.open();
  EXPECT_EQ(result_of(started), 0);
  const Answer stopped = stop();
  ASSERT_TRUE(until([&] { return logged("stop b"); }));
  EXPECT_EQ(state("b"), ServiceState::Stopping);
  EXPECT_EQ(state("a"), ServiceState::Running);
  stopping.open();
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_THAT(log(), ElementsAre("start a", "start b", "stop b", "stop a"));
}

TEST_F(ServiceEdgeTest, NoServiceIsInstantaneousSuccessAndHealthy) {
  open();
  EXPECT_EQ(*start(), std::optional<int>(0));
  EXPECT_TRUE(edge->healthy());
  EXPECT_EQ(*stop(), std::optional<int>(0));
  EXPECT_TRUE(edge->healthy());
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_TRUE(edge->facts().empty());
}

TEST_F(ServiceEdgeTest, ADisabledServiceIsNotStarted) {
  services = {command("a"), command("b")};
  services[0].enabled = false;
  open();
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_THAT(log(), ElementsAre("start b"));
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_FALSE(facts("a").enabled);
  EXPECT_TRUE(edge->healthy());
}

TEST_F(ServiceEdgeTest, StopsAlsoWhatItNeverStarted) {
  services = {command("a"), command("b"), process("c")};
  open();
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_THAT(log(), ElementsAre("stop b", "stop a"));
}

// ---- failures

TEST_F(ServiceEdgeTest, AFailedStartIsAnsweredAndWhatRunsStays) {
  services = {process("a"), command("b"), command("c")};
  services[1].start = sh("echo no room for b; exit 3");
  open();
  EXPECT_EQ(result_of(start()), EIO);
  EXPECT_EQ(state("a"), ServiceState::Running);
  EXPECT_EQ(state("b"), ServiceState::Failed);
  EXPECT_EQ(state("c"), ServiceState::Stopped);
  EXPECT_THAT(facts("b").detail, HasSubstr("exit code 3"));
  EXPECT_THAT(facts("b").detail, HasSubstr("no room for b"));
  EXPECT_TRUE(reported("b: could not be started"));
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  EXPECT_TRUE(runs(pid_of("a")));
  // Why it did not run is still known when all is stopped, and how to see more.
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_EQ(state("b"), ServiceState::Stopped);
  EXPECT_THAT(facts("b").detail, HasSubstr("no room for b"));
  EXPECT_THAT(facts("b").look, HasSubstr("tail -n 20 "));
  EXPECT_THAT(facts("b").look, HasSubstr("-b.log"));
}

TEST_F(ServiceEdgeTest, AStartThatIsTriedAgainLeavesAloneWhatRuns) {
  const std::string good = folder.at("good");
  services = {process("a"), command("b")};
  services[1].start = sh(say("start b") + "test -e " + good);
  open();
  EXPECT_EQ(result_of(start()), EIO);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  const pid_t pid = pid_of("a");
  std::ofstream(good) << "x";
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_EQ(pid_of("a"), pid);
  EXPECT_TRUE(runs(pid));
  EXPECT_EQ(std::ranges::count(log(), "start a"), 1);
  EXPECT_EQ(std::ranges::count(log(), "start b"), 2);
  EXPECT_EQ(state("b"), ServiceState::Running);
  EXPECT_EQ(facts("b").detail, "");
}

TEST_F(ServiceEdgeTest, AProgramThatIsNotThereIsSaidSo) {
  services = {process("a")};
  services[0].start = {"/nonexistent/server"};
  open();
  EXPECT_EQ(result_of(start()), ENOENT);
  EXPECT_THAT(facts("a").detail, HasSubstr("could not be started: No such file"));
}

TEST_F(ServiceEdgeTest, AStartThatIsLateIsKilledWithItsGroup) {
  services = {command("a")};
  services[0].start = sh(note_pid() + say_pid("a") + "tail -f /dev/null & echo $! > " +
                         folder.at("below.pid") + "; wait");
  services[0].start_within = 1_s;
  open();
  EXPECT_EQ(result_of(start()), ETIMEDOUT);
  EXPECT_EQ(state("a"), ServiceState::Failed);
  ASSERT_NE(pid_of("a"), 0);
  ASSERT_NE(pid_of("below"), 0);
  EXPECT_TRUE(until([&] { return !runs(pid_of("a")) && !runs(pid_of("below")); }));
}

TEST_F(ServiceEdgeTest, TheDeadlineOfAllHoldsForEach) {
  services = {command("a"), command("b")};
  services[0].start = sh(note_pid() + say_pid("a") + "exec tail -f /dev/null");
  open();
  const Instant before = boottime_now();
  EXPECT_EQ(result_of(start(200_ms)), ETIMEDOUT);
  EXPECT_LT(boottime_now() - before, 5_s);
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Failed && !runs(pid_of("a")); }));
  EXPECT_FALSE(logged("start b"));
}

TEST_F(ServiceEdgeTest, AFailedStopDoesNotKeepTheOthersRunning) {
  services = {command("a"), command("b"), process("c")};
  services[1].stop = sh(say("stop b") + "exit 4");
  open();
  ASSERT_EQ(result_of(start()), 0);
  EXPECT_EQ(result_of(stop()), EIO);
  EXPECT_EQ(state("b"), ServiceState::Failed);
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_EQ(state("c"), ServiceState::Stopped);
  EXPECT_TRUE(logged("stop a"));
  EXPECT_TRUE(reported("b: could not be stopped"));
}

TEST_F(ServiceEdgeTest, AProcessThatDoesNotStopIsKilledWithItsGroupAndIsStoppedThen) {
  services = {process("a", "trap '' TERM; tail -f /dev/null & echo $! > " + folder.at("below.pid") +
                               "; while :; do wait; done")};
  services[0].stop_within = 300_ms;
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("below") != 0; }));
  const pid_t pid = pid_of("a");
  const pid_t below = pid_of("below");
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid));
  EXPECT_TRUE(until([&] { return !runs(below); }));
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_TRUE(reported("a: killed"));
}

TEST_F(ServiceEdgeTest, AStopCommandThatIsLateIsKilledAndItsServiceMayStillRun) {
  services = {command("a"), command("b")};
  services[1].stop = sh(note_pid() + say_pid("b") + "exec tail -f /dev/null");
  services[1].stop_within = 200_ms;
  open();
  ASSERT_EQ(result_of(start()), 0);
  EXPECT_EQ(result_of(stop()), ETIMEDOUT);
  EXPECT_EQ(state("b"), ServiceState::Failed);
  EXPECT_TRUE(until([&] { return !runs(pid_of("b")); }));
  EXPECT_TRUE(logged("stop a"));
}

TEST_F(ServiceEdgeTest, AStopThatIsLateAsAWholeIsAnsweredThenAndStillStopsEverything) {
  Gate gate(folder.at("gate"));
  services = {command("a"), command("b")};
  services[1].stop = sh(say("stop b") + gate.pass());
  open();
  ASSERT_EQ(result_of(start()), 0);
  EXPECT_EQ(result_of(stop(200_ms)), ETIMEDOUT);
  gate.open();
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Stopped; }));
  EXPECT_TRUE(logged("stop a"));
}

TEST_F(ServiceEdgeTest, AProcessIsStoppedByItsStopCommand) {
  services = {process("a")};
  services[0].stop = sh(say("stop a") + "kill -INT $(cat " + folder.at("a.pid") + ")");
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid_of("a")));
  EXPECT_TRUE(logged("stop a"));
}

// What it still does would meet the next start.
TEST_F(ServiceEdgeTest, AStopWaitsForItsCommandAlsoWhenTheProcessHasEnded) {
  Gate gate(folder.at("gate"));
  services = {process("a")};
  services[0].stop = sh("kill -KILL $(cat " + folder.at("a.pid") + "); " + say("killed") +
                        gate.pass() + "; " + say("cleaned up"));
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  const Answer stopped = stop();
  ASSERT_TRUE(until([&] { return logged("killed") && !runs(pid_of("a")); }));
  settle_hands();
  EXPECT_FALSE(stopped->has_value());
  gate.open();
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_TRUE(logged("cleaned up"));
}

TEST_F(ServiceEdgeTest, AProcessIsStoppedAlsoWhenItsStopCommandHangs) {
  services = {process("a")};
  services[0].stop = sh(note_pid() + say_pid("stopper") + "exec tail -f /dev/null");
  services[0].stop_within = 300_ms;
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid_of("a")));
  EXPECT_TRUE(until([&] { return !runs(pid_of("stopper")); }));
}

TEST_F(ServiceEdgeTest, AProcessWhoseStopCommandFailsIsEndedAllTheSame) {
  services = {process("a")};
  services[0].stop = sh("exit 1");
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid_of("a")));
}

// ---- what a service gets

TEST_F(ServiceEdgeTest, ServicesAndTheirCommandsLearnWhereTheyAre) {
  services = {command("a")};
  services[0].start = sh("env > " + folder.at("start.env"));
  services[0].stop = sh("env > " + folder.at("stop.env"));
  open();
  ASSERT_EQ(result_of(start()), 0);
  auto environment = lines_of("start.env");
  for (const std::string expected : {"CROSSBEAT_STATE=PRIMARY_ACTIVE", "CROSSBEAT_REASON=none",
                                     "CROSSBEAT_ROLE=primary", "CROSSBEAT_ADDRESSES=192.0.2.10/24",
                                     "CROSSBEAT_PAIRING=192.0.2.1", "CROSSBEAT_SERVICE=a"}) {
    EXPECT_EQ(std::ranges::count(environment, expected), 1) << expected;
  }
  context.reason = "operator";
  ASSERT_EQ(result_of(stop()), 0);
  environment = lines_of("stop.env");
  EXPECT_EQ(std::ranges::count(environment, "CROSSBEAT_REASON=operator"), 1);
}

TEST_F(ServiceEdgeTest, OutputGoesToALogOfTheService) {
  services = {command("a"), process("b", "echo from b; echo bad >&2; exec tail -f /dev/null")};
  services[0].start = sh("echo from a");
  open();
  ASSERT_EQ(result_of(start()), 0);
  const std::string logs = "var/log/crossbeat/services/192.0.2.1-";
  EXPECT_THAT(lines_of(logs + "a.log"), ElementsAre("from a"));
  EXPECT_TRUE(until([&] { return lines_of(logs + "b.log").size() == 2; }));
  EXPECT_THAT(lines_of(logs + "b.log"), ElementsAre("from b", "bad"));
}

}  // namespace
}  // namespace cb::test
