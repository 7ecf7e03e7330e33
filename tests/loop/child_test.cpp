// SPDX-License-Identifier: Apache-2.0
#include "loop/child.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "base/file.h"
#include "base/text.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

using test::open_loop;
using test::turn_until;

class ChildTest : public testing::Test {
 protected:
  ChildTest() : loop(open_loop()) {
    hands = std::move(*Hands::start(*loop, {.name = "test-hands", .fifo = {}}));
  }

  // Runs a shell script to its end; its lines and its end.
  void run(const std::string& script, ChildPlan plan = {}) {
    plan.command = {"/bin/sh", "-c", script};
    run_plan(std::move(plan));
  }
  void run_plan(ChildPlan plan) {
    lines.clear();
    ended.reset();
    child = Child::start(*loop, *hands, std::move(plan), calls());
    EXPECT_TRUE(turn_until(*loop, [&] { return ended.has_value(); }));
  }
  Child::Calls calls() {
    Child::Calls calls;
    calls.on_started = [this] { started = true; };
    calls.on_line = [this](std::string_view line) { lines.emplace_back(line); };
    calls.on_ended = [this](const Ended& e) {
      EXPECT_FALSE(ended.has_value()) << "ended twice";
      ended = e;
    };
    return calls;
  }
  bool process_is_gone(pid_t pid) {
    return turn_until(*loop, [&] {
      loop->wake();
      return start_time_of(pid) == 0;
    });
  }

  std::unique_ptr<Loop> loop;
  std::unique_ptr<Hands> hands;
  std::unique_ptr<Child> child;
  bool started = false;
  std::vector<std::string> lines;
  std::optional<Ended> ended;
};

TEST_F(ChildTest, PassesItsLinesAndItsExitCode) {
  run("echo one; echo two >&2; printf three; exit 7");
  EXPECT_TRUE(started);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(ended->exit_code, 7);
  EXPECT_FALSE(ended->success());
  EXPECT_EQ(ended->text(), "exit code 7");
}

TEST_F(ChildTest, TellsTheSignalThatEndedIt) {
  run("kill -9 $$");
  EXPECT_EQ(ended->signal, SIGKILL);
  EXPECT_FALSE(ended->success());
}

TEST_F(ChildTest, AProgramThatIsNotThereEndsWithItsError) {
  run_plan({.command = {"/nonexistent/program"}});
  EXPECT_FALSE(started);
  EXPECT_EQ(ended->error, ENOENT);
  run_plan({.command = {"no-such-program-anywhere"}});
  EXPECT_EQ(ended->error, ENOENT);
  run_plan({.command = {"/etc/passwd"}});
  EXPECT_EQ(ended->error, EACCES);
  run_plan({});
  EXPECT_EQ(ended->error, EINVAL);
}

TEST_F(ChildTest, FindsProgramsOnItsOwnPath) {
  run_plan({.command = {"true"}});
  EXPECT_TRUE(ended->success());
}

TEST_F(ChildTest, GetsOnlyTheEnvironmentThatItIsGiven) {
  setenv("SECRET_OF_THE_MONITOR", "1", 1);
  ChildPlan plan;
  plan.environment = {"CROSSBEAT_STATE=FAILOVER_ACTIVE"};
  plan.command = {"env"};
  run_plan(plan);
  unsetenv("SECRET_OF_THE_MONITOR");
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines, (std::vector<std::string>{"CROSSBEAT_STATE=FAILOVER_ACTIVE", "LANG=C.UTF-8",
                                             "PATH=" + std::string(kChildPath)}));
}

TEST_F(ChildTest, InheritsNoDescriptors) {
  const Fd leak(::open("/dev/zero", O_RDONLY));  // without close-on-exec
  run("for f in /proc/self/fd/*; do echo ${f##*/}; done");
  // 0, 1, 2, and the one with which the shell lists them.
  EXPECT_LE(lines.size(), 4u);
  for (const std::string& line : lines) {
    EXPECT_LE(std::stoi(line), 3) << line;
  }
}

TEST_F(ChildTest, HasASessionOfItsOwnAndNoInput) {
  run("read x; echo \"$? $x\"; ps -o pid=,sid=,pgid= -p $$");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "1 ");
  const std::string pid = std::to_string(child->pid());
  std::vector<std::string> fields;
  for (const auto field : split(lines[1], ' ')) {
    if (!field.empty()) {
      fields.emplace_back(field);
    }
  }
  EXPECT_EQ(fields, (std::vector<std::string>{pid, pid, pid}));
}

