// SPDX-License-Identifier: Apache-2.0
//
// Services that are small shell scripts, in a root folder of the test's own. They write what they
// do into one log, so that a test can read the order of things from it.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "edge/service.h"
#include "loop/child.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {

using config::HealthProbe;
using edge::ServiceState;
using testing::ElementsAre;
using testing::HasSubstr;

// A point at which a script waits until the test lets it go on.
class Gate {
 public:
  explicit Gate(std::string path) : path_(std::move(path)) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    fd_ = Fd(::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(fd_);
  }
  std::string pass() const { return "read x < " + path_; }  // for the script
  void open() { EXPECT_EQ(::write(fd_.get(), "\n", 1), 1); }

 private:
  std::string path_;
  Fd fd_;
};

class ServiceEdgeTest : public testing::Test {
 protected:
  using Answer = std::shared_ptr<std::optional<int>>;

  ServiceEdgeTest() : loop(open_loop()) {
    auto started = loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}});
    EXPECT_TRUE(started) << to_text(started.error());
    hands = std::move(*started);
  }

  // Everything that was started has ended and is reaped before the loop goes.
  void TearDown() override {
    edge.reset();
    settle_hands();
    EXPECT_TRUE(until([this] {
      kill_what_runs();
      siginfo_t info{};
      return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
    })) << "a process that the test does not know of";
    settle_hands();
  }

  // Again and again: a process that is just executing another program has no environment to be
  // known by.
  void kill_what_runs() const {
    for (const std::string& line : lines_of("pids")) {
      const auto pid = static_cast<pid_t>(parse_number(line, 1u << 30).value_or(0));
      if (pid > 0 && is_ours(pid)) {
        kill(-pid, SIGKILL);
      }
    }
  }

  // ---- services

  static std::vector<std::string> sh(const std::string& script) {
    return {"/bin/sh", "-c", script};
  }
  // A script's line that leaves its number, so that nothing outlives the test.
  std::string note_pid() const { return "echo $$ >> " + folder.at("pids") + "; "; }
  std::string say(const std::string& what) const {
    return "echo \"" + what + "\" >> " + folder.at("log") + "; ";
  }
  config::Service service(const std::string& name) const {
    config::Service service;
    service.name = name;
    service.kind = config::Service::Kind::Command;
    service.start_within = 10_s;
    service.stop_within = 10_s;
    service.health.interval = 20_ms;
    return service;
  }
  // A start and a stop command that end.
  config::Service command(const std::string& name) const {
    config::Service made = service(name);
    made.start = sh(note_pid() + say("start " + name));
    made.stop = sh(note_pid() + say("stop " + name));
    return made;
  }
  // A start command that is the service.
  config::Service process(const std::string& name,
                          const std::string& then = "exec tail -f /dev/null") const {
    config::Service made = service(name);
    made.start = sh(note_pid() + say("start " + name) + say_pid(name) + then);
    made.health.kind = HealthProbe::Kind::Process;
    return made;
  }
  std::string say_pid(const std::string& name) const {
    return "echo $$ > " + folder.at(name + ".pid") + "; ";
  }

  // ---- the edge

  void open() {
    edge::ServiceOptions options;
    options.root = root;
    options.instance = "192.0.2.1";
    options.services = services;
    options.forget_restarts_after = forget_restarts_after;
    options.on_health = [this](bool up) { health.push_back(up); };
    options.on_report = [this](const std::string& name, const std::string& text) {
      reports.push_back(name + ": " + text);
    };
    edge = std::make_unique<edge::ServiceEdge>(*loop, *hands, std::move(options));
  }
  // Another monitor, after the first one was killed: what it knew is gone.
  void open_again() {
    edge.reset();
    settle_hands();
    open();
  }

  std::pair<Answer, loop::Done> expect_one_answer() {
    auto answer = std::make_shared<std::optional<int>>();
    return {answer, [answer](int error) {
              EXPECT_FALSE(answer->has_value()) << "answered twice";
              *answer = error;
            }};
  }
  Answer start(Duration within = 20_s) {
    auto [answer, done] = expect_one_answer();
    edge->start(context, boottime_now() + within, done);
    return answer;
  }
  Answer stop(Duration within = 20_s) {
    auto [answer, done] = expect_one_answer();
    edge->stop(context, boottime_now() + within, done);
    return answer;
  }
  Answer resume() {
    auto [answer, done] = expect_one_answer();
    edge->resume(context, done);
    return answer;
  }
  // Turns until it is answered.
  int result_of(const Answer& answer) {
    EXPECT_TRUE(until([&] { return answer->has_value(); })) << "never answered";
    return answer->value_or(-1);
  }

  // Files change without the loop's knowledge: it looks again and again.
  bool until(const std::function<bool()>& condition, Duration limit = 15_s) {
    const Instant end = boottime_now() + limit;
    while (!condition()) {
      const Instant now = boottime_now();
      if (now >= end) {
        return false;
      }
      const auto turned = loop->turn(std::min(end, now + 2_ms));
      if (!turned) {
        ADD_FAILURE() << to_text(turned.error());
        return false;
      }
    }
    return true;
  }
  // Everything that the hands were given is done.
  void settle_hands() {
    bool done = false;
    hands->run([] { return 0; }, [&](int) { done = true; });
    EXPECT_TRUE(until([&] { return done; }));
  }

  // ---- what happened

  std::vector<std::string> lines_of(const std::string& name) const {
    std::vector<std::string> lines;
    std::ifstream file(folder.at(name));
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line);
    }
    return lines;
  }
  std::vector<std::string> log() const { return lines_of("log"); }
  bool logged(const std::string& line) const {
    const auto lines = log();
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
  pid_t pid_of(const std::string& name) const {
    const auto lines = lines_of(name + ".pid");
    return lines.empty() ? 0 : static_cast<pid_t>(parse_number(lines[0], 1u << 30).value_or(0));
  }
  static bool runs(pid_t pid) { return pid > 0 && loop::start_time_of(pid) != 0; }
  edge::ServiceFacts facts(const std::string& name) const {
    for (const edge::ServiceFacts& each : edge->facts()) {
      if (each.name == name) {
        return each;
      }
    }
    ADD_FAILURE() << "no service " << name;
    return {};
  }
  ServiceState state(const std::string& name) const { return facts(name).state; }
  bool reported(const std::string& part) const {
    return std::any_of(reports.begin(), reports.end(), [&](const std::string& report) {
      return report.find(part) != std::string::npos;
    });
  }
  bool is_ours(pid_t pid) const {
    const auto environment = read_all("/proc/" + std::to_string(pid) + "/environ", 1 << 16);
    return environment && environment->find("CROSSBEAT_ROOT=" + root) != std::string::npos;
  }

  TemporaryFolder folder;
  std::string root = folder.path();
  std::vector<config::Service> services;
  Duration forget_restarts_after = 600_s;
  edge::ServiceContext context{"PRIMARY_ACTIVE", "none", "primary", "192.0.2.10/24"};
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
  std::unique_ptr<edge::ServiceEdge> edge;
  std::vector<bool> health;
  std::vector<std::string> reports;
};

}  // namespace cb::test
