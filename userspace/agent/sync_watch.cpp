// SPDX-License-Identifier: Apache-2.0
#include "agent/sync_watch.h"

namespace cb::agent {
namespace {

// A quarter of the time until it counts as stuck is the first wait between two restarts; fifteen
// times that time is the longest.
core::StallSettings settings_of(Duration stuck_after) {
  core::StallSettings settings;
  settings.stuck_after = stuck_after;
  settings.restart_first = stuck_after / 4;
  settings.restart_last = stuck_after * 15;
  return settings;
}

}  // namespace

SyncWatch::SyncWatch(Duration stuck_after)
    : watch_(settings_of(stuck_after)), look_every_(stuck_after / 8) {}

std::optional<std::string> SyncWatch::look(const volume::Status& volume, bool follows,
                                           Instant now) {
  if (!follows || volume.in_step || volume.serving || volume.failure) {
    watch_.end();
    return std::nullopt;
  }
  const std::uint64_t moved = volume.position + volume.bytes_done;
  if (!watch_.is_running()) {
    watch_.begin(moved, now);
  }
  watch_.progress(moved, now);
  if (watch_.judge(now) != core::StallVerdict::Restart) {
    return std::nullopt;
  }
  std::string text = "no progress for " + std::to_string(watch_.stuck_for(now).as_s()) +
                     " s, begun again for the " + std::to_string(watch_.restarts()) + ". time: ";
  text += volume.stall_text.empty() ? "why is not known" : volume.stall_text;
  return text;
}

}  // namespace cb::agent
