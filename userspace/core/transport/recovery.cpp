// SPDX-License-Identifier: Apache-2.0
//
// What became of the packets: acknowledgements, loss by count and by time, and the probe timer, as
// in RFC 9002, for each path apart. Packets are counted by path for the threshold, so that a move
// from a slow path to a fast one is no loss.
#include <algorithm>

#include "base/check.h"
#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

constexpr uint32_t kPacketThreshold = 3;
constexpr Duration kTimeGranularity = Duration::from_ms(1);
constexpr Duration kLeastKept = Duration::from_s(10);
constexpr Duration kAckDelayMax = Duration::from_ms(2);  // the peer's, and its timer's

void close_record(State& s, Record& record) {
  Path& path = path_of(s, record.path);
  CB_CHECK(record.open && path.in_flight >= record.size && path.open_count > 0);
  record.open = false;
  path.in_flight -= record.size;
  --path.open_count;
}

void data_arrived(State& s, const Record& record, Outcome& out) {
  SendStream& stream = s.out[record.klass];
  const Range range{std::max(record.offset, stream.acked), record.offset + record.length};
  if (range.from >= range.to) {
    return;
  }
  stream.lost.remove(range);
  if (range.from > stream.acked) {
    if (!stream.ahead.add(range)) {
      stream.lost.add_roughly(range);  // cannot be noted: it is sent once more
    }
    return;
  }
  stream.acked = range.to;
  while (!stream.ahead.empty() && stream.ahead.front().from <= stream.acked) {
    const Range next = stream.ahead.front();
    stream.acked = std::max(stream.acked, next.to);
    stream.ahead.remove(next);
  }
  out.freed = static_cast<uint8_t>(out.freed | 1u << record.klass);
}

void detect(State& s, int index, Instant now) {
  Path& path = path_of(s, index);
  path.loss_at = Instant::never();
  if (path.acked_count == 0) {
    return;
  }
  const Duration base = std::max({path.trip.smooth, path.trip.newest, kTimeGranularity});
  const Duration patience = base + base / 8;
  Instant newest_lost = Instant::from_ns(INT64_MIN);
  for (uint64_t number = s.floor; number <= path.acked_number; ++number) {
    const Record& record = record_of(s, number);
    if (!record.open || record.path != index) {
      continue;
    }
    if (record.count + 1 + kPacketThreshold <= path.acked_count || record.sent + patience <= now) {
      newest_lost = std::max(newest_lost, record.sent);
      lose(s, number);
    } else {
      path.loss_at = std::min(path.loss_at, record.sent + patience);
    }
  }
  if (newest_lost.as_ns() != INT64_MIN) {
    on_loss(s, path, newest_lost, now);
  }
  advance_floor(s);
}

// The oldest of what is under way goes out again, window or not: one of the copies brings an
// answer.
void probe(State& s, int index) {
  Path& path = path_of(s, index);
  int left = 2;
  for (uint64_t number = s.floor; number < s.next_number && left > 0; ++number) {
    const Record& record = record_of(s, number);
    if (record.open && record.path == index) {
      lose(s, number);
      --left;
    }
  }
  path.probes = 2;
  advance_floor(s);
}

}  // namespace

void lose(State& s, uint64_t number) {
  Record& record = record_of(s, number);
  close_record(s, record);
  ++path_of(s, record.path).lost;
  SendStream& stream = s.out[record.klass];
  const Range range{std::max(record.offset, stream.acked), record.offset + record.length};
  if (range.from >= range.to || stream.ahead.holds(range)) {
    return;
  }
  stream.lost.add_roughly(range);
}

void lose_path(State& s, int index) {
  for (uint64_t number = s.floor; number < s.next_number && path_of(s, index).open_count > 0;
       ++number) {
    const Record& record = record_of(s, number);
    if (record.open && record.path == index) {
      lose(s, number);
    }
  }
  path_of(s, index).loss_at = Instant::never();
  advance_floor(s);
}

void advance_floor(State& s) {
  while (s.floor < s.next_number && !record_of(s, s.floor).open) {
    ++s.floor;
  }
}

