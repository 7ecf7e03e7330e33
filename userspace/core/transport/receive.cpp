// SPDX-License-Identifier: Apache-2.0
//
// What arrived: which numbers (they are the replay window and the acknowledgement alike), and which
// parts of the streams.
#include <algorithm>
#include <bit>

#include "base/check.h"
#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

bool bit(const State& s, uint64_t number) {
  const uint64_t at = number % kSeenMax;
  return (s.seen[at / 64] >> (at % 64) & 1) != 0;
}

void mark(State& s, uint64_t number, Instant now) {
  if (number >= s.newest) {
    // What falls out of the window is forgotten; what comes into it was not seen.
    const uint64_t fresh_from = number - s.newest >= kSeenMax ? number + 1 - kSeenMax : s.newest;
    for (uint64_t n = fresh_from; n <= number;) {
      const uint64_t at = n % kSeenMax;
      if (at % 64 == 0 && number - n >= 63) {
        s.seen[at / 64] = 0;
        n += 64;
      } else {
        s.seen[at / 64] &= ~(uint64_t{1} << at % 64);
        ++n;
      }
    }
    s.newest = number + 1;
    s.newest_at = now;
  }
  const uint64_t at = number % kSeenMax;
  s.seen[at / 64] |= uint64_t{1} << at % 64;
}

// How many numbers in a row from `number` downwards have the given bit, down to `end` at the most.
uint64_t run(const State& s, uint64_t number, uint64_t end, bool set) {
  uint64_t length = 0;
  while (number - length >= end) {
    const uint64_t at = (number - length) % kSeenMax;
    uint64_t word = s.seen[at / 64];
    word = (set ? word : ~word) << (63 - at % 64);
    const auto ones = static_cast<uint64_t>(std::countl_one(word));
    const uint64_t step = std::min(ones, at % 64 + 1);
    length += step;
    if (step < at % 64 + 1) {
      break;
    }
    if (length > number) {
      break;  // number 0 was the last
    }
  }
  return std::min(length, number - end + 1);
}

// False: it breaks the protocol. `out.ignored`: there is no room to note it.
bool take_stream(State& s, const Frames& frames, Outcome& out) {
  ReceiveStream& in = s.in[frames.klass];
  const uint64_t end = frames.offset + frames.length;
  const uint64_t limit =
      in.consumed + s.settings.receive_room[static_cast<std::size_t>(frames.klass)];
  if (end > limit) {
    return false;
  }
  const uint64_t from = std::max(frames.offset, in.whole);
  if (from >= end || in.ahead.holds({from, end})) {
    s.counts.doubles += frames.length;
    return true;
  }
  if (from == in.whole) {
    in.whole = end;
    while (!in.ahead.empty() && in.ahead.front().from <= in.whole) {
      const Range next = in.ahead.front();
      in.whole = std::max(in.whole, next.to);
      in.ahead.remove(next);
    }
    out.grown = static_cast<uint8_t>(out.grown | 1u << frames.klass);
  } else if (!in.ahead.add({from, end})) {
    out.ignored = true;
    return true;
  }
  out.keep_from = from;
  out.keep_length = static_cast<uint32_t>(end - from);
  return true;
}

// Most messages are answered by one of the owner's at once, which can take the Ack along. It is due
// at once for bulk, whose sender may have filled its window, and where packets seem to be missing.
void owe_ack(State& s, const Event& event, Instant now) {
  s.ack_owed += event.frames->length;
  s.ack_due = s.ack_due || s.ack_owed >= s.settings.ack_bytes || event.number != s.newest ||
              event.path != s.ack_path;
  s.ack_path = event.path;
  s.ack_at = std::min(s.ack_at, now + s.settings.ack_delay);
}

}  // namespace

bool fresh(const State& s, uint64_t number) {
  if (number >= s.newest) {
    return true;
  }
  return s.newest - number <= kSeenMax && !bit(s, number);
}

bool untouched(const State& s, int klass, Range range) {
  const auto i = static_cast<std::size_t>(klass);
  const ReceiveStream& in = s.in[i];
  return range.from >= in.whole && range.to <= in.consumed + s.settings.receive_room[i] &&
         !in.ahead.touches(range);
}

void on_packet(State& s, const Event& event, Instant now, Outcome& out) {
  const Frames& frames = *event.frames;
  CB_CHECK(fresh(s, event.number));
  if (frames.has_stream) {
    if (!take_stream(s, frames, out)) {
      out.refused = true;
      return;
    }
    if (out.ignored) {
      return;
    }
    owe_ack(s, event, now);
  }
  mark(s, event.number, now);
  Path& path = path_of(s, event.path);
  if (frames.has_ping) {
    path.pong_due = true;
    path.pong_id = frames.ping;
    path.pong_size = event.size;
  }
  if (frames.has_ack) {
    on_ack(s, frames.ack, now, out);
  }
  if (frames.has_pong) {
    on_pong(s, event.path, frames, now);
  }
  out.closed = frames.has_close;
}

void on_consumed(State& s, const Event& event) {
  ReceiveStream& in = s.in[static_cast<std::size_t>(event.klass)];
  CB_CHECK(event.offset >= in.consumed && event.offset <= in.whole);
  in.consumed = event.offset;
  const uint64_t room = s.settings.receive_room[static_cast<std::size_t>(event.klass)];
  if (in.consumed + room - in.granted >= room / 4 && s.newest > 0) {
    s.ack_due = true;
  }
}

void write_ack(State& s, Instant now, Ack& ack) {
  CB_CHECK(s.newest > 0);
  const int64_t delay = (now - s.newest_at).as_us();
  ack.delay_us = static_cast<uint32_t>(std::clamp<int64_t>(delay, 0, 1'000'000));
  const uint64_t end = s.newest > kSeenMax ? s.newest - kSeenMax : 0;
  ack.count = 0;
  uint64_t number = s.newest - 1;
  while (ack.count < kAckRangesMax) {
    const uint64_t length = run(s, number, end, true);
    ack.ranges[static_cast<std::size_t>(ack.count)] = {number + 1 - length, number};
    ++ack.count;
    if (number + 1 - length <= end) {
      break;
    }
    number -= length;
    const uint64_t gap = run(s, number, end, false);
    if (number + 1 - gap <= end) {
      break;
    }
    number -= gap;
  }
  for (std::size_t klass = 0; klass < kClasses; ++klass) {
    ReceiveStream& in = s.in[klass];
    in.granted = in.consumed + s.settings.receive_room[klass];
    ack.credit[klass] = in.granted;
  }
}

}  // namespace cb::core::transport
