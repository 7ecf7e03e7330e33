// SPDX-License-Identifier: Apache-2.0
#include "pairing/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cb::pairing {
namespace {

constexpr int kBacklog = 16;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const config::Address& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&result.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, address.bytes.data() + 12, 4);
    result.length = sizeof *in;
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    std::memcpy(&in6->sin6_addr, address.bytes.data(), 16);
    result.length = sizeof *in6;
  }
  return result;
}

Result<Fd> tcp_socket(const config::Address& address) {
  Fd fd(::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                 IPPROTO_TCP));
  if (!fd) {
    return fail(errno, "open a TCP socket");
  }
  const int on = 1;
  (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // ignored: only slower
  return fd;
}

}  // namespace

Result<Fd> listen_on(const config::Address& address, std::uint16_t port) {
  CB_TRY(fd, tcp_socket(address));
  const std::string where = address.text() + " port " + std::to_string(port) + " (TCP)";
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (!address.is_v4() && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)) {
    return fail(errno, "prepare to listen on " + where);
  }
  const SocketAddress at = socket_address(address, port);
  if (bind(fd.get(), at.get(), at.length) != 0 || listen(fd.get(), kBacklog) != 0) {
    return fail(errno, "listen for pairing on " + where);
  }
  return fd;
}

std::uint16_t port_of(const Fd& listener) {
  SocketAddress at;
  at.length = sizeof at.storage;
  if (getsockname(listener.get(), at.get(), &at.length) != 0) {
    return 0;
  }
  return at.storage.ss_family == AF_INET
             ? ntohs(reinterpret_cast<const sockaddr_in*>(&at.storage)->sin_port)
             : ntohs(reinterpret_cast<const sockaddr_in6*>(&at.storage)->sin6_port);
}

Result<config::Address> source_of(const Fd& connection) {
  SocketAddress at;
  at.length = sizeof at.storage;
  if (getpeername(connection.get(), at.get(), &at.length) != 0) {
    return fail(errno, "ask who connects");
  }
  config::Address address;
  if (at.storage.ss_family == AF_INET) {
    address.bytes[10] = address.bytes[11] = 0xff;
    std::memcpy(address.bytes.data() + 12,
                &reinterpret_cast<const sockaddr_in*>(&at.storage)->sin_addr, 4);
  } else {
    std::memcpy(address.bytes.data(),
                &reinterpret_cast<const sockaddr_in6*>(&at.storage)->sin6_addr, 16);
  }
  return address;
}

// Runs f only while the connection lives, and keeps it alive meanwhile: a callback may drop the
// last owner.
template <class F>
auto Connection::guard(F f) {
  return [weak = weak_from_this(), f = std::move(f)](auto&&... args) {
    if (const auto self = weak.lock()) {
      f(*self, std::forward<decltype(args)>(args)...);
    }
  };
}

Connection::Connection(loop::Loop& loop, Fd fd, Events events)
    : loop_(loop), fd_(std::move(fd)), events_(std::move(events)) {}

std::shared_ptr<Connection> Connection::adopt(loop::Loop& loop, Fd fd, Events events) {
  std::shared_ptr<Connection> self(new Connection(loop, std::move(fd), std::move(events)));
  self->connected_ = true;
  return self;
}

Result<std::shared_ptr<Connection>> Connection::connect(loop::Loop& loop,
                                                        const config::Address& from,
                                                        const config::Address& to,
                                                        std::uint16_t port, Events events) {
  CB_TRY(fd, tcp_socket(to));
  const SocketAddress own = socket_address(from, 0);
  if (bind(fd.get(), own.get(), own.length) != 0) {
    return fail(errno, "use this node's address " + from.text());
  }
  const SocketAddress peer = socket_address(to, port);
  if (::connect(fd.get(), peer.get(), peer.length) != 0 && errno != EINPROGRESS) {
    return fail(errno, "connect to port " + std::to_string(port));
  }
  // The loop tells when a descriptor is readable; an epoll is that when the socket is writable.
  Fd writable(epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{};
  wanted.events = EPOLLOUT;
  if (!writable || epoll_ctl(writable.get(), EPOLL_CTL_ADD, fd.get(), &wanted) != 0) {
    return fail(errno, "wait for a connection");
  }
  auto self = adopt(loop, std::move(fd), std::move(events));
  self->state_ = State::Connecting;
  self->connected_ = false;
  self->writable_ = std::move(writable);
  loop.watch(self->writable_.get(), self->guard([](Connection& c) { c.on_writable(); }));
  self->expect_within(kConnectTime);
  return self;
}

Connection::~Connection() {
  if (state_ == State::Closed) {
    return;  // the loop holds nothing of ours, and may be gone
  }
  if (writable_) {
    loop_.unwatch(writable_.get());
  }
  loop_.cancel(timer_);
  loop_.forget(reading_);
  loop_.forget(sending_);
}

void Connection::on_writable() {
  loop_.unwatch(writable_.get());
  writable_.reset();
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
    error = errno;
  }
  if (error != 0) {
    return lose(Refusal::Unreachable, std::strerror(error));
  }
  state_ = State::Open;
  connected_ = true;
  expect_within(kMessageTime);
  start();
  events_.on_connected();
}

