// SPDX-License-Identifier: Apache-2.0
//
// Services that are watched: restarted when they fail, and given up when that does not help.
#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

class ServiceHealthTest : public ServiceEdgeTest {
 protected:
  // A service that is healthy while a file is there.
  config::Service healthy_by_file(const std::string& name) {
    config::Service made = command(name);
    made.health = {HealthProbe::Kind::Command, "/usr/bin/test -e " + folder.at(name + ".good"),
                   10_ms, 2, 3};
    return made;
  }
  void set_good(const std::string& name, bool good) {
    const std::string path = folder.at(name + ".good");
    if (good) {
      std::ofstream(path) << "x";
    } else {
      std::filesystem::remove(path);
    }
  }
  long count(const std::string& line) const { return std::ranges::count(log(), line); }
  void end_process(const std::string& name) {
    ASSERT_TRUE(until([&] { return runs(pid_of(name)); }));
    const pid_t pid = pid_of(name);
    kill(pid, SIGKILL);
    ASSERT_TRUE(until([&] { return !runs(pid); }));
  }
};

TEST_F(ServiceHealthTest, AProcessThatEndsIsStartedAgain) {
  services = {process("a"), process("b")};
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return pid_of("a") != 0 && pid_of("b") != 0; }));
  const pid_t other = pid_of("b");
  end_process("a");
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Running && count("start a") == 2; }));
  EXPECT_EQ(facts("a").restarts, 1);
  EXPECT_THAT(facts("a").detail, HasSubstr("killed by signal 9"));
  EXPECT_TRUE(reported("a: ended: killed by signal 9"));
  EXPECT_TRUE(reported("(1 of 2)"));
  EXPECT_TRUE(health.empty()) << "a restart that helps is nobody's business";
  EXPECT_EQ(pid_of("b"), other);
  EXPECT_TRUE(runs(other));
}

TEST_F(ServiceHealthTest, AProcessThatKeepsEndingIsGivenUpAfterItsRestarts) {
  services = {process("a", "echo out of memory; exit 5"), process("b")};
  open();
  ASSERT_EQ(result_of(start()), 0) << "a process is started when it is executed";
  EXPECT_TRUE(until([&] { return !health.empty(); }));
  EXPECT_THAT(health, ElementsAre(false));
  EXPECT_FALSE(edge->healthy());
  EXPECT_EQ(state("a"), ServiceState::Failed);
  EXPECT_EQ(count("start a"), 3) << "once, and two restarts";
  EXPECT_EQ(facts("a").restarts, 2);
  EXPECT_THAT(facts("a").detail, HasSubstr("exit code 5"));
  EXPECT_THAT(facts("a").detail, HasSubstr("out of memory"));
  EXPECT_TRUE(reported("all 2 local restarts are used up"));
  EXPECT_EQ(state("b"), ServiceState::Running);
}

TEST_F(ServiceHealthTest, WithoutRestartsTheFirstFailureCounts) {
  services = {process("a")};
  services[0].restarts = 0;
  open();
  ASSERT_EQ(result_of(start()), 0);
  end_process("a");
  EXPECT_TRUE(until([&] { return !health.empty(); }));
  EXPECT_THAT(health, ElementsAre(false));
  EXPECT_EQ(count("start a"), 1);
}

TEST_F(ServiceHealthTest, ANewStartOfAllBringsBackWhatWasGivenUp) {
  services = {process("a")};
  services[0].restarts = 0;
  open();
  ASSERT_EQ(result_of(start()), 0);
  end_process("a");
  ASSERT_TRUE(until([&] { return !health.empty(); }));
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_EQ(state("a"), ServiceState::Running);
  EXPECT_THAT(health, ElementsAre(false, true));
  EXPECT_TRUE(edge->healthy());
  EXPECT_EQ(facts("a").restarts, 0);
}

TEST_F(ServiceHealthTest, AServiceThatRanForLongHasItsRestartsAgain) {
  services = {process("a")};
  services[0].restarts = 1;
  forget_restarts_after = 1_ms;
  open();
  ASSERT_EQ(result_of(start()), 0);
  for (long starts = 2; starts <= 4; ++starts) {
    const pid_t before = pid_of("a");
    end_process("a");
    ASSERT_TRUE(until(
        [&] { return count("start a") == starts && pid_of("a") != before && runs(pid_of("a")); }));
    // The millisecond in which it runs.
    const Instant now = boottime_now();
    ASSERT_TRUE(until([&] { return boottime_now() > now + 2_ms; }));
  }
  EXPECT_TRUE(health.empty());
  EXPECT_EQ(facts("a").restarts, 1);
}

