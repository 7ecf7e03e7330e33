// SPDX-License-Identifier: Apache-2.0
#include "witness/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "witness/service.h"

namespace cb::witness {
namespace {

constexpr std::size_t kCommandMax = 512;
constexpr std::size_t kReplyMax = 192 * 1024;
constexpr int kDatagramsPerTurn = 64;
constexpr int kClientPatienceMs = 5000;

// To the journal with its priority, to a terminal without.
void say(const char* priority, const std::string& text) {
  static const bool journal = ::getenv("JOURNAL_STREAM") != nullptr;
  std::fprintf(stderr, "%s%s\n", journal ? priority : "", text.c_str());
}

Result<Fd> open_udp(const std::string& address, std::uint16_t port) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  const bool is_six = ::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1;
  if (!is_six && ::inet_pton(AF_INET, address.c_str(), &four.sin_addr) != 1) {
    return fail(EINVAL, "'" + address + "' is no IPv4 or IPv6 address");
  }
  int family = is_six ? AF_INET6 : AF_INET;
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && is_six && address == "::" && errno == EAFNOSUPPORT) {
    family = AF_INET;  // a machine without IPv6: any IPv4 address, then
    fd = Fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  if (!fd) {
    return fail(errno, "open a UDP socket");
  }
  const int off = 0;
  if (family == AF_INET6) {
    (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  const auto* name = family == AF_INET6 ? reinterpret_cast<const sockaddr*>(&six)
                                        : reinterpret_cast<const sockaddr*>(&four);
  const socklen_t length = family == AF_INET6 ? sizeof six : sizeof four;
  if (::bind(fd.get(), name, length) != 0) {
    return fail(errno, "listen on " + address + " port " + std::to_string(port));
  }
  return fd;
}

Result<sockaddr_un> unix_name(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path) {
    return fail(ENAMETOOLONG, "the control socket " + path);
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  return name;
}

Result<Fd> open_control(const std::string& path) {
  CB_TRY(name, unix_name(path));
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail(errno, "open a UNIX socket");
  }
  ::unlink(path.c_str());  // of an earlier life: the store's lock keeps out a second service
  const mode_t before = ::umask(0177);
  const bool bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  const int error = errno;
  ::umask(before);
  if (!bound || ::listen(fd.get(), 4) != 0) {
    return fail(bound ? errno : error, "listen on " + path);
  }
  return fd;
}

Result<Fd> open_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return fail(errno, "block signals");
  }
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  return fd ? Result<Fd>(std::move(fd)) : Result<Fd>(fail(errno, "signalfd"));
}

void take_datagrams(const Fd& udp, Service& service) {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    std::array<std::byte, kMessageBytes + 1> bytes;  // one more, so that a longer one shows
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t count = ::recvfrom(udp.get(), bytes.data(), bytes.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &length);
    if (count < 0) {
      return;  // nothing more, or an error of a reply that came back: the socket lives on
    }
    const auto reply = service.on_datagram(
        std::span<const std::byte>(bytes.data(), static_cast<std::size_t>(count)), boottime_now());
    if (reply) {
      // ignored: who does not hear it asks again
      (void)::sendto(udp.get(), reply->data(), reply->size(), 0,
                     reinterpret_cast<const sockaddr*>(&from), length);
      service.settle();
    }
  }
}

// The operator's: root or ourselves, by the mode of the socket. His patience is ours.
void take_command(const Fd& control, Service& service) {
  Fd connection(::accept4(control.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) {
    return;
  }
  const timeval patience{1, 0};
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int room = static_cast<int>(kReplyMax);
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  std::array<char, kCommandMax> bytes;
  const ssize_t count = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    return;
  }
  const std::string_view command(bytes.data(), static_cast<std::size_t>(count));
  const std::string reply = service.on_command(command, boottime_now());
  const bool changes = command.starts_with("add ") || command.starts_with("forget ");
  if (changes) {
    say("<5>", std::string(trim(reply)));
  }
  (void)::send(connection.get(), reply.data(), std::min(reply.size(), kReplyMax), MSG_NOSIGNAL);
}

void notify_ready() {
  const char* path = ::getenv("NOTIFY_SOCKET");
  if (path == nullptr) {
    return;
  }
  auto name = unix_name(path);
  if (!name) {
    return;
  }
  if (name->sun_path[0] == '@') {
    name->sun_path[0] = '\0';
  }
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  constexpr std::string_view kReady = "READY=1";
  (void)::sendto(fd.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&*name), length);
}

}  // namespace

Result<> serve(const ServerOptions& options) {
  CB_TRY_DO(crypto_ready());
  CB_TRY(signals, open_signals());
  CB_TRY(store, Store::open(options.state));
  CB_TRY(control, open_control(options.control));
  CB_TRY(udp, open_udp(options.address, options.port));
  for (const auto& [id, entry] : store->entries()) {
    if (!entry.trouble.empty()) {
      say("<3>", "pairing " + pairing_text(id) + " cannot be answered: " + entry.trouble);
    }
  }
  Service service(*store);
  say("<6>", "listening on " + options.address + " port " + std::to_string(options.port) + " for " +
                 std::to_string(store->entries().size()) + " pairings");
  notify_ready();
  std::size_t troubled = 0;
  for (;;) {
    std::array<pollfd, 3> wait = {pollfd{signals.get(), POLLIN, 0}, pollfd{udp.get(), POLLIN, 0},
                                  pollfd{control.get(), POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) {
      return fail(errno, "poll");
    }
    if (wait[0].revents != 0) {
      ::unlink(options.control.c_str());
      say("<6>", "stopped");
      return Done{};
    }
    if (wait[1].revents != 0) {
      take_datagrams(udp, service);
    }
    if (wait[2].revents != 0) {
      take_command(control, service);
    }
    std::size_t now_troubled = 0;
    for (const auto& [id, entry] : store->entries()) {
      now_troubled += entry.trouble.empty() ? 0U : 1U;
      if (now_troubled > troubled && !entry.trouble.empty()) {
        say("<3>", "pairing " + pairing_text(id) + ": " + entry.trouble);
      }
    }
    troubled = now_troubled;
  }
}

Result<std::string> command_service(const std::string& control, const std::string& command) {
  CB_TRY(name, unix_name(control));
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) {
    return fail(errno, "open a UNIX socket");
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED;
    return fail(errno, nobody ? "crossbeat-witness does not run (" + control +
                                    "); start it: systemctl start crossbeat-witness"
                              : "speak to " + control);
  }
  if (::send(fd.get(), command.data(), command.size(), MSG_NOSIGNAL) < 0) {
    return fail(errno, "ask the service");
  }
  pollfd wait{fd.get(), POLLIN, 0};
  if (::poll(&wait, 1, kClientPatienceMs) != 1) {
    return fail(ETIMEDOUT, "the service does not answer");
  }
  std::string reply(kReplyMax, '\0');
  const ssize_t count = ::recv(fd.get(), reply.data(), reply.size(), 0);
  if (count <= 0) {
    return fail(count == 0 ? EPIPE : errno, "the service does not answer");
  }
  reply.resize(static_cast<std::size_t>(count));
  return reply;
}

}  // namespace cb::witness
