// SPDX-License-Identifier: Apache-2.0
//
// KeepAwake: while there is work, no processor of this machine goes into an idle state that takes
// long to leave (base/awake.h). A commit is a chain of some ten wake-ups on two nodes, one after
// the other, and each may take 20 us in a virtual machine and 100 us on a real one. Without work
// processors sleep as they like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/awake.h"
#include "loop/loop.h"

namespace cb::replication {

// What an idle state may take to be left, in microseconds; nothing: whatever it takes. On a real
// machine the lightest state takes about 1 us and saves most of the power. In a virtual machine
// each state but polling is left through the hypervisor, whatever the kernel says that it takes.
struct CpuLatency {
  bool automatic = true;
  std::optional<std::int32_t> limit_us;  // when not automatic

  // driver: of idle states, as in /sys/devices/system/cpu/cpuidle/current_driver.
  std::optional<std::int32_t> limit(std::string_view driver) const;
  bool operator==(const CpuLatency&) const = default;
};

std::string idle_driver();

class KeepAwake {
 public:
  // limit_us: nothing: does nothing. device: the kernel's.
  KeepAwake(loop::Loop& loop, std::optional<std::int32_t> limit_us,
            const char* device = Awake::kDevice);
  ~KeepAwake() { loop_.cancel(timer_); }
  KeepAwake(const KeepAwake&) = delete;
  KeepAwake& operator=(const KeepAwake&) = delete;

  void touch();  // there is work now

  std::optional<std::int32_t> limit_us() const noexcept { return limit_us_; }
  int error() const noexcept { return awake_.error(); }  // errno of the kernel's refusal, or 0
  bool holds() const noexcept { return awake_.holds(); }

 private:
  void look_again_at(Instant when);

  loop::Loop& loop_;
  std::optional<std::int32_t> limit_us_;
  Awake awake_;
  loop::TimerId timer_;
};

}  // namespace cb::replication
