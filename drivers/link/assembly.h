// SPDX-License-Identifier: Apache-2.0
//
// Puts packets together whose pieces nobody has merged. A fixed number of buffers: a packet that
// waits too long for a piece gives its place to a newer one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "drivers/link/frame.h"

namespace cb::link {

class Assembly {
 public:
  // Takes a piece (not a whole packet). The packet, when this was its last one: it stays as it is
  // until release().
  std::optional<ConstBytes> take(const Frame& piece);
  // Room for another packet to be finished? If not: hand on what is finished, and release().
  bool has_room() const noexcept { return finished_ < kBuffers / 2; }
  void release() noexcept;

  std::uint64_t incomplete() const noexcept { return incomplete_; }  // packets given up
  std::uint64_t refused() const noexcept { return refused_; }        // pieces that contradict

 private:
  static constexpr std::size_t kBuffers = 16;
  struct Range {
    std::size_t from = 0;
    std::size_t to = 0;
  };
  struct Buffer {
    enum class State : std::uint8_t { Free, Filling, Finished };
    State state = State::Free;
    FrameKind kind = FrameKind::Packet;
    Mac source;
    std::uint32_t number = 0;
    std::size_t total = 0;
    std::uint64_t used = 0;                  // when, counted in pieces
    std::array<Range, kPiecesMax> ranges{};  // in order, apart from one another
    std::size_t count = 0;
    std::unique_ptr<std::uint8_t[]> bytes;
  };
  Buffer* find(const Frame& piece) noexcept;
  Buffer& take_place(const Frame& piece);
  static bool add(Buffer& buffer, Range range) noexcept;

  std::array<Buffer, kBuffers> buffers_;
  std::size_t finished_ = 0;
  std::uint64_t pieces_ = 0;
  std::uint64_t incomplete_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace cb::link
