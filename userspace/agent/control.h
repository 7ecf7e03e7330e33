// SPDX-License-Identifier: Apache-2.0
//
// The control socket: <root>/run/crossbeat/control.sock, mode 0600. One JSON object a line in each
// direction. Everything that comes in is bounded (line length, connections, unread replies) and
// nothing here blocks; a client that does not read its replies is cut off.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/json.h"
#include "base/fd.h"
#include "base/result.h"
#include "loop/loop.h"

namespace cb::agent {

class ControlServer {
 public:
  // One client's line of replies. Copies speak to the same client; sending to one that has gone
  // does nothing.
  class Client {
   public:
    void send(const Json& reply) const;
    // Called once when the client goes away: for followers.
    void on_gone(std::function<void()> gone) const;

   private:
    friend class ControlServer;
    struct Connection;
    std::weak_ptr<Connection> connection_;
  };

  using Handler = std::function<void(const Json& request, const Client& client)>;

  // Replaces a socket that a dead monitor left (the caller holds the lock file, so nobody else
  // listens).
  static Result<std::unique_ptr<ControlServer>> open(loop::Loop& loop, const std::string& path,
                                                     Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  ControlServer(loop::Loop& loop, Fd listener, std::string path, Handler handler);
  void on_connection(Fd fd);
  void on_readable(const std::shared_ptr<Client::Connection>& connection);
  void on_line(const std::shared_ptr<Client::Connection>& connection, std::string_view line);
  void close(const std::shared_ptr<Client::Connection>& connection);

  loop::Loop& loop_;
  Fd listener_;
  std::string path_;
  Handler handler_;
  std::map<int, std::shared_ptr<Client::Connection>> connections_;
  loop::OperationId accepting_ = 0;
  loop::Leash leash_;
};

// Replies.
Json ok_reply();
Json error_reply(const std::string& what, const std::string& next, int code);

}  // namespace cb::agent
