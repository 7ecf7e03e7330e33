// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/disk.h"

#include <algorithm>
#include <set>

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

// In their order; an older write to one of these blocks does not come back over it.
void Disk::sync_between(uint64_t from, uint64_t to) {
  std::set<std::size_t> newer;
  std::vector<Pending> kept;
  for (auto write = pending_.rbegin(); write != pending_.rend(); ++write) {
    if (write->mark <= from || write->mark > to) {
      if (write->mark > to || !newer.contains(write->block)) {
        kept.push_back(std::move(*write));
      }
    } else if (newer.insert(write->block).second) {
      stable_[write->block] = std::move(write->cell);
    }
  }
  std::reverse(kept.begin(), kept.end());
  pending_ = std::move(kept);
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
