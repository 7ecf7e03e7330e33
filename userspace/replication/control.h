// SPDX-License-Identifier: Apache-2.0
//
// The socket that the monitor speaks to: SOCK_SEQPACKET, one JSON object a packet. One monitor at a
// time: a new connection takes the place of the old one, which a monitor that died left behind.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "loop/loop.h"
#include "replication/json.h"

namespace cb::replication {

inline constexpr std::size_t kPacketMax = 64u << 10;

class ControlSocket {
 public:
  struct Calls {
    std::function<void(const Json&)> on_packet;
    std::function<void()> on_gone;  // the monitor went, or another came
  };

  // path: in place of whatever is there; whoever holds the volume's lock may do so.
  static Result<std::unique_ptr<ControlSocket>> open(loop::Loop& loop, const std::string& path,
                                                     Calls calls);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Dropped when nobody is connected. A monitor that does not read loses the connection.
  void send(const Json& packet);
  bool connected() const noexcept { return static_cast<bool>(peer_); }
  // Everything that was sent is with the kernel.
  bool drained() const noexcept { return out_.empty() && !sending_; }

 private:
  ControlSocket(loop::Loop& loop, std::string path, Calls calls);
  void on_connection(Fd fd);
  void receive();
  void pump();
  void drop();

  loop::Loop& loop_;
  std::string path_;
  Calls calls_;
  Fd listener_;
  loop::OperationId accepting_ = 0;
  Fd peer_;
  loop::OperationId receiving_ = 0;
  loop::OperationId sending_ = 0;
  std::deque<std::string> out_;
};

}  // namespace cb::replication
