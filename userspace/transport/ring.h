// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a stream, by their offset. The memory is mapped twice, one copy behind the other, so
// that whatever is not longer than the ring lies in one piece. All of it is there from the
// beginning: writes that the kernel frees memory with go through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace cb::transport {

class Ring {
 public:
  static Result<Ring> make(std::size_t size);  // a power of two, whole pages
  Ring() = default;
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&& other) noexcept;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  std::size_t size() const noexcept { return size_; }
  std::span<std::uint8_t> at(std::uint64_t offset, std::size_t length) const;

 private:
  std::uint8_t* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace cb::transport
