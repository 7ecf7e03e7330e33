// SPDX-License-Identifier: Apache-2.0
#include "edge/awake.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace cb::edge {
namespace {

constexpr int32_t kNoSleep = 0;
constexpr int32_t kAnySleep = 2'000'000'000;  // PM_QOS_CPU_LATENCY_DEFAULT_VALUE

// The device takes a wish of this many microseconds; it is forgotten when the descriptor is closed.
// Opening it alone is already a wish for no sleep at all.
bool wish(const Fd& device, int32_t latency_us) noexcept {
  return write(device.get(), &latency_us, sizeof latency_us) ==
         static_cast<ssize_t>(sizeof latency_us);
}

}  // namespace

Awake Awake::open(const char* device) {
  Awake awake;
  awake.device_.reset(::open(device, O_WRONLY | O_CLOEXEC));
  if (awake.device_ && !wish(awake.device_, kAnySleep)) {
    awake.device_.reset();
  }
  return awake;
}

void Awake::hold_until(Instant until) noexcept {
  if (!device_) {
    return;
  }
  if (!holds() && !wish(device_, kNoSleep)) {
    return;  // slower, and right all the same
  }
  until_ = holds() ? std::max(until_, until) : until;
}

void Awake::release_when_over(Instant now) noexcept {
  if (holds() && now >= until_ && wish(device_, kAnySleep)) {
    until_ = Instant::never();
  }
}

}  // namespace cb::edge
