// SPDX-License-Identifier: Apache-2.0
//
// How the monitor ends, and what it leaves behind: a clean machine after a stop, everything as it
// was for a restart, and in both cases its last status; and what it tells about all that meanwhile.
#include <algorithm>
#include <cstring>

#include "agent/monitor.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/state_text.h"

namespace cb::agent {
namespace {

constexpr Duration kHooksAtStop = Duration::from_s(5);  // for what waits to be run
constexpr Duration kSaveAfter = Duration::from_ms(50);  // a change, until the status is saved

}  // namespace

void Monitor::begin_ending(Ending ending) {
  if (ending_ != Ending::None) {
    return;
  }
  ending_ = ending;
  log_notice(ending == Ending::Stop ? "stopping: the peer is told"
                                    : "restarting: a long grant is asked for");
  world_.notify.stopping(ending == Ending::Stop ? "stopping" : "restarting");
  if (ending == Ending::Stop) {
    console_->stopping();
  }
  for (const auto& unit : units_) {
    tell_to_end(*unit);
  }
  world_.loop->wake();
}

void Monitor::tell_to_end(Unit& unit) {
  core::Event event;
  event.kind = core::EventKind::ShutdownRequested;
  event.on = ending_ == Ending::Restart;
  unit.tell(event);
}

bool Monitor::ended() const {
  return ending_ != Ending::None && !attaching_direct_ &&
         std::all_of(units_.begin(), units_.end(), [](const auto& unit) { return unit->exited(); });
}

void Monitor::finish() {
  control_.reset();  // nobody may ask for anything any more
  if (ending_ == Ending::Stop) {
    const Instant hooks_until = boottime_now() + kHooksAtStop;
    while (!world_.hooks->is_idle() && boottime_now() < hooks_until) {
      if (!world_.loop->turn(hooks_until)) {
        break;
      }
    }
  }
  bool flushed = false;
  world_.events->flush([&flushed] { flushed = true; });
  const Instant patience = boottime_now() + Duration::from_s(2);
  while (!flushed && boottime_now() < patience) {
    if (!world_.loop->turn(patience)) {
      break;
    }
  }
  Json saved = status();
  saved["saved_at_wall"] = wall_now();
  const auto written =
      write_atomically(options_.root + "/var/lib/crossbeat/last_status.json", to_line(saved), 0644);
  if (!written) {
    log_warning("%s", to_text(written.error()).c_str());
  }
  if (ending_ == Ending::Restart) {
    // The guard trusts us until the long grant is over; the next monitor takes everything over as
    // it is.
    cb_node& node = *world_.kernel->node();
    const Instant now = boottime_now();
    CB_WRITE_ONCE(node.fresh_until_ns,
                  static_cast<uint64_t>((now + world_.node.planned_restart_grant).as_ns()));
    CB_WRITE_ONCE(node.monitor_tgid, 0);  // this exit is no death
    // Who stands by grants as long as the restart may take: the peer's lease must not hang on a
    // machine that is busy with starting us.
    const auto grant = static_cast<__u32>(world_.node.planned_restart_grant.as_us());
    for (const auto& unit : units_) {
      cb_pair& pair = world_.kernel->pairs()[unit->instance().slot()];
      if (pair.grant_us != 0 && pair.grant_us < grant) {
        CB_WRITE_ONCE(pair.grant_us, std::min(grant, CB_GRANT_US_MAX));
      }
    }
    log_notice("stopped for a restart; programs, address and services stay");
  } else {
    const auto detached = world_.kernel->detach();
    if (!detached) {
      log_warning("%s", to_text(detached.error()).c_str());
    }
    log_notice("stopped");
  }
}

void Monitor::open_console() {
  console_.emplace(world_.node.product.short_name, [this](const std::string& line) {
    if (!world_.slow) {
      write_to_console(line);  // nothing runs yet that could be held up
      return;
    }
    world_.slow->run(
        [line] {
          write_to_console(line);
          return 0;
        },
        [](int) {});
  });
  console_->starting();
}

void Monitor::look_for_console() {
  if (console_->is_done()) {
    return;
  }
  std::vector<const core::State*> states;
  for (const auto& unit : units_) {
    states.push_back(&unit->instance().state());
  }
  console_->look(states);
}

void Monitor::status_changed() {
  status_dirty_ = true;
  look_for_console();
  if (!save_under_way_) {
    // Not now: a takeover may be in the middle of its ladder, and writing a status down takes as
    // long as a rung.
    save_under_way_ = true;
    world_.loop->after(kSaveAfter, [this] { save_status(); });
  }
  if (!units_.empty()) {
    const core::State& state = units_.front()->instance().state();
    world_.notify.status(std::string(core::name_of(state.name)) + " " +
                         std::string(core::text_of(state.sub)));
  }
  const Json now = watchers_.empty() ? Json() : status();
  for (const auto& [id, client] : watchers_) {
    client.send(now);
  }
}

void Monitor::save_status() {
  status_dirty_ = false;
  Json saved = status();
  saved["saved_at_wall"] = wall_now();
  world_.slow->run(
      [path = options_.root + "/var/lib/crossbeat/last_status.json", text = to_line(saved)] {
        const auto written = write_atomically(path, text, 0644);
        return written ? 0 : written.error().code;
      },
      [this](int error) {
        save_under_way_ = false;
        if (status_dirty_) {
          status_changed();  // something changed meanwhile
        }
        if (error != 0) {
          log_warning("the status could not be saved: %s", strerror(error));
        }
      });
}

}  // namespace cb::agent
