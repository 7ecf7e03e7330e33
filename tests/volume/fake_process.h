// SPDX-License-Identifier: Apache-2.0
//
// A volume process that does what the test says, on the socket of a real one and in the test's own
// loop. Everything that it is told is kept in `told`; verbs are answered with 0 unless the test
// holds them back.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/fd.h"
#include "base/text.h"
#include "drivers/volume/replicated.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {

using volume::Json;

inline constexpr config::VolumeId kVolumeId = {0xab, 0xcd};

class FakeProcess {
 public:
  FakeProcess(loop::Loop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
  ~FakeProcess() { die(); }
  FakeProcess(const FakeProcess&) = delete;
  FakeProcess& operator=(const FakeProcess&) = delete;

  void live() {
    listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(path_.c_str());
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener_.get(), 4), 0);
    loop_.watch(listener_.get(), [this] {
      Fd next(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (next) {
        hang_up();
        connection_ = std::move(next);
        ++connections;
        loop_.watch(connection_.get(), [this] { read(); });
      }
    });
  }
  void hang_up() {
    if (connection_) {
      loop_.unwatch(connection_.get());
      connection_.reset();
    }
  }
  void die() {
    hang_up();
    if (listener_) {
      loop_.unwatch(listener_.get());
      listener_.reset();
      unlink(path_.c_str());
    }
  }

  void say(const Json& message) {
    const std::string text = message.dump();
    EXPECT_EQ(send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void say_raw(const std::string& text) {
    EXPECT_GT(send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL), 0);
  }
  void answer(std::uint64_t id, int error, Json with = Json::object()) {
    with["id"] = id;
    with["error"] = error;
    say(with);
  }
  // How often this verb was said.
  int count(const std::string& verb) const {
    int found = 0;
    for (const Json& message : told) {
      found += volume::text_of(message, "verb") == verb ? 1 : 0;
    }
    return found;
  }
  const Json& last(const std::string& verb) const {
    static const Json kNone = Json::object();
    const Json* found = &kNone;
    for (const Json& message : told) {
      if (volume::text_of(message, "verb") == verb) {
        found = &message;
      }
    }
    return *found;
  }
  std::uint64_t id_of(const std::string& verb) const { return volume::number_of(last(verb), "id"); }

  Json status{{"standing", "together"},
              {"serving", false},
              {"in_step", true},
              {"eligible", true},
              {"stall", "none"},
              {"stall_text", ""},
              {"position", 4096},
              {"committed", 4096},
              {"peer_synced", 4096},
              {"epoch", 6},
              {"alone", false},
              {"sync",
               {{"kind", "none"},
                {"bytes_done", 0},
                {"bytes_left", 0},
                {"rate", 0},
                {"seconds_left", nullptr},
                {"permille", 1000}}},
              {"device", nullptr},
              {"peer", nullptr}};
  std::set<std::string> held;  // verbs that are not answered
  int promote_error = 0;
  int configure_error = 0;
  std::vector<Json> told;
  std::vector<Json> registered;  // answers about the register
  int connections = 0;

 private:
  void read() {
    std::array<char, 65536> bytes{};
    const ssize_t n = recv(connection_.get(), bytes.data(), bytes.size(), 0);
    if (n <= 0) {
      hang_up();
      return;
    }
    const Json message = Json::parse(bytes.data(), bytes.data() + n, nullptr, false);
    ASSERT_TRUE(message.is_object());
    if (message.contains("register")) {
      registered.push_back(message);
      return;
    }
    told.push_back(message);
    const std::string verb = volume::text_of(message, "verb");
    if (held.contains(verb)) {
      return;
    }
    Json with = Json::object();
    int error = 0;
    if (verb == "status") {
      with["status"] = status;
    } else if (verb == "promote") {
      error = promote_error;
      if (error == 0) {
        status["serving"] = true;
        status["device"] = "/dev/loop77";
        with["device"] = "/dev/loop77";
      }
    } else if (verb == "configure" && configure_error != 0) {
      error = configure_error;
      with["text"] = "open home: it cannot be read";
    } else if (verb == "demote") {
      status["serving"] = false;
    } else if (verb == "history") {
      with["history"] = Json{{"own", Json::array()}, {"peer", nullptr}};
    }
    answer(volume::number_of(message, "id"), error, with);
  }

  loop::Loop& loop_;
  std::string path_;
  Fd listener_;
  Fd connection_;
};

// A driver, the process that it talks to, and what it has told.
class ReplicatedTest : public testing::Test {
 protected:
  void SetUp() override {
    loop = open_loop();
    auto started = loop::Hands::start(*loop, {.name = "cb-test"});
    ASSERT_TRUE(started);
    hands = std::move(*started);
    for (const char* path : {"run/crossbeat", "var/log/crossbeat", "vol"}) {
      std::filesystem::create_directories(folder.at(path));
    }
    options.root = folder.path();
    options.program = folder.at("program");
    options.instance = "10.0.0.1";
    options.directory = "/vol";
    options.volume.bytes = 64 << 20;
    options.volume.log_bytes = 16 << 20;
    options.volume.port = 7389;
    options.id = kVolumeId;
    options.front_end = "ublk";
    options.key = std::string(64, 'a');
    options.cable_interface = "eth1";
    options.address = "10.0.0.1";
    options.peer = "10.0.0.2";
    script("echo started >>" + folder.at("starts") + "\nexec sleep 1000");
    process = std::make_unique<FakeProcess>(*loop, folder.at("run/crossbeat/volume-10.0.0.1.sock"));
  }
  void TearDown() override {
    driver.reset();
    process.reset();
    hands.reset();
    std::ifstream pids(folder.at("pids"));  // a volume's process outlives its monitor
    for (pid_t pid = 0; pids >> pid;) {
      kill(pid, SIGKILL);
    }
  }

