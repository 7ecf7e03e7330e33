// SPDX-License-Identifier: Apache-2.0
//
// One session of the transport, decided. Pure: no clock, log, allocation or system call. The owner
// keeps the bytes of the streams, the keys and the links; the core says which bytes go into which
// packet of which path, and what arrived.
//
// What the core wants is pulled, not pushed: after any event the owner asks next_packet() for each
// path whose link has room, and sends what it gets. The state is changed in place; it is large.
#pragma once

#include "core/transport/frames.h"
#include "core/transport/state.h"

namespace cb::core::transport {

enum class EventKind : uint8_t {
  Given,        // the owner appended to the stream of `klass`, up to `offset`
  Arrived,      // an authentic packet: `path`, `number`, `size`, `frames`
  Consumed,     // the owner needs nothing before `offset` of `klass` any more
  PathChanged,  // `path`: `packet_max` (0: no such path), `carrier`
  Goodbye,      // this side ends the session: a last packet says so
  Tick,         // next_deadline() has come
};

struct Event {
  EventKind kind = EventKind::Tick;
  int path = 0;
  int klass = 0;
  bool carrier = false;
  uint32_t packet_max = 0;
  uint32_t size = 0;
  uint64_t number = 0;
  uint64_t offset = 0;
  const Frames* frames = nullptr;
};

struct Outcome {
  uint8_t grown = 0;     // bit a class: there is more of the peer's stream, up to in[klass].whole
  uint8_t freed = 0;     // bit a class: there is room before out[klass].acked
  bool dead = false;     // nobody answers: the session is over
  bool closed = false;   // the peer ended it
  bool refused = false;  // the packet breaks the protocol: the peer is not what it should be
  bool ignored = false;  // the packet counts as not received
  // Arrived: the part of the data to keep, as bytes of the stream. Before any other is looked at.
  uint64_t keep_from = 0;
  uint32_t keep_length = 0;
};

// A packet to be sealed and sent: the frames, then `frames.length` bytes of the stream.
struct Packet {
  uint64_t number = 0;
  uint32_t phase = 0;
  uint32_t size = 0;  // header and tag included
  Frames frames;
};

// A session over `path`, on which it was agreed. credit: what the peer said it can hold.
void begin(State& state, const Settings& settings, const uint64_t (&credit)[kClasses], int path,
           Instant now);

Outcome step(State& state, const Event& event, Instant now);

// The next packet for this path, if there is one to send now.
bool next_packet(State& state, int path, Instant now, Packet& out);

Instant next_deadline(const State& state);

// Whether a packet of this number may be taken: not seen, and not too old to know.
bool fresh(const State& state, uint64_t number);

// Whether these bytes of the peer's stream are within its credit and none of them is here yet: what
// is written in their place, authentic or not, harms nothing.
bool untouched(const State& state, int klass, Range range);

// Whether the path answered lately.
bool answers(const State& state, int path, Instant now);

}  // namespace cb::core::transport
