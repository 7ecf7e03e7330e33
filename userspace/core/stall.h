// SPDX-License-Identifier: Apache-2.0
//
// A synchronization that does not move is begun again, ever more rarely, and said to be stuck. A
// value that is told of progress and of time; it reads no clock and does nothing itself.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/instant.h"

namespace cb::core {

struct StallSettings {
  Duration stuck_after = Duration::from_s(120);    // without any progress
  Duration restart_first = Duration::from_s(30);   // between two restarts, doubled each time
  Duration restart_last = Duration::from_s(1800);  // at most
  int alarm_after = 3;                             // restarts in a row without progress
};

enum class StallVerdict : std::uint8_t {
  Moves,    // or nothing is to be synchronized
  Stuck,    // no progress for long; the next restart is not due yet
  Restart,  // begin it again now; said once
};

class StallWatch {
 public:
  explicit constexpr StallWatch(StallSettings settings = {}) noexcept : settings_(settings) {}

  // A synchronization runs from now on; `position` grows with progress.
  constexpr void begin(std::uint64_t position, Instant now) noexcept {
    running_ = true;
    position_ = position;
    moved_at_ = now;
    restarts_ = 0;
    next_restart_ = now;
  }
  // It is complete, or not wanted any more.
  constexpr void end() noexcept { running_ = false; }

  // Progress, in whatever unit; less than before is a new beginning and counts as movement.
  constexpr void progress(std::uint64_t position, Instant now) noexcept {
    if (running_ && position != position_) {
      position_ = position;
      moved_at_ = now;
      restarts_ = 0;
      next_restart_ = now;
    }
  }

  constexpr StallVerdict judge(Instant now) noexcept {
    if (!running_ || now < moved_at_ + settings_.stuck_after) {
      return StallVerdict::Moves;
    }
    if (now < next_restart_) {
      return StallVerdict::Stuck;
    }
    // Doubled in a way that cannot overflow: the number of doublings is bounded.
    const Duration wait = settings_.restart_first * (std::int64_t{1} << std::min(restarts_, 20));
    next_restart_ = now + std::min(wait, settings_.restart_last);
    restarts_ = std::min(restarts_ + 1, kRestartsMax);
    return StallVerdict::Restart;
  }

  // When judge() may next say something else.
  constexpr Instant next_deadline() const noexcept {
    return running_ ? std::max(moved_at_ + settings_.stuck_after, next_restart_) : Instant::never();
  }
  constexpr bool is_running() const noexcept { return running_; }
  constexpr int restarts() const noexcept { return restarts_; }  // since it last moved
  constexpr bool is_alarming() const noexcept { return restarts_ >= settings_.alarm_after; }
  constexpr Duration stuck_for(Instant now) const noexcept { return now - moved_at_; }

 private:
  static constexpr int kRestartsMax = 1000;
  StallSettings settings_;
  bool running_ = false;
  std::uint64_t position_ = 0;
  Instant moved_at_{};
  Instant next_restart_{};
  int restarts_ = 0;
};

}  // namespace cb::core
