// SPDX-License-Identifier: Apache-2.0
//
// The volume process of one instance: found running or started, connected, and started again when
// it dies. It outlives the monitor, so what tells whether it runs is its socket and not our memory
// of having started it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "loop/child.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::volume {

inline constexpr std::size_t kPacketMax = 64 << 10;

struct ProcessPlan {
  std::vector<std::string> command;
  std::string socket;       // its path
  std::string output_file;  // of its output
};

struct ProcessCalls {
  std::function<void()> on_connected;
  std::function<void(std::string_view packet)> on_packet;
  std::function<void()> on_lost;     // of a connection that was there
  std::function<void()> on_started;  // none ran, so a new one was started: it holds no device yet
  std::function<void(const std::string& text)> on_trouble;
};

class Process {
 public:
  Process(loop::Loop& loop, loop::Hands& hands, ProcessPlan plan, ProcessCalls calls);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void run();        // from now on it is kept running
  void stay_down();  // ... no longer; the connection stays while it lasts
  // Ends the process that is connected, for a new one in its place: what has the device open does
  // not notice.
  void replace();
  bool connected() const noexcept { return connected_; }
  // In order. Dropped when there is no connection: whoever waits is told by on_lost.
  void send(std::string packet);

 private:
  void connect();
  void on_connect_answered(int error);
  void start_child();
  void on_child_ended(const loop::Ended& ended);
  void again(Duration after);
  void receive();
  void send_next();
  void lose();

  loop::Loop& loop_;
  loop::Hands& hands_;
  ProcessPlan plan_;
  ProcessCalls calls_;
  std::unique_ptr<loop::Child> child_;
  Fd socket_;
  loop::OperationId operation_ = 0;  // connect, then recv
  loop::OperationId sending_ = 0;
  std::deque<std::string> queue_;
  loop::TimerId timer_;
  Instant child_since_;
  Duration back_off_{};
  bool wanted_ = false;
  bool connected_ = false;
  loop::Leash leash_;
};

}  // namespace cb::volume
