// SPDX-License-Identifier: Apache-2.0
#include "replication/awake.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace cb::replication {

namespace {

// Longer than the pauses within a load, so that asking costs nothing; each change wakes all
// processors.
constexpr Duration kRest = Duration::from_ms(50);
constexpr std::int32_t kRealMachine = 2;  // us: C1 and its like
constexpr std::int32_t kNoLimit = -1;     // PM_QOS_DEFAULT_VALUE

}  // namespace

std::optional<std::int32_t> CpuLatency::limit(std::string_view driver) const {
  if (!automatic) {
    return limit_us;
  }
  return driver == "haltpoll" ? 0 : kRealMachine;
}

std::string idle_driver() {
  const auto text = read_all("/sys/devices/system/cpu/cpuidle/current_driver", 64);
  return text ? std::string(trim(*text)) : "none";
}

Awake::Awake(loop::Loop& loop, std::optional<std::int32_t> limit_us, const char* device)
    : loop_(loop), limit_us_(limit_us) {
  if (!limit_us_) {
    return;
  }
  device_ = Fd(::open(device, O_WRONLY | O_CLOEXEC));
  if (!device_) {
    error_ = errno;
    log_info("volume: processors sleep as they like (%s): commits wait until they wake up",
             to_text(fail(error_, std::string("open ") + device)).c_str());
  }
}

Awake::~Awake() { loop_.cancel(timer_); }

void Awake::touch() {
  if (!device_) {
    return;
  }
  touched_ = loop_.now();
  if (holds_ || !ask(*limit_us_)) {
    return;
  }
  holds_ = true;
  timer_ = loop_.at(touched_ + kRest, leash_.guard([this] { rest(); }));
}

void Awake::rest() {
  const Instant until = touched_ + kRest;
  if (loop_.now() < until) {
    timer_ = loop_.at(until, leash_.guard([this] { rest(); }));
    return;
  }
  timer_ = {};
  holds_ = false;
  ask(kNoLimit);
}

bool Awake::ask(std::int32_t limit_us) {
  if (::write(device_.get(), &limit_us, sizeof limit_us) == static_cast<ssize_t>(sizeof limit_us)) {
    return true;
  }
  error_ = errno;
  log_info("volume: the kernel does not keep processors awake: %s",
           to_text(fail(error_, "write to cpu_dma_latency")).c_str());
  device_.reset();  // and what was asked for is taken back
  return false;
}

}  // namespace cb::replication
