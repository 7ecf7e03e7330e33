// SPDX-License-Identifier: Apache-2.0
//
// A database flushes what it writes before it writes more. Where that is seen, what is written is
// made durable on both nodes at once: the flush that will come finds that done, or under way.
#pragma once

#include <algorithm>

namespace cb::core::volume {

struct FlushHabit {
  static constexpr int kEnough = 4;
  static constexpr int kMost = 8;
  int seen = 0;

  // A batch is issued. All before it is committed: somebody asked for that.
  void notice(bool all_before_is_committed) {
    seen = all_before_is_committed ? std::min(seen + 1, kMost) : seen / 2;
  }
  bool expects_flush() const { return seen >= kEnough; }
  bool operator==(const FlushHabit&) const = default;
};

}  // namespace cb::core::volume