TEST_F(ChildTest, HasDefaultSignalsWhateverOursAre) {
  // The hands' thread has all signals blocked; SIGPIPE is ignored as in a daemon.
  const auto before = signal(SIGPIPE, SIG_IGN);
  run("grep -E '^Sig(Blk|Ign)' /proc/self/status");
  signal(SIGPIPE, before);
  EXPECT_EQ(lines,
            (std::vector<std::string>{"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"}));
}

TEST_F(ChildTest, IsScheduledOrdinarilyWhateverWeAre) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root for real-time priority";
  }
  hands.reset();
  hands = std::move(*Hands::start(*loop, {.name = "rt-hands", .fifo = 10}));
  ASSERT_TRUE(hands->is_fifo());
  EXPECT_EQ(setpriority(PRIO_PROCESS, 0, -5), 0);
  run("chrt -p $$; nice; cat /proc/self/oom_score_adj");
  EXPECT_EQ(setpriority(PRIO_PROCESS, 0, 0), 0);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_NE(lines[0].find("SCHED_OTHER"), std::string::npos) << lines[0];
  EXPECT_EQ(lines[2], "0");
  EXPECT_EQ(lines[3], "0");
}

TEST_F(ChildTest, HasOrdinaryTimers) {
  run("cat /proc/self/timerslack_ns");
  EXPECT_EQ(lines, std::vector<std::string>{"50000"});
}

TEST_F(ChildTest, MemoryThatWeLockedIsNotLockedInIt) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_EQ(mlock(page, 4096), 0);
  run("grep VmLck /proc/self/status");
  munlock(page, 4096);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find(" 0 kB"), std::string::npos) << lines[0];
}

TEST_F(ChildTest, MoreOutputThanTheLimitIsDroppedAndNothingHangs) {
  ChildPlan plan;
  plan.output_max = 1000;
  run("for i in $(seq 20000); do echo 0123456789; done; exit 3", plan);
  size_t bytes = 0;
  for (const std::string& line : lines) {
    bytes += line.size() + 1;
  }
  EXPECT_LE(bytes, 1001u);
  EXPECT_GE(bytes, 990u);
  EXPECT_EQ(ended->exit_code, 3);
}

TEST_F(ChildTest, AppendsItsOutputToAFile) {
  test::TemporaryFolder folder;
  const std::string path = folder.path() + "/out.log";
  ChildPlan plan;
  plan.output_file = path;
  run("echo first", plan);
  run("echo second >&2", plan);
  EXPECT_EQ(*read_all(path, 1000), "first\nsecond\n");
  EXPECT_TRUE(lines.empty());
}

TEST_F(ChildTest, TheWholeGroupIsSignalled) {
  child = Child::start(*loop, *hands, {.command = {"/bin/sh", "-c", "sleep 1000 & echo $!; wait"}},
                       calls());
  ASSERT_TRUE(turn_until(*loop, [&] { return lines.size() == 1; }));
  const pid_t grandchild = std::stoi(lines[0]);
  EXPECT_NE(start_time_of(grandchild), 0u);
  child->signal_group(SIGKILL);
  EXPECT_TRUE(turn_until(*loop, [&] { return ended.has_value(); }));
  EXPECT_EQ(ended->signal, SIGKILL);
  EXPECT_TRUE(process_is_gone(grandchild));
}

TEST_F(ChildTest, WhatIsLeftOfItsGroupEndsWithItWhenAsked) {
  ChildPlan plan;
  plan.end_group = true;
  run("sleep 1000 & echo $!", plan);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(process_is_gone(std::stoi(lines[0])));
}

TEST_F(ChildTest, ADaemonThatItLeavesBehindLivesOn) {
  run("sleep 1000 & echo $!");
  ASSERT_EQ(lines.size(), 1u);
  const pid_t daemon = std::stoi(lines[0]);
  EXPECT_NE(start_time_of(daemon), 0u);
  kill(daemon, SIGKILL);
}

TEST_F(ChildTest, ASignalSentBeforeItRunsArrives) {
  child = Child::start(*loop, *hands, {.command = {"sleep", "1000"}}, calls());
  child->signal_group(SIGTERM);
  EXPECT_TRUE(turn_until(*loop, [&] { return ended.has_value(); }));
  EXPECT_EQ(ended->signal, SIGTERM);
}

