// SPDX-License-Identifier: Apache-2.0
//
// Keeps the processors out of their sleep states for a moment, by the kernel's PM quality of
// service (/dev/cpu_dma_latency). Waking up a sleeping processor costs 20 to 200 us, and a failover
// or a commit is a chain of a dozen wake-ups: while it is held they are not paid. It costs power,
// so nothing is held while all is well and nothing is to be done.
#pragma once

#include <cstdint>

#include "base/fd.h"
#include "base/instant.h"

namespace cb {

class Awake {
 public:
  static constexpr const char* kDevice = "/dev/cpu_dma_latency";

  // limit_us: what a sleep state may take to be left while it is held; 0: no sleep at all.
  // Never fails: where the device is missing or refused, can() says so and the rest does nothing.
  static Awake open(const char* device = kDevice, std::int32_t limit_us = 0);

  bool can() const noexcept { return static_cast<bool>(device_); }
  int error() const noexcept { return error_; }  // why it cannot: an errno, or 0

  // One short system call at most, no lock, no allocation; from one thread only.
  void hold_until(Instant until) noexcept;
  void release_when_over(Instant now) noexcept;
  bool holds() const noexcept { return !until_.is_never(); }
  Instant until() const noexcept { return until_; }  // never: it is not held

 private:
  Fd device_;
  int error_ = 0;
  std::int32_t limit_us_ = 0;
  Instant until_ = Instant::never();
};

}  // namespace cb
