// SPDX-License-Identifier: Apache-2.0
//
// A control server with canned answers, in a folder of its own: what the command line sees of a
// monitor, good or bad.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "cli/json.h"

namespace cb::cli::test {

class FakeMonitor {
 public:
  // Lines to send back. An empty list: say nothing, and keep the connection.
  using Answer = std::function<std::vector<std::string>(const Json& request)>;

  FakeMonitor();  // a fresh root, nobody listening yet
  ~FakeMonitor();
  FakeMonitor(const FakeMonitor&) = delete;
  FakeMonitor& operator=(const FakeMonitor&) = delete;

  std::string root() const { return root_.string(); }
  std::filesystem::path path(const std::string& below) const { return root_ / below; }
  // Writes a file below the root, with its folders.
  void write(const std::string& below, const std::string& text) const;

  // For one verb: each request takes the next answer; the last one stays.
  void answers(const std::string& verb, std::vector<Json> replies);
  void answers(const std::string& verb, Answer answer);

  // What is seen of a move: first `before`, and when it is watched, one after the other the rest.
  void story(const Json& before, std::vector<Json> rest);

  void listen();
  void stop();  // as a monitor that ended: the socket is gone
  // Listens, but nobody ever takes up a connection or reads.
  void listen_and_hang();

  std::vector<Json> requests() const;  // all so far, but status
  int looks() const;                   // status and watch requests so far
  void wait_for_looks(int count) const;
  void wait_for_request() const;

 private:
  void serve(int fd);
  void accept_all();
  std::vector<std::string> answer_to(const Json& request);

  std::filesystem::path root_;
  Fd listener_;
  std::thread accepting_;
  std::vector<std::thread> serving_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Answer> answers_;
  std::vector<Json> requests_;
  std::vector<int> connections_;
  int looks_ = 0;
  bool stopping_ = false;
};

// What a monitor says to a move that it takes up, and to one that it refuses.
Json accepted();
Json refusal(int code);

// Runs the command line against this root, with captured streams.
struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};
Ran run_cli(const std::string& root, std::vector<std::string> arguments, const std::string& in = "",
            const std::string& self = "crossbeat");

// The status of a healthy pair, as its primary or its secondary tells it; `patch` is merged in
// (RFC 7386), into the first pairing.
Json primary_status(const Json& patch = Json::object());
Json secondary_status(const Json& patch = Json::object());

}  // namespace cb::cli::test
