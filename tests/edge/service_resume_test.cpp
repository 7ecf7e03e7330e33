// SPDX-License-Identifier: Apache-2.0
//
// What a monitor finds that comes after another one: the services run on meanwhile.
#include <sys/wait.h>

#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

class ServiceResumeTest : public ServiceEdgeTest {
 protected:
  // A first monitor starts everything and is gone; a second one is there, and knows nothing.
  void start_and_open_again() {
    open();
    ASSERT_EQ(result_of(start()), 0);
    for (const config::Service& each : services) {
      if (each.health.kind == HealthProbe::Kind::Process && each.enabled) {
        ASSERT_TRUE(until([&] { return pid_of(each.name) != 0; }));
      }
    }
    open_again();
  }
  std::string mark_of(const std::string& name) const {
    return folder.at("run/crossbeat/services/192.0.2.1/" + name + ".mark");
  }
};

TEST_F(ServiceResumeTest, WhatRunsIsTakenOverAndNotStartedAgain) {
  services = {process("a"), command("b")};
  start_and_open_again();
  const pid_t pid = pid_of("a");
  EXPECT_EQ(state("a"), ServiceState::Stopped) << "nothing is known yet";
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_EQ(state("a"), ServiceState::Running);
  EXPECT_EQ(state("b"), ServiceState::Running);
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_EQ(pid_of("a"), pid);
  EXPECT_TRUE(runs(pid));
  EXPECT_THAT(log(), testing::UnorderedElementsAre("start a", "start b"));
  EXPECT_TRUE(health.empty());
  EXPECT_TRUE(edge->healthy());
}

TEST_F(ServiceResumeTest, WhatWasTakenOverIsWatched) {
  services = {process("a")};
  start_and_open_again();
  const pid_t pid = pid_of("a");
  ASSERT_EQ(result_of(resume()), 0);
  kill(pid, SIGKILL);
  EXPECT_TRUE(until([&] { return runs(pid_of("a")) && pid_of("a") != pid; }));
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Running; }));
  EXPECT_EQ(facts("a").restarts, 1);
}

TEST_F(ServiceResumeTest, WhatWasTakenOverCanBeStopped) {
  services = {process("a"), process("b")};
  start_and_open_again();
  ASSERT_EQ(result_of(resume()), 0);
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_TRUE(until([&] { return !runs(pid_of("a")) && !runs(pid_of("b")); }));
  EXPECT_EQ(state("a"), ServiceState::Stopped);
}

// A node that finds its peer in command cleans up at once, without waiting for the resume.
TEST_F(ServiceResumeTest, AStopRightAfterAResumeStopsWhatTheEarlierMonitorStarted) {
  services = {process("a"), process("b")};
  start_and_open_again();
  const Answer resumed = resume();
  const Answer stopped = stop();
  EXPECT_EQ(result_of(resumed), ECANCELED);
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_FALSE(runs(pid_of("a")));
  EXPECT_FALSE(runs(pid_of("b")));
  EXPECT_EQ(std::ranges::count(log(), "start a"), 1);
}

// The kernel's maps were lost, so that nobody resumes.
TEST_F(ServiceResumeTest, AStopWithoutAResumeStopsWhatTheEarlierMonitorStarted) {
  services = {process("a")};
  start_and_open_again();
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid_of("a")));
}

TEST_F(ServiceResumeTest, AStartWithoutAResumeLeavesAloneWhatTheEarlierMonitorStarted) {
  services = {process("a"), process("b")};
  services[1].enabled = false;
  start_and_open_again();
  const pid_t pid = pid_of("a");
  services[1].enabled = true;
  open_again();
  EXPECT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return runs(pid_of("b")); }));
  EXPECT_EQ(pid_of("a"), pid);
  EXPECT_TRUE(runs(pid));
}

// A standby's monitor that is restarted: nothing ran, and nothing may run.
TEST_F(ServiceResumeTest, StartsNothingWhereNothingRan) {
  services = {process("a"), command("b")};
  open();
  EXPECT_EQ(result_of(resume()), 0);
  settle_hands();
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_EQ(state("b"), ServiceState::Stopped);
  EXPECT_TRUE(log().empty());
  EXPECT_TRUE(health.empty());
}

TEST_F(ServiceResumeTest, StartsNothingAfterAStop) {
  services = {process("a"), command("b")};
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_EQ(result_of(stop()), 0);
  open_again();
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_EQ(state("b"), ServiceState::Stopped);
}

