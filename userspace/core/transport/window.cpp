// SPDX-License-Identifier: Apache-2.0
//
// How much may be under way on a path. On a cable loss is nearly always a full receive ring, so the
// window grows fast and is cut by a little. It is also cut when packets queue for long: a queue in
// front of a slow receiver carries nothing faster and makes Control wait. What Resync may have
// under way is cut at a much shorter queue, so that bulk copies leave the cable to the others.
#include <algorithm>

#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

constexpr Duration kQueueMax = Duration::from_ms(2);
constexpr Duration kResyncQueueMax = Duration::from_us(300);

// Takes a part off, but never goes below the least: on a busy machine a thread that runs late looks
// like a queue, and a small window would make it one.
void cut(uint64_t& window, uint64_t part, uint64_t least) {
  window = std::max(window - window / part, std::min(window, least));
}

}  // namespace

void open_window(State& s, Path& path) {
  path.window = 4 * s.settings.window_min;
  path.slow_start_until = s.settings.window_max;
  path.resync_window = 2 * s.settings.window_min;
  path.round_end = s.next_number;
  path.round_least = Duration::forever();
  path.was_full = false;
}

void on_arrived(State& s, Path& path, const Record& record) {
  if (path.in_flight + record.size + path.size >= path.window / 2) {
    path.was_full = true;
  }
  if (path.was_full && path.window < path.slow_start_until) {
    path.window = std::min(path.window + record.size, s.settings.window_max);
  }
}

// Once a round at the most: what was sent before the last cut says nothing new.
void on_loss(State& s, Path& path, Instant sent, Instant now) {
  if (sent <= path.cut_at) {
    return;
  }
  path.cut_at = now;
  path.window = std::max(path.window * 7 / 10, s.settings.window_min);
  path.slow_start_until = path.window;
  path.resync_window = std::max(path.resync_window / 2, s.settings.window_min);
}

void end_round(State& s, Path& path) {
  const Settings& set = s.settings;
  const Duration least = path.trip.least;
  if (path.round_least != Duration::forever()) {
    if (path.round_least > least * 2 + kQueueMax) {
      cut(path.window, 8, set.queue_min);
      path.slow_start_until = path.window;
    } else if (path.was_full && path.window >= path.slow_start_until) {
      path.window = std::min(path.window + path.window / 32 + path.size, set.window_max);
    }
    if (path.round_least > least * 2 + kResyncQueueMax) {
      cut(path.resync_window, 4, set.resync_queue_min);
    } else {
      path.resync_window = std::min(path.resync_window + path.resync_window / 8, set.window_max);
    }
  }
  path.round_end = s.next_number;
  path.round_least = Duration::forever();
  path.was_full = false;
}

}  // namespace cb::core::transport
