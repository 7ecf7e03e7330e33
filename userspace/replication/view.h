// SPDX-License-Identifier: Apache-2.0
//
// Which stretches of the volume the log holds newer than the home image, and in which batch: an
// interval map by bytes, the newest on top.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/volume/batch.h"

namespace cb::replication {

struct Piece {
  std::uint64_t offset = 0;  // in the volume
  std::uint64_t end = 0;
  core::volume::Position batch = 0;
  std::uint32_t at = 0;  // in the batch, counted from its header block
  bool zero = false;
  bool give_back = false;  // zero: by a discard

  std::uint64_t length() const noexcept { return end - offset; }
  bool operator==(const Piece&) const = default;
};

class View {
 public:
  // All entries of a batch, over everything that is there.
  void put(const core::volume::BatchHeader& header);
  void put(const Piece& piece);
  // Takes away what comes from batches before `before` within [offset, end).
  void forget(std::uint64_t offset, std::uint64_t end, core::volume::Position before);
  // ... everywhere.
  void forget_before(core::volume::Position before);
  void clear() { pieces_.clear(); }

  // What lies within [offset, end), cut to it, in order.
  void collect(std::uint64_t offset, std::uint64_t end, std::vector<Piece>& into) const;
  std::vector<Piece> all() const;
  std::size_t size() const noexcept { return pieces_.size(); }
  bool empty() const noexcept { return pieces_.empty(); }

 private:
  using Pieces = std::map<std::uint64_t, Piece>;  // by offset; they do not overlap
  void cut_at(std::uint64_t offset);

  Pieces pieces_;
};

}  // namespace cb::replication