  void script(const std::string& text) {
    const std::string fresh = folder.at("program.new");
    std::ofstream(fresh) << "#!/bin/sh\necho $$ >>" << folder.at("pids") << "\n" << text << "\n";
    chmod(fresh.c_str(), 0700);
    std::filesystem::rename(fresh, folder.at("program"));
  }
  void make_copy() {
    std::filesystem::create_directories(folder.at("vol/10.0.0.1"));
    std::ofstream(folder.at("vol/10.0.0.1/volume.id")) << to_hex(kVolumeId) << "\n";
  }
  void open_driver() {
    volume::RegisterVoice voice;
    voice.read = [this](const volume::OwnCopy& own, const auto& done) {
      owns.push_back(own);
      done(register_error, seen);
    };
    voice.swap = [this](const volume::OwnCopy&, const volume::Register& from,
                        const volume::Register& to, const auto& done) {
      swaps.emplace_back(from, to);
      done(register_error, granted);
    };
    driver = std::make_unique<volume::Replicated>(*loop, *hands, options, voice);
    driver->listen(
        {.in_step = [this] { events.emplace_back("in-step"); },
         .progress =
             [this](unsigned permille) {
               events.push_back("progress " + std::to_string(permille));
             },
         .fell_behind = [this] { events.emplace_back("fell-behind"); },
         .disk_failed = [this](int error) { events.push_back("failed " + std::to_string(error)); },
         .report = [this](const std::string& text) { reports.push_back(text); },
         .grown = told_grown});
  }
  // A node with its copy, whose process runs already.
  void open_running() {
    make_copy();
    process->live();
    open_driver();
    EXPECT_TRUE(until([&] { return process->count("status") >= 1 && driver->status().running; }));
  }
  bool until(const std::function<bool()>& condition) { return turn_until(*loop, condition); }
  loop::Done note() {
    return [this](int error) { answers.push_back(error); };
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
  volume::ReplicatedOptions options;
  std::unique_ptr<FakeProcess> process;
  std::unique_ptr<volume::Replicated> driver;
  std::vector<std::string> events;
  std::vector<std::string> reports;
  std::function<void(std::uint64_t bytes)> told_grown;
  std::vector<int> answers;
  std::vector<volume::OwnCopy> owns;
  std::vector<std::pair<volume::Register, volume::Register>> swaps;
  volume::Register seen;
  int register_error = 0;
  bool granted = true;
};

}  // namespace cb::test
