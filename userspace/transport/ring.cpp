// SPDX-License-Identifier: Apache-2.0
#include "transport/ring.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/fd.h"

namespace cb::transport {

Result<Ring> Ring::make(std::size_t size) {
  CB_CHECK(std::has_single_bit(size) && size >= 4096);
  const Fd memory(memfd_create("crossbeat-stream", MFD_CLOEXEC));
  if (!memory || ftruncate(memory.get(), static_cast<off_t>(size)) != 0) {
    return fail(errno, "memory for a stream");
  }
  void* place = mmap(nullptr, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) {
    return fail(errno, "room for a stream");
  }
  Ring ring;
  ring.memory_ = static_cast<std::uint8_t*>(place);
  ring.size_ = size;
  for (const std::size_t half : {std::size_t{0}, size}) {
    if (mmap(ring.memory_ + half, size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED | MAP_POPULATE, memory.get(), 0) == MAP_FAILED) {
      return fail(errno, "map a stream");
    }
  }
  return ring;
}

Ring::Ring(Ring&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Ring& Ring::operator=(Ring&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  return *this;
}

Ring::~Ring() {
  if (memory_ != nullptr) {
    munmap(memory_, 2 * size_);
  }
}

std::span<std::uint8_t> Ring::at(std::uint64_t offset, std::size_t length) const {
  CB_CHECK(length <= size_);
  return {memory_ + (offset & (size_ - 1)), length};
}

}  // namespace cb::transport
