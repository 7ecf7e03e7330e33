// SPDX-License-Identifier: Apache-2.0
//
// Loaded into a program with LD_PRELOAD: its wall clock is wrong by as many seconds as the first
// line of the file $CB_WRONG_CLOCK says. Its other clocks are the machine's.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace {

// Read anew each time: a clock may be set.
long offset_s() {
  static const char* const path = getenv("CB_WRONG_CLOCK");
  char text[32] = {};
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  const ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  return count > 0 ? strtol(text, nullptr, 10) : 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* now) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, id, now));
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
    now->tv_sec += offset_s();
  }
  return result;
}

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  *now = {at.tv_sec, at.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* now) noexcept {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  if (now != nullptr) {
    *now = at.tv_sec;
  }
  return at.tv_sec;
}
}
