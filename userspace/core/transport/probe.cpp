// SPDX-License-Identifier: Apache-2.0
//
// The size of a path's packets. The largest that the link takes is tried first, since it mostly
// gets through; then the middle of what is known. Nobody's MTU is assumed.
#include <algorithm>

#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

constexpr uint32_t kProbeId = 0x8000'0000;  // ids of probes are apart from those of pings
constexpr int kTries = 3;
constexpr uint32_t kCloseEnough = 32;
constexpr Duration kAgain = Duration::from_s(60);

void next_size(Path& path, Instant now) {
  SizeProbe& probe = path.probe;
  probe.tries = 0;
  probe.deadline = Instant::never();
  if (probe.high - probe.low < kCloseEnough) {
    probe.size = 0;
    probe.again = path.size < path.packet_max ? now + kAgain : Instant::never();
    return;
  }
  probe.size = (probe.low + (probe.high - probe.low + 1) / 2) & ~3u;
  probe.due = true;
}

}  // namespace

void start_probe(Path& path, uint32_t high) {
  SizeProbe& probe = path.probe;
  if (high <= path.size) {
    return;
  }
  probe.low = path.size;
  probe.high = high;
  probe.size = high;
  probe.tries = 0;
  probe.due = true;
  probe.deadline = probe.again = Instant::never();
}

void probe_sent(Path& path, const Settings& settings, Instant now, Frames& frames) {
  SizeProbe& probe = path.probe;
  probe.due = false;
  probe.id = kProbeId | (probe.id + 1);
  probe.deadline = now + std::max(probe_span(path, settings) * 3, Duration::from_ms(10));
  ++probe.tries;
  frames.has_ping = true;
  frames.ping = probe.id;
  frames.pad_to = probe.size - kHeader - kTag;
}

bool on_probe_pong(Path& path, const Frames& frames, Instant now) {
  if ((frames.pong & kProbeId) == 0) {
    return false;
  }
  SizeProbe& probe = path.probe;
  if (probe.size == 0 || frames.pong_size > probe.size || frames.pong_size <= path.size ||
      frames.pong_size > path.packet_max) {
    return true;
  }
  path.size = probe.low = frames.pong_size;
  if (path.size >= probe.high) {
    probe = SizeProbe{.low = path.size, .high = path.size, .id = probe.id};
  } else if (frames.pong_size == probe.size) {
    next_size(path, now);
  }
  return true;
}

void probe_tick(State& s, Path& path, Instant now) {
  SizeProbe& probe = path.probe;
  if (probe.again <= now) {
    probe.again = Instant::never();
    start_probe(path, path.packet_max);
  }
  if (probe.size == 0 || probe.deadline > now) {
    return;
  }
  probe.deadline = Instant::never();
  if (probe.tries < kTries) {
    probe.due = true;
    return;
  }
  probe.high = probe.size - 1;
  static_cast<void>(s);
  next_size(path, now);
}

}  // namespace cb::core::transport