TEST_F(ServiceResumeTest, WhatEndedMeanwhileIsDownAndIsLeftToAStart) {
  services = {process("a"), process("b")};
  start_and_open_again();
  const pid_t pid = pid_of("a");
  kill(pid, SIGKILL);
  ASSERT_TRUE(until([&] { return !runs(pid); }));
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_EQ(state("a"), ServiceState::Failed);
  EXPECT_EQ(state("b"), ServiceState::Running);
  EXPECT_THAT(health, ElementsAre(false));
  EXPECT_EQ(std::ranges::count(log(), "start a"), 1);
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_TRUE(until([&] { return runs(pid_of("a")) && pid_of("a") != pid; }));
  EXPECT_THAT(health, ElementsAre(false, true));
}

TEST_F(ServiceResumeTest, ADisabledServiceThatStillRunsIsStoppedWithTheOthers) {
  services = {process("a"), process("b")};
  start_and_open_again();
  services[1].enabled = false;
  open_again();
  ASSERT_EQ(result_of(resume()), 0);
  EXPECT_TRUE(runs(pid_of("b")));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_FALSE(runs(pid_of("b")));
}

// ---- marks that cannot be believed

TEST_F(ServiceResumeTest, AMarkOfAnotherProcessWithTheSameNumberIsNotBelieved) {
  services = {process("a")};
  start_and_open_again();
  const pid_t pid = pid_of("a");
  std::string mark = *read_all(mark_of("a"), 1000);
  const auto fields = split(trim(mark), ' ');
  ASSERT_EQ(fields.size(), 3u);
  // Our own number, with the start time of the service.
  std::ofstream(mark_of("a")) << fields[0] << " " << getpid() << " " << fields[2] << "\n";
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_EQ(state("a"), ServiceState::Failed);
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_TRUE(runs(pid)) << "nothing was signalled that is not known for certain";
}

TEST_F(ServiceResumeTest, AMarkOfAnEarlierBootSaysNothing) {
  services = {process("a"), command("b")};
  start_and_open_again();
  for (const char* name : {"a", "b"}) {
    std::string mark = *read_all(mark_of(name), 1000);
    mark[0] = mark[0] == '0' ? '1' : '0';
    std::ofstream(mark_of(name)) << mark;
  }
  EXPECT_EQ(result_of(resume()), 0);
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_EQ(state("b"), ServiceState::Stopped);
}

TEST_F(ServiceResumeTest, DamagedMarksSayNothing) {
  for (const std::string bad :
       {"", "\n", "x", "1 2 3", "boot 99999999999999999999 1", "boot -1 5", "boot 1 5 7"}) {
    services = {process("a")};
    open();
    ASSERT_TRUE(
        std::filesystem::create_directories(folder.at("run/crossbeat/services/192.0.2.1")) || true);
    std::string text = bad;
    if (const auto at = text.find("boot"); at != std::string::npos) {
      const auto id = read_all("/proc/sys/kernel/random/boot_id", 100);
      text.replace(at, 4, std::string(trim(*id)));
    }
    std::ofstream(mark_of("a")) << text;
    EXPECT_EQ(result_of(resume()), 0);
    EXPECT_EQ(state("a"), ServiceState::Stopped) << bad;
  }
}

TEST_F(ServiceResumeTest, NamesThatAreNoFileNamesHaveMarksOfTheirOwn) {
  services = {process("a/b"), process("a_b"), process("../x"), process("%2f")};
  const char* pids[] = {"one", "two", "three", "four"};
  for (size_t i = 0; i < services.size(); ++i) {
    services[i].start = process(pids[i]).start;
  }
  open();
  ASSERT_EQ(result_of(start()), 0);
  for (const char* name : pids) {
    ASSERT_TRUE(until([&] { return pid_of(name) != 0; })) << name;
  }
  open_again();
  EXPECT_EQ(result_of(resume()), 0);
  for (const config::Service& each : services) {
    EXPECT_EQ(state(each.name), ServiceState::Running) << each.name;
  }
  EXPECT_EQ(result_of(stop()), 0);
  for (const char* name : pids) {
    EXPECT_FALSE(runs(pid_of(name))) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.at("run/crossbeat/services/x.mark")));
}

}  // namespace
}  // namespace cb::test
