// SPDX-License-Identifier: Apache-2.0
//
// Which path carries the streams. The first in order is the best. A path is left when it lost its
// carrier, or when it is silent and another one answered after that began; it is returned to when
// it has answered for a while, longer each time that it failed soon after. A move loses nothing:
// what was under way goes out again on the new path, and the streams keep the order.
#include <algorithm>

#include "base/check.h"
#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

constexpr int kSuspectAfter = 3;  // time-outs or pings in a row
constexpr Duration kPingFloor = Duration::from_ms(5);
constexpr Duration kPingCeiling = Duration::from_ms(200);
constexpr Duration kSettled = Duration::from_s(30);

Duration ping_patience(const Path& path, const Settings& settings) {
  const Duration base = std::max(probe_span(path, settings) * 2, kPingFloor);
  return std::min(base * (int64_t{1} << std::min(path.misses, 6)),
                  std::max(kPingCeiling, path.trip.smooth * 3));
}

void ping_now(Path& path) {
  if (usable(path)) {
    path.ping_due = true;
  }
}

bool suspect(const Path& path) {
  return !usable(path) || path.timeouts >= kSuspectAfter || path.misses >= kSuspectAfter;
}

void move_to(State& s, int path, Instant now) {
  const int from = s.active;
  s.active = path;
  ++s.counts.moves;
  s.suspect_since = Instant::never();
  if (path > from) {
    // Left soon after it was returned to: it must prove itself longer the next time.
    const bool soon = !s.returned_at.is_never() && now - s.returned_at < kSettled;
    s.return_after =
        soon ? std::min(s.return_after * 2, s.settings.return_after_max) : s.settings.return_after;
    lose_path(s, from);
    path_of(s, from).answering_since = Instant::never();
  } else {
    s.returned_at = now;
  }
  open_window(s, path_of(s, path));
  path_of(s, path).timeouts = 0;
  if (s.newest > 0) {
    s.ack_due = true;
    s.ack_path = path;
  }
}

void leave_if_silent(State& s, Instant now) {
  if (!suspect(path_of(s, s.active))) {
    s.suspect_since = Instant::never();
    return;
  }
  if (s.suspect_since.is_never()) {
    s.suspect_since = now;
    for (int i = 0; i < kPathsMax; ++i) {
      if (i != s.active) {
        ping_now(path_of(s, i));
      }
    }
  }
  const bool gone = !usable(path_of(s, s.active));
  int best = -1;
  for (int i = 0; i < kPathsMax; ++i) {
    const Path& path = path_of(s, i);
    if (i == s.active || !usable(path) || suspect(path)) {
      continue;
    }
    const bool spoke = path.answered && path.last_answer >= s.suspect_since;
    if ((spoke || (gone && answers(s, i, now))) && best < 0) {
      best = i;
    }
  }
  if (best >= 0) {
    move_to(s, best, now);
  }
}

void return_if_better(State& s, Instant now) {
  for (int i = 0; i < s.active; ++i) {
    const Path& path = path_of(s, i);
    if (usable(path) && path.misses == 0 && !path.answering_since.is_never() &&
        now - path.answering_since >= s.return_after && answers(s, i, now)) {
      move_to(s, i, now);
      return;
    }
  }
}

void ping_tick(State& s, int index, Instant now) {
  Path& path = path_of(s, index);
  if (path.ping_out && path.ping_deadline <= now) {
    path.ping_out = false;
    ++path.misses;
    path.answering_since = Instant::never();
    path.ping_due = true;
    if (index == s.active && path.misses == 1) {
      for (int i = 0; i < kPathsMax; ++i) {
        if (i != index) {
          ping_now(path_of(s, i));
        }
      }
    }
  }
  if (path.ping_out || path.ping_due || path.ping_next > now) {
    return;
  }
  const Instant quiet = path.last_answer + s.settings.ping_every;
  if (index == s.active && path.answered && quiet > now && !blocked(s)) {
    path.ping_next = quiet;  // acknowledgements say it as well
    return;
  }
  path.ping_due = true;
}

}  // namespace

bool answers(const State& s, int index, Instant now) {
  const Path& path = path_of(s, index);
  const Duration lately = s.settings.standby_ping_every * 2 + path.trip.smooth * 4;
  return usable(path) && path.answered && path.misses == 0 && now - path.last_answer <= lately;
}

bool blocked(const State& s) {
  return std::any_of(s.out.begin(), s.out.end(), [](const SendStream& stream) {
    return stream.next < stream.end && stream.next >= stream.credit;
  });
}