TEST_F(ChildTest, MayBeDestroyedInItsOwnCalls) {
  Child::Calls in_line;
  bool called = false;
  in_line.on_line = [&](std::string_view) {
    called = true;
    child.reset();
  };
  in_line.on_ended = [](const Ended&) { FAIL() << "the child is gone"; };
  child = Child::start(*loop, *hands, {.command = {"/bin/sh", "-c", "echo a; echo b"}}, in_line);
  EXPECT_TRUE(turn_until(*loop, [&] { return called; }));

  Child::Calls in_end;
  bool over = false;
  in_end.on_ended = [&](const Ended&) {
    child.reset();
    over = true;
  };
  child = Child::start(*loop, *hands, {.command = {"true"}}, in_end);
  EXPECT_TRUE(turn_until(*loop, [&] { return over; }));
}

TEST_F(ChildTest, ADestroyedChildRunsOnAndLeavesNoZombie) {
  child = Child::start(
      *loop, *hands, {.command = {"/bin/sh", "-c", "echo x; read y; exit 0 </dev/null"}}, calls());
  ASSERT_TRUE(turn_until(*loop, [&] { return lines.size() == 1; }));
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_TRUE(turn_until(*loop, [&] {
    loop->wake();
    return kill(pid, 0) != 0 && errno == ESRCH;  // also reaped
  }));
}

TEST_F(ChildTest, AdoptsTheProcessOfAnEarlierMonitorByItsStartTime) {
  // A process that is not ours to wait for: our grandchild.
  run("setsid sleep 1000 >/dev/null 2>&1 & echo $!");
  ASSERT_EQ(lines.size(), 1u);
  const pid_t pid = std::stoi(lines[0]);
  const std::uint64_t start_time = start_time_of(pid);
  ASSERT_NE(start_time, 0u);
  EXPECT_EQ(Child::adopt(*loop, pid, start_time + 1, {}), nullptr) << "another process of this pid";
  EXPECT_EQ(Child::adopt(*loop, getpid(), 0, {}), nullptr);
  ended.reset();
  child = Child::adopt(*loop, pid, start_time, calls());
  ASSERT_NE(child, nullptr);
  EXPECT_TRUE(child->running());
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_FALSE(ended.has_value());
  // setsid(1) forked or executed: the signal goes to the group of this pid, if it leads one.
  kill(pid, SIGKILL);
  EXPECT_TRUE(turn_until(*loop, [&] { return ended.has_value(); }));
  EXPECT_FALSE(ended->known);
  EXPECT_FALSE(ended->success());
}

TEST(StartTime, IsNothingForAProcessThatIsNotThere) {
  EXPECT_NE(start_time_of(getpid()), 0u);
  EXPECT_EQ(start_time_of(1 << 30), 0u);
}

class RunCommandTest : public ChildTest {
 protected:
  void command(std::vector<std::string> words, Duration within) {
    answers.clear();
    run_command(*loop, *hands, {.command = std::move(words)}, boottime_now() + within, nullptr,
                [this](int error, const std::string& text) { answers.emplace_back(error, text); });
    EXPECT_TRUE(turn_until(*loop, [&] { return !answers.empty(); }));
    ASSERT_EQ(answers.size(), 1u);
  }
  std::vector<std::pair<int, std::string>> answers;
};

TEST_F(RunCommandTest, AnswersZeroForExitCodeZero) {
  command({"true"}, Duration::from_s(10));
  EXPECT_EQ(answers[0].first, 0);
}

TEST_F(RunCommandTest, SaysHowItFailedWithTheLastLine) {
  command({"/bin/sh", "-c", "echo 'no such outlet' >&2; exit 4"}, Duration::from_s(10));
  EXPECT_EQ(answers[0].first, EIO);
  EXPECT_EQ(answers[0].second, "/bin/sh: exit code 4: no such outlet");
}

TEST_F(RunCommandTest, KillsTheGroupAtTheDeadlineAndAnswersOnce) {
  const Instant before = boottime_now();
  command({"/bin/sh", "-c", "trap '' TERM; echo $$; sleep 1000 & wait"}, Duration::from_ms(300));
  EXPECT_LT(boottime_now() - before, Duration::from_s(8));
  EXPECT_EQ(answers[0].first, ETIMEDOUT);
  const auto words = split(answers[0].second, ' ');
  const pid_t pid = std::stoi(std::string(words.back()));
  EXPECT_TRUE(process_is_gone(pid));
  EXPECT_EQ(answers.size(), 1u);
}

TEST_F(RunCommandTest, SaysThatAProgramIsMissing) {
  command({"/nonexistent/fence"}, Duration::from_s(10));
  EXPECT_EQ(answers[0].first, ENOENT);
  EXPECT_NE(answers[0].second.find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace cb::loop
