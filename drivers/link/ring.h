// SPDX-License-Identifier: Apache-2.0
//
// A receive ring that the kernel fills with the frames of one link: of a channel, and of a range of
// lengths, so that short frames never take the room of long ones. Slots and not blocks
// (TPACKET_V2): the kernel hands a slot over at once, a block when it is full or after at least a
// millisecond, which a commit would wait for (docs/decisions/).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fd.h"
#include "base/result.h"
#include "drivers/link/link.h"

namespace cb::link {

class Ring {
 public:
  static Result<Ring> open(std::uint16_t channel);
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&& other) = delete;
  ~Ring();

  // Frames of these lengths (Ethernet header included), in so many bytes of memory. Keeps nothing
  // of what was in the ring; it must not be bound.
  Result<> shape(std::size_t from, std::size_t to, std::size_t bytes);
  // Receives from this interface from now on; 0: from none.
  Result<> bind(int index);

  int fd() const noexcept { return socket_.get(); }
  // The frames that are there, oldest first: look at one, then go on.
  //   while (const auto frame = ring.front()) { ...; ring.hold(); }   ring.release();
  // An empty span: a frame that was cut off. arrived: by the kernel's clock, to be compared with
  // that of another ring only.
  struct Seen {
    bool there = false;
    std::uint64_t arrived = 0;
    ConstBytes frame;
  };
  Seen front() noexcept;
  void hold() noexcept;     // the front one is looked at; its bytes stay until release()
  void release() noexcept;  // everything held

  std::size_t slots() const noexcept { return slots_; }
  std::size_t held() const noexcept { return held_; }
  std::uint64_t dropped() const noexcept;  // by the kernel, for want of slots
  void clear_error() noexcept;

 private:
  Ring(Fd socket, std::uint16_t channel) : socket_(std::move(socket)), channel_(channel) {}
  std::uint8_t* slot(std::size_t i) const noexcept;
  void unmap() noexcept;

  Fd socket_;
  std::uint16_t channel_;
  std::uint8_t* memory_ = nullptr;
  std::size_t memory_bytes_ = 0;
  std::size_t block_bytes_ = 0;
  std::size_t slot_bytes_ = 0;
  std::size_t slots_ = 0;
  std::size_t next_ = 0;  // the first that is not held
  std::size_t held_ = 0;
  mutable std::uint64_t dropped_ = 0;
};

}  // namespace cb::link
