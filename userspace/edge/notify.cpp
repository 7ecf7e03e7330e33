// SPDX-License-Identifier: Apache-2.0
//
// The protocol of sd_notify(3), spoken by ourselves: the library's call opens and connects a socket
// each time and may block on a full queue; ours is opened once and never waits.
#include "edge/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/log.h"

namespace cb::edge {
namespace {

std::optional<long long> number_in(const char* name) {
  const char* text = getenv(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  long long value = 0;
  const char* end = text + strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || at != end || value <= 0) {
    return std::nullopt;
  }
  return value;
}

Fd connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = strlen(path);
  if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
    log_warning("NOTIFY_SOCKET is not a socket path that can be used: %s", path);
    return Fd();
  }
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') {
    address.sun_path[0] = '\0';  // an abstract name
  }
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    log_warning("the service manager cannot be told anything: %s: %s", path, strerror(errno));
    return Fd();
  }
  return fd;
}

// One line: what a line end would begin is another message.
std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\r') {
      c = ' ';
    }
  }
  return line;
}

}  // namespace

Notify Notify::open() {
  Notify notify;
  if (const char* path = getenv("NOTIFY_SOCKET"); path != nullptr && *path != '\0') {
    notify.socket_ = connect_to(path);
  }
  const auto watchdog_us = number_in("WATCHDOG_USEC");
  const auto watchdog_pid = number_in("WATCHDOG_PID");
  if (watchdog_us && (!watchdog_pid || *watchdog_pid == getpid())) {
    notify.watchdog_ = Duration::from_us(*watchdog_us);
  }
  return notify;
}

void Notify::send(const std::string& text) {
  if (socket_) {
    // ignored: a service manager that does not read loses a notice.
    (void)::send(socket_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void Notify::ready(std::string_view status_text) {
  last_status_ = one_line(status_text);
  send("READY=1\nSTATUS=" + last_status_);
}

void Notify::status(std::string_view text) {
  std::string line = one_line(text);
  if (line != last_status_) {
    last_status_ = std::move(line);
    send("STATUS=" + last_status_);
  }
}

void Notify::reloading() { send("RELOADING=1"); }

void Notify::stopping(std::string_view status_text) {
  last_status_ = one_line(status_text);
  send("STOPPING=1\nSTATUS=" + last_status_);
}

void Notify::watchdog() { send("WATCHDOG=1"); }

void Notify::main_pid(int pid) { send("MAINPID=" + std::to_string(pid)); }

}  // namespace cb::edge
