// SPDX-License-Identifier: Apache-2.0
//
// The words of the transport as plain data (docs/protocol-transport.md). A *session* carries three
// *streams* of bytes, one a class, over up to four *paths*. Packets are numbered once and never
// sent again; what was lost of a stream goes out in new packets.
#pragma once

#include <cstdint>

#include "base/instant.h"

namespace cb::core::transport {

inline constexpr int kClasses = 3;  // Control, Log, Resync: strictly in this order
inline constexpr int kControl = 0;
inline constexpr int kLog = 1;
inline constexpr int kResync = 2;
inline constexpr int kPathsMax = 4;

inline constexpr uint32_t kHeader = 16;      // in clear, before the sealed body
inline constexpr uint32_t kTag = 16;         // behind it
inline constexpr uint32_t kSizeBase = 1200;  // of a packet: tried on any path without asking
inline constexpr uint32_t kSizeMin = 512;    // a path that carries less is none
inline constexpr uint32_t kSizeMax = 65536;

inline constexpr uint32_t kRecords = 16384;  // packets that may be unresolved at once
inline constexpr uint32_t kSpare = 1024;     // of these, kept for what needs no record
inline constexpr uint32_t kSeenMax = 16384;  // how far behind the newest a packet may arrive
inline constexpr int kAckRangesMax = 32;
inline constexpr int kHolesMax = 1024;  // gaps of one stream

struct Settings {
  // Bytes of each class that this node can hold unread. What the peer may send ahead.
  uint64_t receive_room[kClasses] = {4u << 20, 8u << 20, 8u << 20};
  uint64_t window_max = 8u << 20;          // bytes under way on one path
  uint64_t window_min = 64u << 10;         // after losses
  uint64_t queue_min = 4u << 20;           // a queue alone does not cut the window below this
  uint64_t resync_queue_min = 512u << 10;  // ... nor what Resync may have under way
  uint64_t control_reserve = 256u << 10;   // what Control may have under way beyond the window
  // An Ack waits this long for data that takes it along, unless so many bytes wait for it.
  Duration ack_delay = Duration::from_ms(1);
  uint64_t ack_bytes = 16u << 10;
  Duration ping_every = Duration::from_ms(50);
  Duration standby_ping_every = Duration::from_ms(100);
  Duration silence = Duration::from_s(4);          // without any answer: the session is dead
  Duration return_after = Duration::from_ms(500);  // a better path must answer so long
  Duration return_after_max = Duration::from_s(8);
  Duration probe_floor = Duration::from_ms(2);  // of the probe timer
  Duration probe_ceiling = Duration::from_ms(200);
  uint64_t phase_packets = uint64_t{1} << 22;  // then new keys
  Duration phase_span = Duration::from_s(120);
};

struct Range {
  uint64_t from = 0;
  uint64_t to = 0;  // behind the last
  bool operator==(const Range&) const = default;
};

}  // namespace cb::core::transport
