// SPDX-License-Identifier: Apache-2.0
//
// Maintenance: on, off, and its end by itself. The end is kept as wall time in the ledger, so that
// a restart, a crash or a reboot in the middle changes nothing about it.
#include <algorithm>

#include "agent/exit_code.h"
#include "agent/monitor.h"
#include "base/clock.h"
#include "core/state_text.h"

namespace cb::agent {
namespace {

constexpr int64_t kSecondsMax = int64_t{7} * 24 * 3600;
// However far the end is: the wall clock may be set meanwhile.
constexpr Duration kLookAgain = Duration::from_s(30);

}  // namespace

uint64_t Monitor::wall_now_s() const {
  const Instant now = boottime_now();
  return static_cast<uint64_t>(now.as_ns() +
                               static_cast<int64_t>(world_.kernel->node()->wall_offset_ns)) /
         1'000'000'000;
}

void Monitor::verb_maintenance(const Json& request, const ControlServer::Client& client) {
  const bool on = flag_in(request, "on");
  const int64_t seconds = number_in(request, "minutes", 0) * 60 + number_in(request, "seconds", 0);
  if (number_in(request, "minutes", 0) < 0 || seconds < 0 || seconds > kSecondsMax) {
    client.send(error_reply("maintenance may last at most seven days",
                            "give --for between 1s and 168h", kExitUsage));
    return;
  }
  const uint64_t until = on && seconds > 0 ? wall_now_s() + static_cast<uint64_t>(seconds) : 0;
  if (!flag_in(request, "dry_run")) {
    for (const auto& unit : units_) {
      core::Event event;
      event.kind = core::EventKind::OperatorMaintenance;
      event.on = on;
      event.value = until;
      unit->tell(event);
    }
    watch_maintenance(until != 0 ? Duration::from_s(seconds) : kLookAgain);
  }
  Json reply = ok_reply();
  reply["maintenance"] = on;
  reply["until_wall"] = until == 0
                            ? Json(nullptr)
                            : Json(edge::wall_text(static_cast<int64_t>(until) * 1'000'000'000));
  client.send(reply);
}

// Looks again after this time at the latest.
void Monitor::watch_maintenance(Duration span) {
  world_.loop->cancel(maintenance_timer_);
  maintenance_timer_ = world_.loop->after(std::min(span, kLookAgain), [this] {
    maintenance_timer_ = {};
    end_maintenance();
  });
}

void Monitor::end_maintenance() {
  const uint64_t now_s = wall_now_s();
  Duration next = kLookAgain;
  bool any = false;
  for (const auto& unit : units_) {
    const core::State& state = unit->instance().state();
    if (!state.maintenance || state.maintenance_until_wall_s == 0) {
      continue;
    }
    if (state.maintenance_until_wall_s <= now_s) {
      core::Event off;
      off.kind = core::EventKind::OperatorMaintenance;
      off.on = false;
      unit->tell(off);
      continue;
    }
    any = true;
    next = std::min(next,
                    Duration::from_s(static_cast<int64_t>(state.maintenance_until_wall_s - now_s)));
  }
  if (any) {
    watch_maintenance(next);
  }
}

}  // namespace cb::agent
