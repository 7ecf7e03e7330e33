// SPDX-License-Identifier: Apache-2.0
//
// The events, and what the next packet holds.
#include "core/transport/step.h"

#include <algorithm>

#include "base/check.h"
#include "core/transport/work.h"

namespace cb::core::transport {

namespace {

// Nothing decreases, and nobody is ahead of what bounds him.
void invariants(const State& s) {
  for (std::size_t i = 0; i < kClasses; ++i) {
    const SendStream& out = s.out[i];
    CB_CHECK(out.acked <= out.next);
    CB_CHECK(out.next <= out.end);
    const ReceiveStream& in = s.in[i];
    CB_CHECK(in.consumed <= in.whole);
    CB_CHECK(in.whole <= in.consumed + s.settings.receive_room[i]);
  }
  CB_CHECK(s.floor <= s.next_number && s.next_number - s.floor <= kRecords);
}

void on_given(State& s, const Event& event) {
  SendStream& stream = s.out[static_cast<std::size_t>(event.klass)];
  CB_CHECK(event.offset >= stream.end);
  stream.end = event.offset;
}

// A window for each class: Control may go a little beyond it, Resync keeps well inside.
uint64_t window_for(const State& s, const Path& path, int klass) {
  if (klass == kControl) {
    return path.window + s.settings.control_reserve;
  }
  return klass == kResync ? std::min(path.window, path.resync_window) : path.window;
}

// Which data of a class goes next. What was lost goes before what is new.
bool pick(const State& s, const Path& path, int klass, Range& range, bool& again) {
  const SendStream& stream = s.out[static_cast<std::size_t>(klass)];
  if (!stream.lost.empty()) {
    range = stream.lost.front();
    again = true;
  } else {
    range = {stream.next, std::min(stream.end, stream.credit)};
    again = false;
  }
  return range.from < range.to &&
         (path.probes > 0 || path.in_flight + path.size <= window_for(s, path, klass));
}

bool may_carry_data(const State& s, int index) {
  return index == s.active && s.next_number - s.floor < kRecords - kSpare;
}

bool has_data(const State& s, int index) {
  const Path& path = s.paths[static_cast<std::size_t>(index)];
  Range range;
  bool again = false;
  for (int klass = 0; klass < kClasses && may_carry_data(s, index); ++klass) {
    if (pick(s, path, klass, range, again)) {
      return true;
    }
  }
  return false;
}

void add_data(State& s, int index, Instant now, Packet& out, uint32_t room) {
  Path& path = path_of(s, index);
  if (!may_carry_data(s, index) || room <= kStreamFrame) {
    return;
  }
  for (int klass = 0; klass < kClasses; ++klass) {
    Range range;
    bool again = false;
    if (!pick(s, path, klass, range, again)) {
      continue;
    }
    const uint64_t length = std::min<uint64_t>(range.to - range.from, room - kStreamFrame);
    SendStream& stream = s.out[static_cast<std::size_t>(klass)];
    const Range sent{range.from, range.from + length};
    if (again) {
      stream.lost.remove(sent);
      s.counts.sent_again += length;
    } else {
      stream.next = sent.to;
    }
    out.frames.has_stream = true;
    out.frames.klass = static_cast<uint8_t>(klass);
    out.frames.offset = sent.from;
    out.frames.length = static_cast<uint32_t>(length);
    if (path.probes > 0) {
      --path.probes;
    }
    Record& record = record_of(s, s.next_number);
    CB_CHECK(!record.open);
    record = {.offset = sent.from,
              .sent = now,
              .count = path.sent_count++,
              .length = static_cast<uint32_t>(length),
              .size = 0,
              .klass = static_cast<uint8_t>(klass),
              .path = static_cast<uint8_t>(index),
              .open = true};
    path.last_sent = now;
    ++path.open_count;
    return;
  }
}

// What needs no record; false: there is none.
void add_small(State& s, int index, Instant now, Frames& frames, uint32_t& room) {
  Path& path = path_of(s, index);
  const bool due = s.ack_path == index && (s.ack_due || (s.ack_owed > 0 && has_data(s, index)));
  const bool ack = s.newest > 0 && (due || path.pong_due);
  if (ack) {
    write_ack(s, now, frames.ack);
    // A small packet has room for the newest ranges only.
    while (frames.ack.count > 1 &&
           ack_frame(frames.ack.count) + kPongFrame + kPingFrame + kStreamFrame >= room) {
      --frames.ack.count;
    }
    frames.has_ack = true;
    if (s.ack_path == index) {
      s.ack_due = false;
      s.ack_owed = 0;
      s.ack_at = Instant::never();
    }
    room -= static_cast<uint32_t>(ack_frame(frames.ack.count));
  }
  if (path.pong_due) {
    path.pong_due = false;
    frames.has_pong = true;
    frames.pong = path.pong_id;
    frames.pong_size = path.pong_size;
    room -= static_cast<uint32_t>(kPongFrame);
  }
  if (path.ping_due) {
    ping_sent(s, index, now, frames);
    room -= static_cast<uint32_t>(kPingFrame);
  }
  if (s.close_due && index == s.active) {
    frames.has_close = true;
    s.close_due = false;
    room -= static_cast<uint32_t>(kCloseFrame);
  }
}

// New keys by count and by time, once the peer is known to have the present ones.
void turn_phase(State& s, Instant now) {
  if (s.phase_confirmed && (s.next_number - s.phase_first >= s.settings.phase_packets ||
                            now - s.phase_since >= s.settings.phase_span)) {
    ++s.phase;
    s.phase_first = s.next_number;
    s.phase_since = now;
    s.phase_confirmed = false;
  }
}

void route_ack(State& s) {
  if (s.ack_due && !usable(path_of(s, s.ack_path))) {
    s.ack_path = s.active;
  }
}

}  // namespace

void begin(State& s, const Settings& settings, const uint64_t (&credit)[kClasses], int path,
           Instant now) {
  std::array<Path, kPathsMax> links{};
  for (std::size_t i = 0; i < kPathsMax; ++i) {
    links[i].carrier = s.paths[i].carrier;
    links[i].packet_max = s.paths[i].packet_max;
  }
  // In place: the state is too large for a stack. The records and the bits keep their memory.
  for (Record& record : s.records) {
    record.open = false;
  }
  s.seen.fill(0);
  s.settings = settings;
  s.alive = true;
  s.active = path;
  s.next_number = s.floor = s.newest = 0;
  s.newest_at = now;
  s.ack_due = s.close_due = false;
  s.ack_owed = 0;
  s.ack_at = Instant::never();
  s.ack_path = path;
  s.phase = 0;
  s.phase_first = 0;
  s.phase_since = now;
  s.phase_confirmed = false;
  s.suspect_since = s.returned_at = Instant::never();
  s.return_after = settings.return_after;
  s.begun = now;
  s.counts = Counts{};
  for (std::size_t i = 0; i < kClasses; ++i) {
    SendStream& out = s.out[i];
    out.end = out.next = out.acked = 0;
    out.credit = credit[i];
    out.ahead.clear();
    out.lost.clear();
    ReceiveStream& in = s.in[i];
    in.whole = in.consumed = 0;
    in.granted = settings.receive_room[i];
    in.ahead.clear();
  }
  for (int i = 0; i < kPathsMax; ++i) {
    Path& p = path_of(s, i);
    p = Path{};
    p.ping_next = now;
    if (links[static_cast<std::size_t>(i)].packet_max > 0) {
      const Path& link = links[static_cast<std::size_t>(i)];
      on_path_changed(s,
                      {.kind = EventKind::PathChanged,
                       .path = i,
                       .carrier = link.carrier,
                       .packet_max = link.packet_max},
                      now);
    }
  }
}

Outcome step(State& s, const Event& event, Instant now) {
  Outcome out;
  if (event.kind == EventKind::PathChanged) {
    on_path_changed(s, event, now);
  }
  if (!s.alive) {
    return out;
  }
  switch (event.kind) {
    case EventKind::Given: on_given(s, event); break;
    case EventKind::Arrived: on_packet(s, event, now, out); break;
    case EventKind::Consumed: on_consumed(s, event); break;
    case EventKind::PathChanged: break;
    case EventKind::Goodbye: s.close_due = true; break;
    case EventKind::Tick: break;
  }
  if (event.kind == EventKind::Tick || event.kind == EventKind::PathChanged) {
    paths_tick(s, now);
  }
  s.ack_due = s.ack_due || s.ack_at <= now;
  route_ack(s);
  out.dead = !s.alive;
  invariants(s);
  return out;
}

bool next_packet(State& s, int index, Instant now, Packet& out) {
  Path& path = path_of(s, index);
  if (!s.alive || !usable(path)) {
    return false;
  }
  CB_CHECK_MSG(s.next_number - s.floor < kRecords, "no room for one more packet");
  turn_phase(s, now);
  out.frames.clear();
  uint32_t room = path.size - kHeader - kTag;
  if (path.probe.due) {
    probe_sent(path, s.settings, now, out.frames);
    out.size = path.probe.size;
  } else {
    const uint32_t all = room;
    add_small(s, index, now, out.frames, room);
    add_data(s, index, now, out, room);
    if (out.frames.empty()) {
      return false;
    }
    out.size = kHeader + kTag + all - room;
    if (out.frames.has_stream) {
      out.size += static_cast<uint32_t>(kStreamFrame) + out.frames.length;
      record_of(s, s.next_number).size = out.size;
      path.in_flight += out.size;
    }
  }
  out.number = s.next_number++;
  out.phase = s.phase;
  if (!out.frames.has_stream && s.next_number - s.floor > kRecords - 2) {
    // The oldest has been open for so long that it will not be answered any more.
    lose(s, s.floor);
  }
  advance_floor(s);
  return true;
}

Instant next_deadline(const State& s) {
  return s.alive ? std::min(paths_deadline(s), s.ack_due ? Instant::never() : s.ack_at)
                 : Instant::never();
}

}  // namespace cb::core::transport
