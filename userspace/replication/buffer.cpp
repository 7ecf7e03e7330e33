// SPDX-License-Identifier: Apache-2.0
#include "replication/buffer.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace cb::replication {
namespace {

constexpr std::size_t kSmallest = core::volume::kBlock;
constexpr std::size_t kSizes = 10;  // 4 KiB ... 2 MiB
static_assert(kSmallest << (kSizes - 1) == Pool::kLargest);

}  // namespace

// Outlives the pool as long as a buffer is out.
struct Pool::Shelf {
  explicit Shelf(std::size_t limit) : kept_max(limit) {}
  Shelf(const Shelf&) = delete;
  Shelf& operator=(const Shelf&) = delete;
  ~Shelf() {
    for (auto& blocks : free) {
      for (std::byte* block : blocks) {
        std::free(block);
      }
    }
  }

  void put_back(std::size_t size_class, std::byte* block) {
    const std::size_t size = kSmallest << size_class;
    if (kept + size > kept_max) {
      std::free(block);
      return;
    }
    kept += size;
    free[size_class].push_back(block);
  }

  std::array<std::vector<std::byte*>, kSizes> free;
  std::size_t kept = 0;
  std::size_t kept_max;
};

Pool::Pool(std::size_t kept_max) : shelf_(std::make_shared<Shelf>(kept_max)) {}

BufferPtr Pool::take(std::size_t bytes) {
  CB_CHECK_MSG(bytes <= kLargest, "a buffer of this size is never needed");
  const std::size_t size = std::max(std::bit_ceil(bytes), kSmallest);
  const auto size_class = static_cast<std::size_t>(std::countr_zero(size / kSmallest));
  std::byte* block = nullptr;
  auto& blocks = shelf_->free[size_class];
  if (!blocks.empty()) {
    block = blocks.back();
    blocks.pop_back();
    shelf_->kept -= size;
  } else {
    block = static_cast<std::byte*>(std::aligned_alloc(core::volume::kBlock, size));
    CB_CHECK_MSG(block != nullptr, "no memory for a buffer");
  }
  return {new Buffer(block, size), [shelf = shelf_, size_class](const Buffer* buffer) {
            shelf->put_back(size_class, buffer->data());
            delete buffer;
          }};
}

Slice whole(const BufferPtr& buffer) { return {buffer, 0, buffer->size()}; }

bool all_zero(std::span<const std::byte> bytes) noexcept {
  // The first byte is zero, and every byte equals the one before it.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace cb::replication