TEST_F(ServiceHealthTest, AStopEndsTheRestarts) {
  services = {process("a", "exit 1")};
  services[0].restarts = 100;
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_TRUE(until([&] { return facts("a").restarts >= 2; }));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  settle_hands();
  const long so_far = count("start a");
  // Longer than the pause between two restarts.
  EXPECT_FALSE(until([&] { return count("start a") != so_far; }, 1500_ms));
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_TRUE(health.empty());
}

TEST_F(ServiceHealthTest, AFailureAfterAStopIsNone) {
  services = {process("a")};
  open();
  ASSERT_EQ(result_of(start()), 0);
  ASSERT_EQ(result_of(stop()), 0);
  EXPECT_TRUE(reports.empty());
  EXPECT_TRUE(health.empty());
  EXPECT_TRUE(edge->healthy());
}

// ---- probes

TEST_F(ServiceHealthTest, AStartWaitsUntilTheProbeIsGood) {
  services = {healthy_by_file("a"), command("b")};
  open();
  const Answer started = start();
  ASSERT_TRUE(until([&] { return logged("start a"); }));
  settle_hands();
  EXPECT_EQ(state("a"), ServiceState::Starting);
  EXPECT_FALSE(logged("start b"));
  set_good("a", true);
  EXPECT_EQ(result_of(started), 0);
  EXPECT_EQ(state("a"), ServiceState::Running);
  EXPECT_TRUE(logged("start b"));
}

TEST_F(ServiceHealthTest, AStartThatDoesNotBecomeHealthyInTimeHasFailed) {
  services = {healthy_by_file("a")};
  services[0].start_within = 1_s;
  open();
  EXPECT_EQ(result_of(start()), ETIMEDOUT);
  EXPECT_EQ(state("a"), ServiceState::Failed);
  EXPECT_THAT(facts("a").detail, HasSubstr("not healthy in time"));
  // The next start does not stumble over the first.
  set_good("a", true);
  EXPECT_EQ(result_of(start()), 0);
  EXPECT_THAT(log(), ElementsAre("start a", "stop a", "start a"));
}

TEST_F(ServiceHealthTest, AStopEndsTheWaitForHealth) {
  services = {healthy_by_file("a")};
  open();
  const Answer started = start();
  ASSERT_TRUE(until([&] { return logged("start a"); }));
  EXPECT_EQ(result_of(stop()), 0);
  EXPECT_EQ(result_of(started), ECANCELED);
  EXPECT_THAT(log(), ElementsAre("start a", "stop a"));
}

TEST_F(ServiceHealthTest, WhatIsUnhealthyIsStoppedAndStartedAgain) {
  services = {healthy_by_file("a")};
  // It is good once it was started, until somebody makes it bad.
  services[0].start = sh(say("start a") + "touch " + folder.at("a.good"));
  open();
  ASSERT_EQ(result_of(start()), 0);
  set_good("a", false);
  EXPECT_TRUE(until([&] { return count("start a") == 2 && state("a") == ServiceState::Running; }));
  EXPECT_THAT(log(), ElementsAre("start a", "stop a", "start a"));
  EXPECT_EQ(facts("a").restarts, 1);
  EXPECT_TRUE(reported("its health probe fails"));
  EXPECT_TRUE(health.empty());
}

TEST_F(ServiceHealthTest, FallCountsFailuresInARow) {
  // The probe takes the next word of a list: how it is to end.
  const std::string list = folder.at("list");
  const std::string probe = folder.at("probe");
  std::ofstream(probe) << "#!/bin/sh\nread next < " << list << " || exit 0\nsed -i 1d " << list
                       << "\nexit $next\n";
  std::filesystem::permissions(probe, std::filesystem::perms::owner_all);
  services = {command("a")};
  services[0].health = {HealthProbe::Kind::Command, probe, 10_ms, 2, 3};
  services[0].restarts = 0;
  std::ofstream(list) << "0\n1\n1\n0\n1\n1\n0\n1\n1\n1\n1\n";
  open();
  ASSERT_EQ(result_of(start()), 0);
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Failed; }));
  EXPECT_THAT(health, ElementsAre(false));
  // Two failures in a row were forgiven twice; the third of the last four was the end.
  EXPECT_LE(lines_of("list").size(), 1u);
  EXPECT_TRUE(until([&] { return lines_of("list").empty(); }));
}

