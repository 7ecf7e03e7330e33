// SPDX-License-Identifier: Apache-2.0
//
// Has what was asked for happened? Pure: two views of one instance, before and now.
#pragma once

#include <string>

#include "cli/view.h"

namespace cb::cli {

enum class Move { Switchover, Failover, Failback };

struct Progress {
  enum class Kind { Going, Done, Failed } kind = Kind::Going;
  std::string text;  // why, for Done and Failed
};

// since_ms: how long ago the request was accepted. A move that failed is recognised by an instance
// that has settled in the state that it began in, after something had happened.
Progress judge(Move move, const std::string& me, const PairView& before, const PairView& now,
               double since_ms, bool something_happened);

// One line of progress: what an operator should see change.
std::string progress_line(const PairView& view);

}  // namespace cb::cli
