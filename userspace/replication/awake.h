// SPDX-License-Identifier: Apache-2.0
//
// Awake: while there is work, no processor of this machine goes into an idle state that takes long
// to leave (CPU latency QoS of the kernel, Documentation/power/pm_qos_interface.rst). A commit is a
// chain of some ten wake-ups on two nodes, one after the other, and each may take 20 us in a
// virtual machine and 100 us on a real one. Without work processors sleep as they like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/instant.h"
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

class Awake {
 public:
  // limit_us: nothing: does nothing. device: the kernel's.
  Awake(loop::Loop& loop, std::optional<std::int32_t> limit_us,
        const char* device = "/dev/cpu_dma_latency");
  ~Awake();
  Awake(const Awake&) = delete;
  Awake& operator=(const Awake&) = delete;

  void touch();  // there is work now

  std::optional<std::int32_t> limit_us() const noexcept { return limit_us_; }
  int error() const noexcept { return error_; }  // errno of the kernel's refusal, or 0
  bool holds() const noexcept { return holds_; }

 private:
  void rest();
  bool ask(std::int32_t limit_us);

  loop::Loop& loop_;
  std::optional<std::int32_t> limit_us_;
  Fd device_;  // closed with the process, and with it the request is gone
  int error_ = 0;
  bool holds_ = false;
  Instant touched_;
  loop::TimerId timer_;
  loop::Leash leash_;
};

}  // namespace cb::replication
