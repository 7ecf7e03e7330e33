// SPDX-License-Identifier: Apache-2.0
//
// Memory that direct I/O takes: aligned to kBlock, in a few sizes, handed out again and again so
// that the hot path asks the system for nothing. A buffer goes back by itself when its last holder
// lets go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/volume/types.h"

namespace cb::replication {

class Buffer {
 public:
  Buffer(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_;
  std::size_t size_;
};
using BufferPtr = std::shared_ptr<const Buffer>;

// Part of a buffer, and what keeps it.
struct Slice {
  BufferPtr buffer;
  std::size_t at = 0;
  std::size_t length = 0;
  std::span<std::byte> bytes() const { return buffer->bytes().subspan(at, length); }
};
Slice whole(const BufferPtr& buffer);

class Pool {
 public:
  // kept_max: bytes that wait for use again; what is more is given back to the system.
  explicit Pool(std::size_t kept_max = 16u << 20);

  // At least so many bytes, not zeroed; at most kLargest.
  BufferPtr take(std::size_t bytes);

  static constexpr std::size_t kLargest = 2u << 20;

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

bool all_zero(std::span<const std::byte> bytes) noexcept;

}  // namespace cb::replication
