// SPDX-License-Identifier: Apache-2.0
#include "edge/aside.h"

#include <algorithm>

namespace cb::edge {

// Machines with more processors than a cpu_set_t holds refuse the question: then all stays as it
// is.
void Aside::make_way(Instant until) noexcept {
  if (thread_ == 0) {
    return;
  }
  if (holds()) {
    until_ = std::max(until_, until);
    return;
  }
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE ||
      sched_getaffinity(thread_, sizeof before_, &before_) != 0) {
    return;
  }
  meanwhile_ = before_;
  CPU_CLR(static_cast<size_t>(here), &meanwhile_);
  if (CPU_COUNT(&meanwhile_) > 0 &&
      sched_setaffinity(thread_, sizeof meanwhile_, &meanwhile_) == 0) {
    until_ = until;
  }
}

void Aside::release_when_over(Instant now) noexcept {
  if (!holds() || now < until_) {
    return;
  }
  until_ = Instant::never();
  cpu_set_t is_now;
  if (sched_getaffinity(thread_, sizeof is_now, &is_now) == 0 && CPU_EQUAL(&is_now, &meanwhile_)) {
    // ignored: a processor that went away meanwhile is the kernel's affair
    (void)sched_setaffinity(thread_, sizeof before_, &before_);
  }
}

}  // namespace cb::edge
