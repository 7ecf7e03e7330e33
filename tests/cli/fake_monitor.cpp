// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_monitor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/run.h"

namespace cb::cli::test {

FakeMonitor::FakeMonitor() {
  std::string name = std::filesystem::temp_directory_path() / "crossbeat-cli-XXXXXX";
  root_ = mkdtemp(name.data());
  std::filesystem::create_directories(root_ / "run/crossbeat");
}

FakeMonitor::~FakeMonitor() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void FakeMonitor::write(const std::string& below, const std::string& text) const {
  const auto file = root_ / below;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

void FakeMonitor::answers(const std::string& verb, std::vector<Json> replies) {
  answers(verb, [replies = std::move(replies), next = std::size_t{0}](const Json&) mutable {
    const Json& reply = replies[std::min(next, replies.size() - 1)];
    ++next;
    return std::vector<std::string>{reply.dump()};
  });
}

void FakeMonitor::answers(const std::string& verb, Answer answer) {
  const std::lock_guard lock(mutex_);
  answers_[verb] = std::move(answer);
}

void FakeMonitor::story(const Json& before, std::vector<Json> rest) {
  answers("status", {before, rest.back()});
  std::vector<std::string> lines;
  for (const Json& status : rest) {
    lines.push_back(status.dump());
  }
  answers("watch", [lines](const Json&) { return lines; });
}

void FakeMonitor::listen() {
  listen_and_hang();
  stopping_ = false;
  accepting_ = std::thread([this] { accept_all(); });
}

void FakeMonitor::listen_and_hang() {
  listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = root_ / "run/crossbeat/control.sock";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  unlink(path.c_str());
  ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener_.get(), 8), 0);
}

void FakeMonitor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int fd : connections_) {
      shutdown(fd, SHUT_RD);  // an answer that is under way is still sent
    }
  }
  if (listener_) {
    shutdown(listener_.get(), SHUT_RDWR);
  }
  if (accepting_.joinable()) {
    accepting_.join();
  }
  for (std::thread& thread : serving_) {
    thread.join();
  }
  serving_.clear();
  listener_.reset();
  unlink((root_ / "run/crossbeat/control.sock").c_str());
}

void FakeMonitor::accept_all() {
  while (true) {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (fd < 0 || stopping_) {
      if (fd >= 0) {
        close(fd);
      }
      return;
    }
    connections_.push_back(fd);
    serving_.emplace_back([this, fd] { serve(fd); });
  }
}

void FakeMonitor::serve(int fd) {
  std::string received;
  std::array<char, 4096> part;
  while (true) {
    const ssize_t count = read(fd, part.data(), part.size());
    if (count <= 0) {
      break;
    }
    received.append(part.data(), static_cast<std::size_t>(count));
    for (std::size_t end; (end = received.find('\n')) != std::string::npos;) {
      const auto request = parse_object(received.substr(0, end));
      received.erase(0, end + 1);
      for (std::string line : answer_to(request.value_or(Json::object()))) {
        line += "\n";
        (void)!send(fd, line.data(), line.size(), MSG_NOSIGNAL);
      }
    }
  }
  const std::lock_guard lock(mutex_);
  std::erase(connections_, fd);
  close(fd);
}

std::vector<std::string> FakeMonitor::answer_to(const Json& request) {
  const std::lock_guard lock(mutex_);
  std::string verb = text_at(request, "verb");
  if (verb == "status" || verb == "watch") {
    ++looks_;
  } else {
    requests_.push_back(request);
  }
  changed_.notify_all();
  if (verb == "watch" && !answers_.contains(verb)) {
    verb = "status";
  }
  const auto found = answers_.find(verb);
  if (found == answers_.end()) {
    return {R"({"ok":false,"error":"the monitor does not know this verb","next":"","code":2})"};
  }
  return found->second(request);
}

std::vector<Json> FakeMonitor::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int FakeMonitor::looks() const {
  const std::lock_guard lock(mutex_);
  return looks_;
}

void FakeMonitor::wait_for_looks(int count) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return looks_ >= count; });
}

void FakeMonitor::wait_for_request() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !requests_.empty(); });
}

Json accepted() { return {{"ok", true}, {"accepted", true}, {"watch", "state"}}; }

