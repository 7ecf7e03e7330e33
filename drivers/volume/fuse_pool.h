// SPDX-License-Identifier: Apache-2.0
//
// FusePool: where requests of the kernel are read into, in shared memory (a memfd). A slot holds a
// whole request, header and data, from the system call that takes it from the kernel until it is
// answered. So whoever maps the same memory after this process was killed finds every request that
// the kernel still waits for, on any kernel. All of it is present from the beginning: a page fault
// in the middle of a read from /dev/fuse, at a moment at which the process is killed, would make
// the kernel fail that request.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/fuse_kernel.h"

namespace cb::volume {

inline constexpr unsigned kSlots = 64;

class FusePool {
 public:
  // The longest request header: a WRITE's. Its data then begins at the beginning of a page.
  static constexpr std::size_t kHead = sizeof(fuse_in_header) + sizeof(fuse_write_in);

  // What the next process must know besides.
  struct Facts {
    std::uint64_t volume_bytes = 0;
    std::uint64_t init_flags = 0;  // as negotiated; 0: INIT was not answered yet
  };

  static Result<FusePool> create(std::uint64_t volume_bytes);
  // The pool of an earlier process. EPROTO: of another version.
  static Result<FusePool> adopt(Fd memory);

  FusePool(FusePool&& other) noexcept;
  FusePool& operator=(FusePool&&) = delete;
  ~FusePool();

  int fd() const noexcept { return memory_.get(); }
  Facts& facts() noexcept;
  bool is_locked() const noexcept { return locked_; }  // in memory

  // A free slot to read into, or -1. It is still free until take().
  int next_free() const noexcept { return free_.empty() ? -1 : static_cast<int>(free_.back()); }
  bool has_free() const noexcept { return !free_.empty(); }
  std::size_t busy() const noexcept { return kSlots - free_.size(); }
  // The two parts of a slot as readv wants them.
  std::array<iovec, 2> parts(unsigned slot) noexcept;
  void take(unsigned slot) noexcept;     // next_free()'s slot holds a request now
  void release(unsigned slot) noexcept;  // answered
  void clear(unsigned slot) noexcept;    // nothing was read into this free slot

  // The slots that held unanswered requests at adopt(), in the order in which the kernel numbered
  // them; once.
  std::vector<unsigned> take_found() noexcept { return std::exchange(found_, {}); }

  const fuse_in_header& header(unsigned slot) const noexcept;
  // What follows the header, as far as kHead has it. T: one of the kernel's fuse_*_in.
  template <class T>
  const T& argument(unsigned slot) const noexcept {
    static_assert(sizeof(fuse_in_header) + sizeof(T) <= kHead);
    return *reinterpret_cast<const T*>(head(slot) + sizeof(fuse_in_header));
  }
  // The same for what is longer and goes on in the data.
  template <class T>
  T long_argument(unsigned slot) noexcept {
    static_assert(sizeof(fuse_in_header) + sizeof(T) > kHead);
    T out{};
    const std::size_t first = kHead - sizeof(fuse_in_header);
    auto* to = reinterpret_cast<char*>(&out);
    std::memcpy(to, head(slot) + sizeof(fuse_in_header), first);
    std::memcpy(to + first, data(slot).data(), sizeof(T) - first);
    return out;
  }
  std::span<const char> tail(unsigned slot) const noexcept;  // after the header, up to kHead
  std::span<std::byte> data(unsigned slot) noexcept;         // kRequestMax bytes

 private:
  FusePool() = default;
  Result<> map();
  char* head(unsigned slot) const noexcept;
  static constexpr std::size_t kHeadRoom = 128;
  static constexpr std::size_t kTable = 16384;  // before the data
  static constexpr std::size_t kBytes = kTable + std::size_t{kSlots} * kRequestMax;
  static_assert(4096 + kSlots * kHeadRoom <= kTable && kHead <= kHeadRoom);

  Fd memory_;
  std::byte* base_ = nullptr;
  bool locked_ = false;
  std::vector<unsigned> free_;
  std::vector<unsigned> found_;
};

}  // namespace cb::volume
