// SPDX-License-Identifier: Apache-2.0
//
// The driver of units, with a systemctl of the test's own: a script that notes its arguments and
// does what the test tells it in files.
#include "drivers/service/systemd.h"
#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

class SystemdTest : public ServiceEdgeTest {
 protected:
  SystemdTest() {
    unit.name = "db";
    unit.kind = config::Service::Kind::Unit;
    unit.unit = "db.service";
    manager.booted = folder.path();
    manager.systemctl = folder.at("systemctl");
    // Options away; then "verb args"; unit must come after "--".
    std::ofstream(manager.systemctl)
        << "#!/bin/sh\n"
        << "cd " << folder.path() << "\n"
        << "line=\n"
        << "for each; do case $each in --no-*|--property=*) test $each = --no-block || continue;; "
           "esac; line=\"$line $each\"; done\n"
        << "echo \"${line# }\" >> log\n"
        << "case $line in\n"
        << "*' show '*) echo ActiveState=$(cat state); exit $(cat show.exit 2>/dev/null || echo "
           "0);;\n"
        << "*' kill '*) test -e unkillable || echo failed > state;;\n"
        << "*--no-block*) ;;\n"
        << "*' start '*) echo $$ >> pids; test -e hang && exec tail -f /dev/null\n"
        << "  test -e refuse && { echo 'Job for db.service failed.' >&2; exit 1; }\n"
        << "  echo active > state;;\n"
        << "*' stop '*) echo $$ >> pids; test -e hang && exec tail -f /dev/null\n"
        << "  test -e refuse && { echo 'Unit db.service not loaded.' >&2; exit 5; }\n"
        << "  echo inactive > state;;\n"
        << "esac\nexit 0\n";
    std::filesystem::permissions(manager.systemctl, std::filesystem::perms::owner_all);
    set_state("inactive");
  }
  void TearDown() override {
    driver.reset();
    for (const std::string& line : lines_of("pids")) {
      const auto pid = static_cast<pid_t>(parse_number(line, 1u << 30).value_or(0));
      const auto command = read_all("/proc/" + line + "/cmdline", 4096);
      if (pid > 0 && command && command->starts_with("tail")) {
        kill(pid, SIGKILL);
      }
    }
    ServiceEdgeTest::TearDown();
  }

  void make() {
    driver = std::make_unique<service::Systemd>(
        unit, service::Surroundings{*loop, *hands, folder.at("out"), nullptr}, manager);
  }
  void set_state(const std::string& state) { std::ofstream(folder.at("state")) << state << "\n"; }
  void let(const std::string& what) { std::ofstream(folder.at(what)) << "x"; }

  enum class Verb { Start, Stop, Ask };
  std::pair<int, std::string> run(Verb verb, Duration within = 10_s) {
    if (!driver) {
      make();
    }
    std::optional<std::pair<int, std::string>> answer;
    const auto done = [&](int error, const std::string& text) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = {error, text};
    };
    const Instant deadline = boottime_now() + within;
    switch (verb) {
      case Verb::Start: driver->start({}, deadline, done); break;
      case Verb::Stop: driver->stop({}, deadline, done); break;
      case Verb::Ask: driver->ask(deadline, done); break;
    }
    EXPECT_TRUE(until([&] { return answer.has_value(); }));
    return answer.value_or(std::pair<int, std::string>{-1, ""});
  }

  config::Service unit;
  service::Manager manager;
  std::unique_ptr<service::Driver> driver;
};

TEST_F(SystemdTest, StartsStopsAndAsks) {
  EXPECT_EQ(run(Verb::Ask).first, ESRCH);
  EXPECT_EQ(run(Verb::Start).first, 0);
  EXPECT_EQ(run(Verb::Ask).first, 0);
  EXPECT_EQ(run(Verb::Stop).first, 0);
  EXPECT_EQ(run(Verb::Ask).first, ESRCH);
  EXPECT_THAT(log(), ElementsAre("show -- db.service", "start -- db.service", "show -- db.service",
                                 "stop -- db.service", "show -- db.service"));
}