void sample(Path& path, Duration trip, Duration delay, Instant now) {
  RoundTrip& t = path.trip;
  if (t.least > trip || now - t.least_since > kLeastKept) {
    t.least = trip;
    t.least_since = now;
  }
  delay = std::min(delay, kAckDelayMax);
  if (trip - t.least >= delay) {
    trip -= delay;
  }
  t.newest = trip;
  path.round_least = std::min(path.round_least, trip);
  if (!t.known) {
    t.known = true;
    t.smooth = trip;
    t.spread = trip / 2;
    return;
  }
  const Duration off = t.smooth > trip ? t.smooth - trip : trip - t.smooth;
  t.spread = (t.spread * 3 + off) / 4;
  t.smooth = (t.smooth * 7 + trip) / 8;
}

void on_ack(State& s, const Ack& ack, Instant now, Outcome& out) {
  const uint64_t largest = ack.ranges[0].last;
  if (largest >= s.next_number) {
    out.refused = true;  // never sent
    return;
  }
  for (std::size_t klass = 0; klass < kClasses; ++klass) {
    s.out[klass].credit = std::max(s.out[klass].credit, ack.credit[klass]);
  }
  if (largest >= s.phase_first) {
    s.phase_confirmed = true;
  }
  uint8_t heard = 0;  // bit a path
  Instant newest_sent;
  int newest_path = -1;
  bool newest_is_largest = false;
  for (int i = 0; i < ack.count; ++i) {
    const AckRange& range = ack.ranges[static_cast<std::size_t>(i)];
    if (range.last < s.floor) {
      break;
    }
    for (uint64_t number = range.last + 1; number > std::max(range.first, s.floor);) {
      --number;
      Record& record = record_of(s, number);
      if (!record.open) {
        continue;
      }
      Path& path = path_of(s, record.path);
      if (newest_path < 0) {
        newest_path = record.path;
        newest_sent = record.sent;
        newest_is_largest = number == largest;
      }
      if (record.count + 1 > path.acked_count) {
        path.acked_count = record.count + 1;
        path.acked_number = number;
      }
      heard = static_cast<uint8_t>(heard | 1u << record.path);
      close_record(s, record);
      on_arrived(s, path, record);
      data_arrived(s, record, out);
    }
  }
  if (newest_path >= 0 && newest_is_largest) {
    sample(path_of(s, newest_path), now - newest_sent, Duration::from_us(ack.delay_us), now);
  }
  for (int i = 0; i < kPathsMax; ++i) {
    if ((heard >> i & 1) == 0) {
      continue;
    }
    Path& path = path_of(s, i);
    path.timeouts = 0;
    path.probes = 0;
    answered(path, now);
    if (path.acked_number >= path.round_end) {
      end_round(s, path);
    }
    detect(s, i, now);
  }
  advance_floor(s);
}

Duration probe_span(const Path& path, const Settings& settings) {
  const Duration span =
      path.trip.smooth + std::max(path.trip.spread * 4, Duration::from_us(100)) + kAckDelayMax;
  return std::max(span, settings.probe_floor);
}

Instant recovery_deadline(const Path& path, const Settings& settings) {
  if (path.open_count == 0) {
    return Instant::never();
  }
  const Duration span =
      std::min(probe_span(path, settings) * (int64_t{1} << std::min(path.timeouts, 10)),
               std::max(settings.probe_ceiling, path.trip.smooth * 2));
  return std::min(path.loss_at, path.last_sent + span);
}

void recovery_tick(State& s, int index, Instant now) {
  Path& path = path_of(s, index);
  if (path.open_count == 0 || recovery_deadline(path, s.settings) > now) {
    return;
  }
  if (path.loss_at <= now) {
    detect(s, index, now);
    return;
  }
  ++path.timeouts;
  if (index != s.active) {
    lose_path(s, index);  // left-overs of a path that was left
    return;
  }
  probe(s, index);
  if (path.timeouts == 3) {
    on_loss(s, path, now, now);
  }
}

}  // namespace cb::core::transport
