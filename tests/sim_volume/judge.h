// SPDX-License-Identifier: Apache-2.0
//
// Sees everything, believes nobody. It keeps its own account of what was written, what was
// acknowledged, and what a volume must hold, apart from what the nodes say of themselves.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/volume/batch.h"

namespace cb::sim_volume {

namespace volume = core::volume;
using Content = std::vector<uint64_t>;  // a stamp for each block of the volume

class Judge {
 public:
  explicit Judge(std::size_t volume_blocks)
      : blocks_(volume_blocks), flushed_(volume_blocks), zeroed_(volume_blocks) {}

  bool fine() const { return objection_.empty(); }
  const std::string& objection() const { return objection_; }
  void object(const std::string& what);

  // A batch enters somebody's log behind `before`.
  void entered(const volume::Digest& before, const volume::BatchHeader& header,
               const std::vector<uint64_t>& stamps);
  // What a log with this digest makes of an empty volume; nullptr: nobody ever wrote such a log.
  const Content* content_of(const volume::Digest& digest) const;
  // Whether the log `digest` contains the log `beginning` that ends at `position`.
  bool contains(const volume::Digest& digest, const volume::Digest& beginning,
                volume::Position position) const;

  // The front end's own account.
  void zeroed(std::size_t block, uint64_t stamp) { zeroed_[block] = stamp; }
  void flushed(const std::vector<std::pair<std::size_t, uint64_t>>& writes);
  // D1 by content: no block is older than what was flushed.
  void serves(const std::string& who, const Content& content);
  // D1 and D2 by history: the acknowledged history only grows.
  void acknowledged(const std::string& who, volume::Position position,
                    const volume::Digest& digest);
  volume::Position acknowledged_position() const { return acked_position_; }
  const volume::Digest& acknowledged_digest() const { return acked_digest_; }

 private:
  struct Link {
    volume::Digest before;
    volume::Position start = 0;
    volume::Position end = 0;
    Content content;
  };
  using Key = std::pair<uint64_t, uint64_t>;
  static Key key(const volume::Digest& digest) { return {digest.high, digest.low}; }

  std::size_t blocks_;
  std::map<Key, Link> logs_;
  Content empty_ = Content(blocks_);
  std::vector<uint64_t> flushed_;
  std::vector<uint64_t> zeroed_;
  volume::Position acked_position_ = 0;
  volume::Digest acked_digest_;
  std::string objection_;
};

}  // namespace cb::sim_volume