TEST_F(SystemdTest, WithoutSystemdEveryCallSaysSo) {
  manager.booted = folder.at("nothing");
  for (const Verb verb : {Verb::Start, Verb::Stop, Verb::Ask}) {
    const auto [error, text] = run(verb);
    EXPECT_EQ(error, ENOSYS);
    EXPECT_THAT(text, HasSubstr("db.service"));
    EXPECT_THAT(text, HasSubstr("not booted with systemd"));
  }
  EXPECT_TRUE(log().empty());
}

TEST_F(SystemdTest, WithoutSystemctlEveryCallFails) {
  manager.systemctl = folder.at("no-such-program");
  for (const Verb verb : {Verb::Start, Verb::Stop, Verb::Ask}) {
    EXPECT_EQ(run(verb).first, ENOENT);
  }
}

TEST_F(SystemdTest, AFailedStartTellsWhatSystemdSays) {
  let("refuse");
  const auto [error, text] = run(Verb::Start);
  EXPECT_EQ(error, EIO);
  EXPECT_THAT(text, HasSubstr("Job for db.service failed."));
}

TEST_F(SystemdTest, ALateStartIsTakenBackAndTheUnitKilled) {
  let("hang");
  set_state("activating");
  EXPECT_EQ(run(Verb::Start, 1_s).first, ETIMEDOUT);
  EXPECT_THAT(log(), ElementsAre("start -- db.service", "stop --no-block -- db.service",
                                 "kill --signal=SIGKILL -- db.service"));
}

TEST_F(SystemdTest, AUnitThatDoesNotStopIsKilledAndIsStoppedThen) {
  let("hang");
  set_state("active");
  const auto [error, text] = run(Verb::Stop, 1_s);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(text, service::kKilled);
  EXPECT_THAT(log(), ElementsAre("stop -- db.service", "kill --signal=SIGKILL -- db.service",
                                 "show -- db.service"));
}

TEST_F(SystemdTest, AUnitThatCannotBeKilledIsNotStopped) {
  let("hang");
  let("unkillable");
  set_state("deactivating");
  const auto [error, text] = run(Verb::Stop, 1_s);
  EXPECT_EQ(error, ETIMEDOUT);
  EXPECT_THAT(text, HasSubstr("deactivating"));
}

TEST_F(SystemdTest, AnUnknownUnitIsStopped) {
  let("refuse");
  EXPECT_EQ(run(Verb::Stop).first, 0);
}

TEST_F(SystemdTest, AStopThatFailsWhileTheUnitRunsHasFailed) {
  let("refuse");
  for (const char* state : {"active", "activating", "deactivating"}) {
    set_state(state);
    const auto [error, text] = run(Verb::Stop);
    EXPECT_EQ(error, EIO) << state;
    EXPECT_THAT(text, HasSubstr("not loaded"));
  }
}

TEST_F(SystemdTest, ReadsEveryState) {
  const std::pair<const char*, int> kStates[] = {
      {"active", 0},     {"reloading", 0},       {"inactive", ESRCH},
      {"failed", ESRCH}, {"activating", EAGAIN}, {"deactivating", EAGAIN},
      {"", EAGAIN},      {"nonsense", EAGAIN},   {"maintenance", EAGAIN},
  };
  for (const auto& [state, expected] : kStates) {
    set_state(state);
    EXPECT_EQ(run(Verb::Ask).first, expected) << state;
  }
  set_state("inactive");
  std::ofstream(folder.at("show.exit")) << "1\n";
  EXPECT_EQ(run(Verb::Ask).first, EIO) << "a systemctl that fails knows nothing";
}

TEST_F(SystemdTest, MayBeDestroyedInTheMiddleOfACall) {
  let("hang");
  make();
  bool called = false;
  driver->start({}, boottime_now() + 1_s, [&](int, const std::string&) { called = true; });
  ASSERT_TRUE(until([&] { return logged("start -- db.service"); }));
  driver.reset();
  EXPECT_FALSE(until([&] { return called; }, 1500_ms));
}

}  // namespace
}  // namespace cb::test
