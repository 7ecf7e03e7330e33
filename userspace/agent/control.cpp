// SPDX-License-Identifier: Apache-2.0
#include "agent/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "agent/exit_code.h"
#include "base/log.h"

namespace cb::agent {
namespace {

constexpr size_t kLineMax = 64 << 10;
constexpr size_t kUnreadMax = 4 << 20;
constexpr size_t kConnectionsMax = 64;

}  // namespace

struct ControlServer::Client::Connection {
  Fd fd;
  std::string in;
  std::string out;  // waiting for the send under way
  bool sending = false;
  bool closed = false;
  loop::Loop* loop = nullptr;
  std::function<void()> close;
  std::vector<std::function<void()>> gone;

  void pump(const std::shared_ptr<Connection>& self) {
    if (sending || out.empty() || closed) {
      return;
    }
    sending = true;
    std::string bytes;
    bytes.swap(out);
    loop->send(fd.get(), std::move(bytes), [self](int error) {
      self->sending = false;
      if (error != 0) {
        self->close();
        return;
      }
      self->pump(self);
    });
  }
};

void ControlServer::Client::send(const Json& reply) const {
  const auto connection = connection_.lock();
  if (!connection || connection->closed) {
    return;
  }
  connection->out += to_line(reply);
  if (connection->out.size() > kUnreadMax) {
    connection->close();
    return;
  }
  connection->pump(connection);
}

void ControlServer::Client::on_gone(std::function<void()> gone) const {
  const auto connection = connection_.lock();
  if (!connection || connection->closed) {
    gone();
    return;
  }
  connection->gone.push_back(std::move(gone));
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(loop::Loop& loop,
                                                           const std::string& path,
                                                           Handler handler) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ENAMETOOLONG, "the control socket " + path + ": choose a shorter --root");
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail(errno, "make the control socket");
  }
  unlink(path.c_str());
  const mode_t before = umask(0177);
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0 || listen(fd.get(), 16) != 0) {
    return fail(errno, "listen on the control socket " + path);
  }
  std::unique_ptr<ControlServer> server(
      new ControlServer(loop, std::move(fd), path, std::move(handler)));
  server->accepting_ = loop.accept(server->listener_.get(), [s = server.get()](Fd client) {
    s->on_connection(std::move(client));
  });
  return server;
}

ControlServer::ControlServer(loop::Loop& loop, Fd listener, std::string path, Handler handler)
    : loop_(loop),
      listener_(std::move(listener)),
      path_(std::move(path)),
      handler_(std::move(handler)) {}

ControlServer::~ControlServer() {
  loop_.forget(accepting_);
  while (!connections_.empty()) {
    close(connections_.begin()->second);
  }
  unlink(path_.c_str());
}

void ControlServer::on_connection(Fd fd) {
  if (connections_.size() >= kConnectionsMax) {
    return;  // closed by ~Fd: the client sees the end of the stream
  }
  auto connection = std::make_shared<Client::Connection>();
  connection->fd = std::move(fd);
  connection->loop = &loop_;
  connection->close = leash_.guard([this, weak = std::weak_ptr(connection)] {
    if (const auto c = weak.lock()) {
      close(c);
    }
  });
  const int key = connection->fd.get();
  connections_[key] = connection;
  loop_.watch(key, [this, weak = std::weak_ptr(connection)] {
    if (const auto c = weak.lock()) {
      on_readable(c);
    }
  });
}

void ControlServer::on_readable(const std::shared_ptr<Client::Connection>& connection) {
  char bytes[16384];
  const ssize_t n = read(connection->fd.get(), bytes, sizeof bytes);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (n <= 0) {
    close(connection);
    return;
  }
  connection->in.append(bytes, static_cast<size_t>(n));
  for (size_t end = 0;
       !connection->closed && (end = connection->in.find('\n')) != std::string::npos;) {
    const std::string line = connection->in.substr(0, end);
    connection->in.erase(0, end + 1);
    on_line(connection, line);
  }
  if (!connection->closed && connection->in.size() > kLineMax) {
    log_warning("control socket: a request longer than %zu bytes; the client is cut off", kLineMax);
    close(connection);
  }
}

void ControlServer::on_line(const std::shared_ptr<Client::Connection>& connection,
                            std::string_view line) {
  Client client;
  client.connection_ = connection;
  const Json request = parse_json(line);
  if (!request.is_object()) {
    client.send(error_reply("the request is not a JSON object on one line",
                            "use the crossbeat command line", kExitUsage));
    return;
  }
  handler_(request, client);
}

void ControlServer::close(const std::shared_ptr<Client::Connection>& connection) {
  if (connection->closed) {
    return;
  }
  connection->closed = true;
  const auto keep = connection;  // erase() may drop the last reference
  loop_.unwatch(connection->fd.get());
  connections_.erase(connection->fd.get());
  shutdown(connection->fd.get(),
           SHUT_RDWR);  // a send under way ends; the descriptor lives until it has
  for (const auto& gone : keep->gone) {
    gone();
  }
  keep->gone.clear();
}

Json ok_reply() { return Json{{"ok", true}}; }

Json error_reply(const std::string& what, const std::string& next, int code) {
  return Json{{"ok", false}, {"error", what}, {"next", next}, {"code", code}};
}

}  // namespace cb::agent
