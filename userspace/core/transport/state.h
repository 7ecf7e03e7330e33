// SPDX-License-Identifier: Apache-2.0
//
// One session, all of it. Large (about a megabyte): the owner makes one and begins it anew for each
// session.
#pragma once

#include <array>

#include "core/transport/frames.h"
#include "core/transport/ranges.h"
#include "core/transport/types.h"

namespace cb::core::transport {

// A packet that carried data of a stream and of which nobody knows yet whether it arrived.
struct Record {
  uint64_t offset = 0;
  Instant sent;
  uint64_t count = 0;  // among those of its path
  uint32_t length = 0;
  uint32_t size = 0;  // of the packet
  uint8_t klass = 0;
  uint8_t path = 0;
  bool open = false;
};

struct SendStream {
  uint64_t end = 0;     // the owner has given bytes up to here
  uint64_t next = 0;    // the first that was never sent
  uint64_t acked = 0;   // everything before has arrived
  uint64_t credit = 0;  // how far the peer lets us go
  Ranges ahead;         // has arrived, beyond `acked`
  Ranges lost;          // to be sent again, before anything new
};

struct ReceiveStream {
  uint64_t whole = 0;     // everything before is here
  uint64_t consumed = 0;  // the owner needs nothing before
  uint64_t granted = 0;   // the credit as last told
  Ranges ahead;           // is here, beyond `whole`
};

struct RoundTrip {
  bool known = false;
  Duration smooth = Duration::from_ms(1);
  Duration spread = Duration::from_us(500);
  Duration newest{};
  Duration least = Duration::forever();  // of late: what the path takes when nothing queues
  Instant least_since;
};

// Looks for the largest packet that the path carries.
struct SizeProbe {
  uint32_t low = 0;   // carried
  uint32_t high = 0;  // the most that could be
  uint32_t size = 0;  // being tried; 0: nothing is
  uint32_t id = 0;
  int tries = 0;
  bool due = false;
  Instant deadline = Instant::never();
  Instant again = Instant::never();
};

inline constexpr int kPingsKept = 8;

struct Path {
  bool carrier = false;
  uint32_t packet_max = 0;  // as the link says
  uint32_t size = 0;        // of packets now
  RoundTrip trip;
  // what is under way
  uint64_t in_flight = 0;
  uint32_t open_count = 0;    // records in flight
  uint64_t sent_count = 0;    // packets with records, ever
  uint64_t acked_count = 0;   // 1 + the largest Record::count that arrived
  uint64_t acked_number = 0;  // its number
  Instant last_sent;
  Instant loss_at = Instant::never();
  int timeouts = 0;  // of the probe timer in a row
  int probes = 0;    // packets that may go out beyond the window
  uint64_t lost = 0;
  // how much may be
  uint64_t window = 0;
  uint64_t slow_start_until = 0;
  uint64_t resync_window = 0;
  Instant cut_at;          // the window was cut: losses of before do not cut it again
  uint64_t round_end = 0;  // a round ends when this number has arrived
  Duration round_least = Duration::forever();
  bool was_full = false;  // in this round the window was in use
  // whether it answers
  uint32_t ping_id = 0;
  std::array<Instant, kPingsKept> ping_sent{};
  bool ping_out = false;
  bool ping_due = false;
  Instant ping_deadline = Instant::never();
  Instant ping_next;
  int misses = 0;         // pings in a row without an answer
  bool answered = false;  // ever
  Instant last_answer;
  Instant answering_since = Instant::never();
  bool pong_due = false;
  uint32_t pong_id = 0;
  uint32_t pong_size = 0;
  SizeProbe probe;
};

struct Counts {
  uint64_t sent_again = 0;  // bytes
  uint64_t moves = 0;
  uint64_t doubles = 0;  // bytes of data that were here already
};

struct State {
  Settings settings;
  bool alive = false;
  int active = 0;
  std::array<Path, kPathsMax> paths;
  std::array<SendStream, kClasses> out;
  std::array<ReceiveStream, kClasses> in;
  // numbers
  uint64_t next_number = 0;
  uint64_t floor = 0;  // no record before this one is open
  std::array<Record, kRecords> records;
  // what arrived
  uint64_t newest = 0;  // 1 + the largest number
  Instant newest_at;
  std::array<uint64_t, kSeenMax / 64> seen{};
  bool ack_due = false;               // now, in a packet of its own if need be
  uint64_t ack_owed = 0;              // bytes that were not acknowledged yet
  Instant ack_at = Instant::never();  // ... for which an Ack is due then
  int ack_path = 0;
  bool close_due = false;
  // keys
  uint32_t phase = 0;
  uint64_t phase_first = 0;
  Instant phase_since;
  bool phase_confirmed = false;
  // moving
  Instant suspect_since = Instant::never();
  Instant returned_at = Instant::never();
  Duration return_after{};
  Instant begun;
  Counts counts;
};

}  // namespace cb::core::transport