Json refusal(int code) {
  return {{"ok", false}, {"error", "refused: hold-down"}, {"next", "wait 12 s"}, {"code", code}};
}

Ran run_cli(const std::string& root, std::vector<std::string> arguments, const std::string& in,
            const std::string& self) {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream input(in);
  std::vector<const char*> argv{self.c_str()};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  const std::string option = "--root=" + root;
  if (!root.empty()) {
    argv.push_back(option.c_str());
  }
  Ran ran;
  ran.code = run(static_cast<int>(argv.size()), argv.data(), {.out = out, .err = err, .in = input});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

namespace {

Json link(const char* name, const char* interface) {
  return {{"link", name},
          {"interface", interface},
          {"state", "answers"},
          {"rtt_us", {{"last", 24.0}, {"min", 18.0}, {"mean", 23.5}, {"p50", 22.4}, {"p99", 41.0}}},
          {"answered", 1000},
          {"unanswered", 0},
          {"age_ms", 1.4}};
}

Json status_of(bool primary, const Json& patch) {
  Json pair{
      {"pairing", "10.10.10.12"},
      {"id", "0123456789abcdef"},
      {"peer",
       {{"hm_address", primary ? "10.10.10.13" : "10.10.10.12"},
        {"name", primary ? "mse2" : "mse1"},
        {"version", "7.2.103.0"},
        {"udi", primary ? "AIR-MSE-VA-K9:V01:mse2_666f2046-5699-11e1-b1b1-0050568901d9"
                        : "AIR-MSE-VA-K9:V01:mse1"}}},
      {"self_role", primary ? "Primary" : "Secondary"},
      {"virtual_addresses", {"10.10.10.11/24"}},
      {"failover_type", "Manual"},
      {"failback_type", "Manual"},
      {"failover_wait_s", 10},
      {"instance_number", 3},
      {"direct_used", false},
      {"state", primary ? "PRIMARY_ACTIVE" : "SECONDARY_ACTIVE"},
      {"sub_state", primary ? "protected" : "ready"},
      {"sub_state_text", primary ? "the standby is ready" : "ready to take over"},
      {"reason", "none"},
      {"reason_text", ""},
      {"since_ms", 7'500'000.0},
      {"term", 8},
      {"serving", primary},
      {"solo", false},
      {"guard", primary ? "open" : "closed"},
      {"lease_ms", primary ? Json(8.2) : Json(nullptr)},
      {"heartbeat", "Up"},
      {"peer_state", primary ? "SECONDARY_ACTIVE" : "PRIMARY_ACTIVE"},
      {"peer_age_ms", 1.4},
      {"links", {link("direct", "eth1"), link("network", "eth0")}},
      {"profile",
       {{"name", "normal"}, {"interval_us", 2000}, {"probes_lost", 5}, {"detection_us", 12000}}},
      {"in_step", true},
      {"progress_permille", nullptr},
      {"automatic", false},
      {"maintenance", false},
      {"stale", false},
      {"last_failover", nullptr},
      {"services", Json::array()}};
  pair.merge_patch(patch);
  return {{"ok", true},
          {"node",
           {{"name", primary ? "mse1" : "mse2"},
            {"role", primary ? "Primary" : "Secondary"},
            {"version", "7.2.103.0"},
            {"udi", primary ? "AIR-MSE-VA-K9:V01:mse1"
                            : "AIR-MSE-VA-K9:V01:mse2_666f2046-5699-11e1-b1b1-0050568901d9"},
            {"hm_address", primary ? "10.10.10.12" : "10.10.10.13"},
            {"network_interface", "eth0"},
            {"direct_interface", "eth1"},
            {"pid", 4711},
            {"session", 17},
            {"uptime_s", 86'400 * 3 + 7200},
            {"scheduling", {{"probe", "deadline"}, {"control", "fifo"}, {"memory_locked", true}}},
            {"lateness_us", {{"p50", 2.0}, {"p99", 12.0}, {"max", 80.0}}},
            {"xdp_mode", "native"},
            {"warnings", Json::array()}}},
          {"pairings", Json::array({pair})},
          {"unpaired", nullptr}};
}

}  // namespace

Json primary_status(const Json& patch) { return status_of(true, patch); }
Json secondary_status(const Json& patch) { return status_of(false, patch); }

}  // namespace cb::cli::test