void Connection::start() { read(); }

void Connection::read() {
  // One byte more than a frame: who sends more talks out of turn, and it shows.
  reading_ = loop_.recv(fd_.get(), kHeaderBytes + kBodyMax + 1,
                        guard([](Connection& c, int n, std::span<const std::byte> bytes) {
                          c.reading_ = 0;
                          c.on_read(n, bytes);
                        }));
}

void Connection::on_read(int n, std::span<const std::byte> bytes) {
  if (state_ == State::Finishing) {
    if (n <= 0 && ended_sending_) {
      return close();
    }
    if (n > 0) {
      read();  // thrown away; the farewell's deadline ends it
    }
    return;
  }
  if (state_ != State::Open) {
    return;
  }
  if (n <= 0) {
    return lose(Refusal::Disconnected, n == 0 ? "" : std::strerror(-n));
  }
  if (!reader_.feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
    return lose(Refusal::Malformed, "");
  }
  const auto frame = reader_.next();
  if (frame) {
    events_.on_frame(*frame);
  }
  if (reading_ == 0 && (state_ == State::Open || state_ == State::Finishing)) {
    read();
  }
}

void Connection::send(std::string_view bytes) {
  if (state_ != State::Open && state_ != State::Lost) {
    return;
  }
  outgoing_ += bytes;
  send_next();
}

void Connection::send_next() {
  if (sending_ != 0) {
    return;
  }
  if (!outgoing_.empty()) {
    sending_ = loop_.send(fd_.get(), std::exchange(outgoing_, {}),
                          guard([](Connection& c, int error) { c.on_sent(error); }));
    return;
  }
  if (state_ == State::Finishing && !ended_sending_) {
    ended_sending_ = true;
    (void)shutdown(fd_.get(), SHUT_WR);  // ignored: then the peer has closed already
    if (reading_ == 0) {
      read();
    }
  }
}

void Connection::on_sent(int error) {
  sending_ = 0;
  if (error != 0) {
    outgoing_.clear();
    if (state_ == State::Finishing) {
      return close();
    }
    return lose(Refusal::Disconnected, std::strerror(error));
  }
  send_next();
}

void Connection::expect_within(Duration wait) {
  loop_.cancel(timer_);
  timer_ = loop_.after(wait, guard([](Connection& c) { c.on_deadline(); }));
}

void Connection::expect_nothing() {
  loop_.cancel(timer_);
  timer_ = {};
}

void Connection::on_deadline() {
  timer_ = {};
  if (state_ == State::Finishing) {
    return close();
  }
  lose(Refusal::TimedOut, "");
}

void Connection::lose(Refusal how, const std::string& why) {
  if (state_ != State::Open && state_ != State::Connecting) {
    return;
  }
  state_ = State::Lost;
  expect_nothing();
  events_.on_lost(how, why);
}

void Connection::finish(std::string_view last_bytes) {
  if (state_ == State::Finishing || state_ == State::Closed) {
    return;
  }
  // Lost, and nothing left to say: there is nobody to wait for.
  const bool at_once = !connected_ || (state_ == State::Lost && last_bytes.empty());
  state_ = State::Finishing;
  if (at_once) {
    return close();
  }
  expect_within(kFarewellTime);
  outgoing_ += last_bytes;
  send_next();
}

void Connection::close() {
  if (state_ == State::Closed) {
    return;
  }
  state_ = State::Closed;
  if (writable_) {
    loop_.unwatch(writable_.get());
    writable_.reset();
  }
  expect_nothing();
  loop_.forget(std::exchange(reading_, 0));
  loop_.forget(std::exchange(sending_, 0));
  fd_.reset();
  // Not from here: the owner may be in the midst of telling us to finish.
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->events_.on_closed();
    }
  });
}

}  // namespace cb::pairing
