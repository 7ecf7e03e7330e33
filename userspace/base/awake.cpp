// SPDX-License-Identifier: Apache-2.0
#include "base/awake.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cb {
namespace {

constexpr std::int32_t kAnySleep = 2'000'000'000;  // PM_QOS_CPU_LATENCY_DEFAULT_VALUE

// The device takes a wish of this many microseconds; it is forgotten when the descriptor is closed.
bool wish(const Fd& device, std::int32_t latency_us) noexcept {
  return write(device.get(), &latency_us, sizeof latency_us) ==
         static_cast<ssize_t>(sizeof latency_us);
}

}  // namespace

// A first wish, which changes nothing, tells whether the device takes any.
Awake Awake::open(const char* device, std::int32_t limit_us) {
  Awake awake;
  awake.limit_us_ = limit_us;
  awake.device_.reset(::open(device, O_WRONLY | O_CLOEXEC));
  if (!awake.device_ || !wish(awake.device_, kAnySleep)) {
    awake.error_ = errno;
    awake.device_.reset();
  }
  return awake;
}

void Awake::hold_until(Instant until) noexcept {
  if (!device_) {
    return;
  }
  if (!holds() && !wish(device_, limit_us_)) {
    return;  // slower, and right all the same
  }
  until_ = holds() ? std::max(until_, until) : until;
}

void Awake::release_when_over(Instant now) noexcept {
  if (holds() && now >= until_ && wish(device_, kAnySleep)) {
    until_ = Instant::never();
  }
}

}  // namespace cb
