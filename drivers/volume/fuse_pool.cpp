// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/fuse_pool.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace cb::volume {

namespace {

// The first page. A process of another version must recognize it, whatever else changes.
struct FirstPage {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  FusePool::Facts facts;
};

constexpr std::uint64_t kMagic = 0x6c6f6f7065737566;  // "fusepool"
constexpr std::uint32_t kVersion = 1;

}  // namespace

Result<FusePool> FusePool::create(std::uint64_t volume_bytes) {
  FusePool pool;
  pool.memory_ = Fd(::memfd_create("crossbeat-requests", MFD_CLOEXEC));
  if (!pool.memory_) {
    return fail(errno, "make memory for the requests of the volume");
  }
  if (::ftruncate(pool.memory_.get(), static_cast<off_t>(kBytes)) != 0) {
    return fail(errno, "make memory for the requests of the volume");
  }
  CB_TRY_DO(pool.map());
  auto* first = reinterpret_cast<FirstPage*>(pool.base_);
  *first = {.magic = kMagic, .version = kVersion, .slots = kSlots, .facts = {volume_bytes, 0}};
  for (unsigned slot = kSlots; slot > 0; --slot) {
    pool.free_.push_back(slot - 1);
  }
  return pool;
}

Result<FusePool> FusePool::adopt(Fd memory) {
  FusePool pool;
  pool.memory_ = std::move(memory);
  struct stat facts {};
  if (::fstat(pool.memory_.get(), &facts) != 0) {
    return fail(errno, "look at the requests of the process before");
  }
  if (facts.st_size != static_cast<off_t>(kBytes)) {
    return fail(EPROTO, "the process before kept its requests in another way");
  }
  CB_TRY_DO(pool.map());
  const auto* first = reinterpret_cast<const FirstPage*>(pool.base_);
  if (first->magic != kMagic || first->version != kVersion || first->slots != kSlots) {
    return fail(EPROTO, "the process before kept its requests in another way");
  }
  for (unsigned slot = kSlots; slot > 0; --slot) {
    (pool.header(slot - 1).len != 0 ? pool.found_ : pool.free_).push_back(slot - 1);
  }
  // A request that was sent again to the process before has a mark in its number.
  const auto number = [&pool](unsigned slot) {
    return pool.header(slot).unique & ~kFuseUniqueResend;
  };
  std::sort(pool.found_.begin(), pool.found_.end(),
            [&](unsigned a, unsigned b) { return number(a) < number(b); });
  return pool;
}

Result<> FusePool::map() {
  void* at =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory_.get(), 0);
  if (at == MAP_FAILED) {
    return fail(errno, "map the memory for the requests of the volume");
  }
  base_ = static_cast<std::byte*>(at);
  // A forked child has no business here, and copying the page tables costs.
  if (::madvise(at, kBytes, MADV_DONTFORK) != 0) {
    return fail(errno, "keep the requests of the volume from children");
  }
  locked_ = ::mlock(at, kBytes) == 0;
  return {};
}

FusePool::FusePool(FusePool&& other) noexcept
    : memory_(std::move(other.memory_)),
      base_(std::exchange(other.base_, nullptr)),
      locked_(other.locked_),
      free_(std::move(other.free_)),
      found_(std::move(other.found_)) {}

FusePool::~FusePool() {
  if (base_ != nullptr) {
    ::munmap(base_, kBytes);
  }
}

FusePool::Facts& FusePool::facts() noexcept { return reinterpret_cast<FirstPage*>(base_)->facts; }

char* FusePool::head(unsigned slot) const noexcept {
  CB_CHECK(slot < kSlots);
  return reinterpret_cast<char*>(base_) + 4096 + slot * kHeadRoom;
}

std::array<iovec, 2> FusePool::parts(unsigned slot) noexcept {
  return {iovec{head(slot), kHead}, iovec{data(slot).data(), kRequestMax}};
}

void FusePool::take(unsigned slot) noexcept {
  CB_CHECK(!free_.empty() && free_.back() == slot);
  free_.pop_back();
}

void FusePool::release(unsigned slot) noexcept {
  clear(slot);
  free_.push_back(slot);
}

// A length of zero says: no request, or answered. Only after the answer, for the next process.
void FusePool::clear(unsigned slot) noexcept {
  __atomic_store_n(&reinterpret_cast<fuse_in_header*>(head(slot))->len, 0, __ATOMIC_SEQ_CST);
}

const fuse_in_header& FusePool::header(unsigned slot) const noexcept {
  return *reinterpret_cast<const fuse_in_header*>(head(slot));
}

std::span<const char> FusePool::tail(unsigned slot) const noexcept {
  const std::size_t length =
      std::clamp<std::size_t>(header(slot).len, sizeof(fuse_in_header), kHead);
  return {head(slot) + sizeof(fuse_in_header), length - sizeof(fuse_in_header)};
}

std::span<std::byte> FusePool::data(unsigned slot) noexcept {
  CB_CHECK(slot < kSlots);
  return {base_ + kTable + std::size_t{slot} * kRequestMax, kRequestMax};
}

}  // namespace cb::volume
