// SPDX-License-Identifier: Apache-2.0
//
// Keeps one thread off the processor of another for a moment. A deadline task that wakes a
// real-time thread whose last processor is its own leaves it there, also when another processor is
// idle (seen on Linux 6.18): the control loop then waits out every probe of a burst, some 100 us in
// all, in the middle of a failover. The kernel refuses to bind the deadline task itself.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include "base/instant.h"

namespace cb::edge {

class Aside {
 public:
  Aside() = default;
  explicit Aside(pid_t thread) noexcept : thread_(thread) {}

  // From the thread that needs the processor: the other one may run anywhere else that it might run
  // before. Nothing happens where there is no other processor. Two short system calls, no lock, no
  // allocation.
  void make_way(Instant until) noexcept;
  // Gives it back what it had, unless somebody else has changed it meanwhile.
  void release_when_over(Instant now) noexcept;
  bool holds() const noexcept { return !until_.is_never(); }

 private:
  pid_t thread_ = 0;  // 0: nobody
  cpu_set_t before_{};
  cpu_set_t meanwhile_{};
  Instant until_ = Instant::never();
};

}  // namespace cb::edge
