// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"

namespace cb::cli {
namespace {

// A long list of events is the longest answer there is.
constexpr std::size_t kLineMax = 8u << 20;

// Waits until the descriptor is ready for `events` or the deadline has passed.
Result<> wait(int fd, short events, Instant deadline) {
  while (true) {
    const Duration left = deadline - boottime_now();
    if (left <= Duration{}) {
      return fail(ETIMEDOUT, "wait for the health monitor");
    }
    pollfd ready{.fd = fd, .events = events, .revents = 0};
    const auto ms = std::clamp<std::int64_t>(left.as_ms() + 1, 1, 60'000);
    const int count = poll(&ready, 1, static_cast<int>(ms));
    if (count > 0) {
      return {};
    }
    if (count < 0 && errno != EINTR) {
      return fail(errno, "wait for the health monitor");
    }
  }
}

}  // namespace

std::string socket_path(const std::string& root) {
  std::string path = root;
  while (path.ends_with('/')) {
    path.pop_back();
  }
  return path + "/run/crossbeat/control.sock";
}

Result<Client> Client::connect(const std::string& path, Instant deadline) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    return fail(errno, "open a socket");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The kernel takes 107 characters; a longer path is named through its directory's descriptor.
  Fd directory;
  std::string name = path;
  if (name.size() >= sizeof address.sun_path) {
    const std::size_t slash = path.rfind('/');
    directory.reset(open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
      return fail(errno, "open " + path.substr(0, slash));
    }
    name = "/proc/self/fd/" + std::to_string(directory.get()) + path.substr(slash);
  }
  std::copy(name.begin(), name.end(), std::begin(address.sun_path));
  // A monitor that hangs does not take up connections; when its queue is full, connect() waits.
  const auto left_us =
      std::clamp<std::int64_t>((deadline - boottime_now()).as_us(), 1, 3'600'000'000);
  const timeval patience{.tv_sec = static_cast<time_t>(left_us / 1'000'000),
                         .tv_usec = static_cast<suseconds_t>(left_us % 1'000'000)};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
    return fail(errno, "prepare a socket");
  }
  const auto* target = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  while (::connect(fd.get(), target, sizeof address) != 0) {
    if (errno != EINTR) {
      return fail(errno == EAGAIN ? ETIMEDOUT : errno, "connect to " + path);
    }
  }
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    return fail(errno, "prepare a socket");
  }
  return Client(std::move(fd));
}

Result<> Client::send(const Json& request, Instant deadline) {
  const std::string line = to_line(request) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      CB_TRY_DO(wait(fd_.get(), POLLOUT, deadline));
    } else if (errno != EINTR) {
      return fail(errno, "send to the health monitor");
    }
  }
  return {};
}

Result<Json> Client::receive(Instant deadline) {
  std::array<char, 16384> part;
  while (true) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      auto json = parse_object(std::string_view(received_).substr(0, end));
      received_.erase(0, end + 1);
      if (!json) {
        return fail(EPROTO, "the health monitor's answer is not a JSON object");
      }
      return *std::move(json);
    }
    if (received_.size() > kLineMax) {
      return fail(EPROTO, "the health monitor's answer does not end");
    }
    const ssize_t count = recv(fd_.get(), part.data(), part.size(), 0);
    if (count > 0) {
      received_.append(part.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      return fail(EPIPE, "the health monitor closed the connection");
    } else if (errno == EAGAIN) {
      CB_TRY_DO(wait(fd_.get(), POLLIN, deadline));
    } else if (errno != EINTR) {
      return fail(errno == ECONNRESET ? EPIPE : errno, "read from the health monitor");
    }
  }
}

Result<Json> Client::ask(const Json& request, Instant deadline) {
  CB_TRY_DO(send(request, deadline));
  return receive(deadline);
}

bool means_not_running(const Error& error) {
  return error.code == ENOENT || error.code == ECONNREFUSED || error.code == ENOTDIR;
}

}  // namespace cb::cli
