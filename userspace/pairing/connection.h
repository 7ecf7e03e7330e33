// SPDX-License-Identifier: Apache-2.0
//
// One TCP connection that carries frames, on the loop: never blocks, reads one frame at a time,
// knows how long it waits and how it ends. Knows nothing of pairing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/instant.h"
#include "base/result.h"
#include "config/ir.h"
#include "loop/loop.h"
#include "pairing/message.h"
#include "pairing/refusal.h"

namespace cb::pairing {

// Waits. Each is for one step, and the number of steps is fixed, so a conversation cannot be drawn
// out.
inline constexpr Duration kConnectTime = Duration::from_s(5);
inline constexpr Duration kMessageTime = Duration::from_s(5);
inline constexpr Duration kCommitTime = Duration::from_s(10);  // the peer saves on its disk
inline constexpr Duration kFarewellTime = Duration::from_s(1);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Events {
    std::function<void()> on_connected;  // connect() only
    std::function<void(const Frame&)> on_frame;
    // At most once, and no frame afterwards: Unreachable (with why), TimedOut, Disconnected or
    // Malformed. The owner answers with finish().
    std::function<void(Refusal how, const std::string& why)> on_lost;
    // Once, the last of all, after finish().
    std::function<void()> on_closed;
  };

  // An accepted connection; start() begins to read.
  static std::shared_ptr<Connection> adopt(loop::Loop& loop, Fd fd, Events events);
  // From this own address. The error is one that can be seen at once, such as an address that is
  // not ours.
  static Result<std::shared_ptr<Connection>> connect(loop::Loop& loop, const config::Address& from,
                                                     const config::Address& to, std::uint16_t port,
                                                     Events events);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void send(std::string_view bytes);
  // How long the next frame may take, from now; replaces the former wait.
  void expect_within(Duration wait);
  void expect_nothing();  // no limit: this side is busy
  // Sends this, ends the sending direction, waits a moment for the peer to end its own (so that
  // what was sent is not lost to a reset), closes. Safe to repeat.
  void finish(std::string_view last_bytes);

 private:
  Connection(loop::Loop& loop, Fd fd, Events events);

  void on_writable();
  void read();
  void on_read(int n, std::span<const std::byte> bytes);
  void send_next();
  void on_sent(int error);
  void lose(Refusal how, const std::string& why);
  void on_deadline();
  void close();
  template <class F>
  auto guard(F f);

  enum class State : std::uint8_t { Connecting, Open, Lost, Finishing, Closed };
  loop::Loop& loop_;
  Fd fd_;
  Fd writable_;  // an epoll that tells of the end of connect()
  Events events_;
  State state_ = State::Open;
  FrameReader reader_;
  std::string outgoing_;
  loop::OperationId reading_ = 0;
  loop::OperationId sending_ = 0;
  bool connected_ = false;
  bool ended_sending_ = false;
  loop::TimerId timer_;
};

// Listens on this address; port 0 takes a free one.
Result<Fd> listen_on(const config::Address& address, std::uint16_t port);
std::uint16_t port_of(const Fd& listener);
// The other end of an accepted connection. An error when it is gone already.
Result<config::Address> source_of(const Fd& connection);

}  // namespace cb::pairing
