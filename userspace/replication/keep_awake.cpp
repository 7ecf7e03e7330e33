// SPDX-License-Identifier: Apache-2.0
#include "replication/keep_awake.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace cb::replication {

namespace {

// Longer than the pauses within a load, so that asking costs nothing; each change wakes all
// processors.
constexpr Duration kRest = Duration::from_ms(50);
constexpr std::int32_t kRealMachine = 2;  // us: C1 and its like

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

KeepAwake::KeepAwake(loop::Loop& loop, std::optional<std::int32_t> limit_us, const char* device)
    : loop_(loop), limit_us_(limit_us) {
  if (!limit_us_) {
    return;
  }
  awake_ = Awake::open(device, *limit_us_);
  if (!awake_.can()) {
    log_info("volume: processors sleep as they like (%s): commits wait until they wake up",
             to_text(fail(awake_.error(), device)).c_str());
  }
}

void KeepAwake::touch() {
  awake_.hold_until(loop_.now() + kRest);
  if (awake_.holds() && !timer_) {
    look_again_at(awake_.until());
  }
}

void KeepAwake::look_again_at(Instant when) {
  timer_ = loop_.at(when, [this] {
    timer_ = {};
    const Instant now = loop_.now();
    awake_.release_when_over(now);
    if (awake_.holds()) {
      look_again_at(awake_.until() > now ? awake_.until() : now + kRest);
    }
  });
}

}  // namespace cb::replication
