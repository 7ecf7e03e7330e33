// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/disk.h"

#include <algorithm>

namespace cb::sim_volume {
namespace {

constexpr std::size_t kSector = 512;

Cell torn(const Cell& before, const Cell& after, Prng& prng) {
  Cell cell = after;
  if (!after.bytes) {
    cell.bytes = nullptr;
    cell.stamp = after.stamp * 0x9e3779b97f4a7c15u + before.stamp + 1;
    return cell;
  }
  std::vector<std::byte> mixed =
      before.bytes ? *before.bytes : std::vector<std::byte>(after.bytes->size());
  mixed.resize(std::max(mixed.size(), after.bytes->size()));
  for (std::size_t at = 0; at < after.bytes->size(); at += kSector) {
    if (prng.chance(1, 2)) {
      const std::size_t end = std::min(at + kSector, after.bytes->size());
      std::copy(after.bytes->begin() + static_cast<std::ptrdiff_t>(at),
                after.bytes->begin() + static_cast<std::ptrdiff_t>(end),
                mixed.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  cell.bytes = std::make_shared<const std::vector<std::byte>>(std::move(mixed));
  return cell;
}

}  // namespace

void Disk::write(std::size_t block, Cell cell) {
  pending_.push_back({++written_, block, cell});
  view_[block] = std::move(cell);
}

void Disk::sync_to(uint64_t mark) {
  std::size_t kept = 0;
  for (Pending& write : pending_) {
    if (write.mark <= mark) {
      stable_[write.block] = std::move(write.cell);
    } else {
      pending_[kept++] = std::move(write);
    }
  }
  pending_.resize(kept);
}

void Disk::fail_sync() {
  pending_.clear();
  view_ = stable_;
}

void Disk::power_cut(Prng& prng) {
  const uint64_t kept = prng.below(5);  // of four: none, few, half, most, all
  for (const Pending& write : pending_) {
    if (!prng.chance(kept, 4)) {
      continue;
    }
    stable_[write.block] =
        prng.chance(1, 8) ? torn(stable_[write.block], write.cell, prng) : write.cell;
  }
  pending_.clear();
  view_ = stable_;
}

void Disk::rot(std::size_t block) {
  Cell cell = stable_[block];
  if (cell.bytes) {
    std::vector<std::byte> bytes = *cell.bytes;
    bytes[bytes.size() / 2] ^= std::byte{0x10};
    cell.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  } else {
    cell.stamp ^= 0x10;
  }
  stable_[block] = view_[block] = cell;
}

}  // namespace cb::sim_volume
