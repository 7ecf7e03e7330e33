// SPDX-License-Identifier: Apache-2.0
//
// Turning a loop until a condition holds, in place of sleeping.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/clock.h"
#include "loop/loop.h"

namespace cb::test {

// Takes turns until condition() holds; false when it does not within the limit.
inline bool turn_until(loop::Loop& loop, const std::function<bool()>& condition,
                       Duration limit = Duration::from_s(10)) {
  const Instant end = boottime_now() + limit;
  while (!condition()) {
    if (boottime_now() >= end) {
      return false;
    }
    const auto turned = loop.turn(end);
    if (!turned) {
      ADD_FAILURE() << to_text(turned.error());
      return false;
    }
  }
  return true;
}

inline std::unique_ptr<loop::Loop> open_loop(loop::LoopOptions options = {}) {
  auto loop = loop::Loop::open(options);
  EXPECT_TRUE(loop) << to_text(loop.error());
  return std::move(*loop);
}

}  // namespace cb::test
