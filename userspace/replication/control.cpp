// SPDX-License-Identifier: Apache-2.0
#include "replication/control.h"

#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace cb::replication {

namespace {

constexpr std::size_t kUnreadMax = 256;  // packets

}  // namespace

ControlSocket::ControlSocket(loop::Loop& loop, std::string path, Calls calls)
    : loop_(loop), path_(std::move(path)), calls_(std::move(calls)) {}

Result<std::unique_ptr<ControlSocket>> ControlSocket::open(loop::Loop& loop,
                                                           const std::string& path, Calls calls) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ENAMETOOLONG, "the socket " + path + ": choose a shorter --root");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  std::unique_ptr<ControlSocket> socket(new ControlSocket(loop, path, std::move(calls)));
  socket->listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket->listener_) {
    return fail(errno, "make the socket " + path);
  }
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  const int bound =
      ::bind(socket->listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0 || ::listen(socket->listener_.get(), 4) != 0) {
    return fail(errno, "listen on " + path);
  }
  socket->accepting_ = loop.accept(socket->listener_.get(),
                                   [s = socket.get()](Fd fd) { s->on_connection(std::move(fd)); });
  return socket;
}

ControlSocket::~ControlSocket() {
  if (accepting_ != 0) {
    loop_.forget(accepting_);
    ::unlink(path_.c_str());
  }
  calls_.on_gone = nullptr;
  drop();
}

void ControlSocket::drop() {
  if (!peer_) {
    return;
  }
  loop_.forget(receiving_);
  loop_.forget(sending_);
  receiving_ = sending_ = 0;
  out_.clear();
  peer_.reset();
  if (calls_.on_gone) {
    calls_.on_gone();
  }
}

void ControlSocket::on_connection(Fd fd) {
  drop();
  peer_ = std::move(fd);
  receive();
}

void ControlSocket::receive() {
  receiving_ =
      loop_.recv(peer_.get(), kPacketMax + 1, [this](int n, std::span<const std::byte> bytes) {
        receiving_ = 0;
        if (n <= 0) {
          drop();
          return;
        }
        Json packet(Json::value_t::discarded);
        if (bytes.size() <= kPacketMax) {
          packet = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        }
        // A configuration holds a key: no copy of it stays in freed memory.
        explicit_bzero(const_cast<std::byte*>(bytes.data()), bytes.size());
        if (!packet.is_object()) {
          log_warning("volume: the monitor sent what is no JSON object of at most 64 KiB");
          drop();
          return;
        }
        const int fd = peer_.get();
        calls_.on_packet(packet);
        if (peer_ && peer_.get() == fd && receiving_ == 0) {
          receive();
        }
      });
}

void ControlSocket::send(const Json& packet) {
  if (!peer_) {
    return;
  }
  if (out_.size() >= kUnreadMax) {
    log_warning("volume: the monitor does not read what it is told; it must connect anew");
    drop();
    return;
  }
  out_.push_back(to_packet(packet));
  pump();
}

void ControlSocket::pump() {
  if (sending_ != 0 || out_.empty() || !peer_) {
    return;
  }
  std::string packet = std::move(out_.front());
  out_.pop_front();
  sending_ = loop_.send(peer_.get(), std::move(packet), [this](int error) {
    sending_ = 0;
    if (error != 0) {
      drop();
      return;
    }
    pump();
  });
}

}  // namespace cb::replication
