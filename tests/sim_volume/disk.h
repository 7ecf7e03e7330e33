// SPDX-License-Identifier: Apache-2.0
//
// A disk that keeps its promises and nothing more: what was not synced may be there after a power
// cut, or not, or in part, in any combination.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/prng.h"

namespace cb::sim_volume {

// A block: bytes where the product reads bytes, else a stamp that stands for a block of data.
struct Cell {
  uint64_t stamp = 0;
  std::shared_ptr<const std::vector<std::byte>> bytes;
};

class Disk {
 public:
  explicit Disk(std::size_t blocks) : stable_(blocks), view_(blocks) {}

  std::size_t blocks() const { return stable_.size(); }
  const Cell& read(std::size_t block) const { return view_[block]; }
  void write(std::size_t block, Cell cell);
  // Everything written so far; sync_to() makes it durable, sync_between() what came after `from`.
  uint64_t mark() const { return written_; }
  void sync_to(uint64_t mark) { sync_between(0, mark); }
  void sync_between(uint64_t from, uint64_t to);
  // A failed sync: the pages are dropped and read as they were.
  void fail_sync();
  void power_cut(Prng& prng);
  void rot(std::size_t block);

 private:
  struct Pending {
    uint64_t mark = 0;
    std::size_t block = 0;
    Cell cell;
  };
  std::vector<Cell> stable_;
  std::vector<Cell> view_;
  std::vector<Pending> pending_;
  uint64_t written_ = 0;
};

}  // namespace cb::sim_volume
