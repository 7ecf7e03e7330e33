// SPDX-License-Identifier: Apache-2.0
//
// What the sealed body of a packet is made of (docs/protocol-transport.md section 4).
// Little-endian, fixed width; each frame at most once in a packet, the stream's data or the padding
// last. The decoder refuses everything that the encoder would not write.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/transport/types.h"

namespace cb::core::transport {

using Bytes = std::span<uint8_t>;
using ConstBytes = std::span<const uint8_t>;

struct AckRange {
  uint64_t first = 0;
  uint64_t last = 0;  // included
};

struct Ack {
  uint32_t delay_us = 0;           // since the newest of them arrived
  uint64_t credit[kClasses] = {};  // how far each stream may go
  int count = 0;
  std::array<AckRange, kAckRangesMax> ranges;  // the newest first
};

struct Frames {
  bool has_ack = false;
  bool has_ping = false;
  bool has_pong = false;
  bool has_close = false;
  bool has_stream = false;
  uint8_t klass = 0;
  uint32_t ping = 0;       // its id
  uint32_t pong = 0;       // the id of the ping it answers
  uint32_t pong_size = 0;  // of the packet that brought the ping
  uint64_t offset = 0;     // of the data in its stream
  uint32_t data_at = 0;    // decoded: where the data begins in the body
  uint32_t length = 0;     // of the data
  uint32_t pad_to = 0;     // encoded: the body's length with padding; 0: none
  Ack ack;

  void clear() noexcept {
    has_ack = has_ping = has_pong = has_close = has_stream = false;
    pad_to = 0;
    length = 0;
  }
  bool empty() const noexcept {
    return !has_ack && !has_ping && !has_pong && !has_close && !has_stream;
  }
};

inline constexpr std::size_t kStreamFrame = 16;
inline constexpr std::size_t kPingFrame = 8;
inline constexpr std::size_t kPongFrame = 16;
inline constexpr std::size_t kCloseFrame = 8;
constexpr std::size_t ack_frame(int ranges) { return 40 + 8 * static_cast<std::size_t>(ranges); }
// Everything but data and padding.
inline constexpr std::size_t kFrontMax =
    ack_frame(kAckRangesMax) + kPingFrame + kPongFrame + kCloseFrame + kStreamFrame;

// Writes all but the data; the padding too. Returns how many bytes.
std::size_t encode(const Frames& frames, Bytes out);

// False: malformed. The data stays where it is.
bool decode(ConstBytes body, Frames& out);

// The same for a body that is nothing but a stream's data, by its first kStreamFrame bytes alone.
// False: it is something else, or malformed.
bool decode_stream(ConstBytes front, std::size_t body_size, Frames& out);

// The head of a message in its stream: its length, 4 bytes.
inline constexpr uint32_t kMessageHead = 4;

}  // namespace cb::core::transport
