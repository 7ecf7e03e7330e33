// SPDX-License-Identifier: Apache-2.0
#include "cli/status_stream.h"

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"

namespace cb::cli {
namespace {

// The socket's folder: something is made, moved or removed there when a monitor starts.
class FolderWatch {
 public:
  explicit FolderWatch(const std::string& file) : fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_) {
      // ignored: without the folder there is nothing to see before `until`
      (void)inotify_add_watch(fd_.get(), file.substr(0, file.rfind('/')).c_str(),
                              IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_ATTRIB);
    }
  }

  void wait(Instant until) const {
    const Duration left = until - boottime_now();
    if (left > Duration{}) {
      pollfd changed{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      // ignored: a signal ends the wait early, and the caller looks again
      (void)poll(&changed, 1, static_cast<int>(std::min<std::int64_t>(left.as_ms() + 1, 60'000)));
    }
  }

 private:
  Fd fd_;
};

}  // namespace

Result<Json> StatusStream::next(Instant until) {
  auto status = client_ ? following(until) : first(until);
  if (!status) {
    client_.reset();
  }
  return status;
}

Result<Json> StatusStream::first(Instant until) {
  const FolderWatch folder(path_);
  auto connected = Client::connect(path_, boottime_now() + kAnswerWithin);
  if (!connected) {
    folder.wait(until);
    connected = Client::connect(path_, boottime_now() + kAnswerWithin);
  }
  if (!connected) {
    return std::move(connected).error();
  }
  client_ = *std::move(connected);
  auto status = client_->ask(Json{{"verb", "watch"}}, boottime_now() + kAnswerWithin);
  if (!status) {
    folder.wait(until);
  }
  return status;
}

Result<Json> StatusStream::following(Instant until) {
  auto status = client_->receive(until);
  if (status || status.error().code != ETIMEDOUT) {
    return status;
  }
  return client_->ask(Json{{"verb", "status"}}, boottime_now() + kAnswerWithin);
}

}  // namespace cb::cli