TEST_F(ServiceHealthTest, WhatWasGivenUpAndComesBackIsUpAfterItsRise) {
  services = {healthy_by_file("a")};
  services[0].restarts = 0;
  set_good("a", true);
  open();
  ASSERT_EQ(result_of(start()), 0);
  set_good("a", false);
  ASSERT_TRUE(until([&] { return state("a") == ServiceState::Failed; }));
  EXPECT_THAT(health, ElementsAre(false));
  set_good("a", true);
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Running; }));
  EXPECT_THAT(health, ElementsAre(false, true));
  EXPECT_TRUE(reported("a: is healthy again"));
  EXPECT_EQ(facts("a").detail, "");
}

TEST_F(ServiceHealthTest, AProbeThatHangsIsKilledAndIsAFailure) {
  services = {command("a")};
  const std::string probe = folder.at("probe");
  std::ofstream(probe) << "#!/bin/sh\ntest -e " << folder.at("good") << " && exit 0\n"
                       << note_pid() << say_pid("probe") << "exec tail -f /dev/null\n";
  std::filesystem::permissions(probe, std::filesystem::perms::owner_all);
  services[0].health = {HealthProbe::Kind::Command, probe, 10_ms, 1, 1};
  services[0].restarts = 0;
  std::ofstream(folder.at("good")) << "x";
  open();
  ASSERT_EQ(result_of(start()), 0);
  std::filesystem::remove(folder.at("good"));
  EXPECT_TRUE(until([&] { return state("a") == ServiceState::Failed; }));
  EXPECT_THAT(facts("a").detail, HasSubstr("killed, it was late"));
  EXPECT_EQ(result_of(stop()), 0);
}

// ---- callbacks that act

TEST_F(ServiceHealthTest, ItsOwnCallsMayStopIt) {
  services = {process("a"), process("b")};
  services[0].restarts = 0;
  open();
  ASSERT_EQ(result_of(start()), 0);
  edge.reset();
  settle_hands();
  Answer stopped;
  edge::ServiceOptions options;
  options.root = root;
  options.instance = "192.0.2.1";
  options.services = services;
  options.on_health = [&](bool up) {
    EXPECT_FALSE(up);
    stopped = stop();
  };
  edge = std::make_unique<edge::ServiceEdge>(*loop, *hands, std::move(options));
  ASSERT_EQ(result_of(resume()), 0);
  end_process("a");
  ASSERT_TRUE(until([&] { return stopped != nullptr; }));
  EXPECT_EQ(result_of(stopped), 0);
  EXPECT_EQ(state("a"), ServiceState::Stopped);
  EXPECT_FALSE(runs(pid_of("b")));
}

TEST_F(ServiceHealthTest, ItsOwnCallsMayDestroyIt) {
  services = {process("a")};
  services[0].restarts = 0;
  for (const bool in_report : {true, false}) {
    bool gone = false;
    edge::ServiceOptions options;
    options.root = root;
    options.instance = in_report ? "192.0.2.2" : "192.0.2.3";
    options.services = services;
    const auto destroy = [&] {
      edge.reset();
      gone = true;
    };
    if (in_report) {
      options.on_report = [&](const std::string&, const std::string&) { destroy(); };
    } else {
      options.on_health = [&](bool) { destroy(); };
    }
    std::filesystem::remove(folder.at("a.pid"));
    edge = std::make_unique<edge::ServiceEdge>(*loop, *hands, std::move(options));
    ASSERT_EQ(result_of(start()), 0);
    ASSERT_TRUE(until([&] { return pid_of("a") != 0; }));
    end_process("a");
    EXPECT_TRUE(until([&] { return gone; }));
  }
}

TEST_F(ServiceHealthTest, ItsAnswerMayDestroyIt) {
  services = {command("a")};
  open();
  bool gone = false;
  edge->start(context, boottime_now() + 10_s, [&](int error) {
    EXPECT_EQ(error, 0);
    edge.reset();
    gone = true;
  });
  EXPECT_TRUE(until([&] { return gone; }));
}

// ---- units

TEST_F(ServiceHealthTest, AUnitOnAMachineWithoutSystemdSaysSo) {
  if (access("/run/systemd/system", F_OK) == 0) {
    GTEST_SKIP() << "this machine was booted with systemd";
  }
  services = {service("a")};
  services[0].kind = config::Service::Kind::Unit;
  services[0].unit = "mysql.service";
  open();
  EXPECT_EQ(result_of(start()), ENOSYS);
  EXPECT_EQ(state("a"), ServiceState::Failed);
  EXPECT_THAT(facts("a").detail, HasSubstr("not booted with systemd"));
  EXPECT_TRUE(reported("a: could not be started"));
}

}  // namespace
}  // namespace cb::test
