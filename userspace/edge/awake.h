// SPDX-License-Identifier: Apache-2.0
//
// Keeps the processors out of their sleep states for a moment, by the kernel's PM quality of
// service
// (/dev/cpu_dma_latency). Waking up a sleeping processor costs 20 to 200 us, and a failover is a
// chain of a dozen wake-ups: from the first overdue probe on they are not paid. It costs power, so
// nothing is held while all is well.
#pragma once

#include "base/fd.h"
#include "base/instant.h"

namespace cb::edge {

class Awake {
 public:
  // Never fails: where the device is missing or refused, can() says so and the rest does nothing.
  static Awake open(const char* device = "/dev/cpu_dma_latency");

  bool can() const noexcept { return static_cast<bool>(device_); }

  // One short system call at most, no lock, no allocation; from one thread only.
  void hold_until(Instant until) noexcept;
  void release_when_over(Instant now) noexcept;
  bool holds() const noexcept { return !until_.is_never(); }

 private:
  Fd device_;
  Instant until_ = Instant::never();
};

}  // namespace cb::edge