void answered(Path& path, Instant now) {
  if (!path.answered) {
    start_probe(path, path.packet_max);  // an Ack may well come before the first pong
  }
  path.answered = true;
  path.last_answer = now;
  path.misses = 0;
  if (path.answering_since.is_never()) {
    path.answering_since = now;
  }
}

void on_path_changed(State& s, const Event& event, Instant now) {
  CB_CHECK(event.path >= 0 && event.path < kPathsMax);
  Path& path = path_of(s, event.path);
  const bool rises = event.carrier && !path.carrier;
  const uint32_t before = path.packet_max;
  path.carrier = event.carrier;
  path.packet_max = std::min(event.packet_max, kSizeMax);
  path.size =
      path.size == 0 ? std::min(path.packet_max, kSizeBase) : std::min(path.size, path.packet_max);
  if (before == 0 || path.window == 0) {
    open_window(s, path);
  }
  if (path.packet_max > before && path.answered) {
    start_probe(path, path.packet_max);
  } else if (path.packet_max < before) {
    path.probe = SizeProbe{};
    path.probe.low = path.size;
  }
  if (rises) {
    // Whatever was being waited for: ask again at once.
    path.timeouts = 0;
    path.misses = 0;
    path.ping_out = false;
    path.answering_since = Instant::never();
    ping_now(path);
    if (event.path == s.active && path.open_count > 0) {
      path.last_sent = now - s.settings.probe_ceiling;
    }
  }
  if (!path.carrier) {
    path.ping_out = path.ping_due = path.pong_due = false;
    path.answering_since = Instant::never();
  }
}

void on_pong(State& s, int index, const Frames& frames, Instant now) {
  Path& path = path_of(s, index);
  if (on_probe_pong(path, frames, now)) {
    answered(path, now);
    return;
  }
  if (frames.pong > path.ping_id || frames.pong + kPingsKept <= path.ping_id) {
    return;  // no ping of ours, or a very old one
  }
  const bool newest = frames.pong == path.ping_id;
  if (newest && path.ping_out) {
    path.ping_out = false;
    path.ping_next =
        now + (index == s.active ? s.settings.ping_every : s.settings.standby_ping_every);
  }
  sample(path, now - path.ping_sent[frames.pong % kPingsKept], Duration{}, now);
  answered(path, now);
  // An answer to a small packet while data gets none: the packets may be too large for the path.
  if (index == s.active && path.timeouts >= kSuspectAfter && path.size > kSizeBase) {
    path.size = std::min(path.packet_max, kSizeBase);
    path.probe = SizeProbe{};
    path.probe.low = path.size;
    path.probe.again = now + Duration::from_s(1);
  }
}

void paths_tick(State& s, Instant now) {
  Instant newest = s.begun;
  for (int i = 0; i < kPathsMax; ++i) {
    Path& path = path_of(s, i);
    if (path.answered) {
      newest = std::max(newest, path.last_answer);
    }
    recovery_tick(s, i, now);
    if (!usable(path)) {
      continue;
    }
    ping_tick(s, i, now);
    probe_tick(s, path, now);
  }
  leave_if_silent(s, now);
  return_if_better(s, now);
  if (now - newest >= s.settings.silence) {
    s.alive = false;
  }
}

Instant paths_deadline(const State& s) {
  Instant next = Instant::never();
  Instant newest = s.begun;
  for (int i = 0; i < kPathsMax; ++i) {
    const Path& path = path_of(s, i);
    if (path.answered) {
      newest = std::max(newest, path.last_answer);
    }
    next = std::min(next, recovery_deadline(path, s.settings));
    if (!usable(path)) {
      continue;
    }
    if (path.ping_out) {
      next = std::min(next, path.ping_deadline);
    } else if (!path.ping_due) {
      next = std::min(next, path.ping_next);
    }
    next = std::min({next, path.probe.deadline, path.probe.again});
    if (i < s.active && !path.answering_since.is_never()) {
      next = std::min(next, std::max(path.answering_since + s.return_after, path.ping_next));
    }
  }
  return std::min(next, newest + s.settings.silence);
}

// The packet with the ping is about to be sent.
void ping_sent(State& s, int index, Instant now, Frames& frames) {
  Path& path = path_of(s, index);
  path.ping_id = (path.ping_id + 1) & 0x7fff'ffff;  // the highest bit is for probes
  path.ping_sent[path.ping_id % kPingsKept] = now;
  path.ping_due = false;
  path.ping_out = true;
  path.ping_deadline = now + ping_patience(path, s.settings);
  path.ping_next = now + (blocked(s) && index == s.active ? kPingFloor : s.settings.ping_every);
  frames.has_ping = true;
  frames.ping = path.ping_id;
}

}  // namespace cb::core::transport
