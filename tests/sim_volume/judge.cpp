// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/judge.h"

namespace cb::sim_volume {

void Judge::object(const std::string& what) {
  if (objection_.empty()) {
    objection_ = what;
  }
}

void Judge::entered(const volume::Digest& before, const volume::BatchHeader& header,
                    const std::vector<uint64_t>& stamps) {
  if (logs_.count(key(header.digest)) != 0) {
    return;
  }
  const Content* base = content_of(before);
  if (base == nullptr) {
    object("D3: a batch behind a log that nobody wrote");
    return;
  }
  Link link{before, header.position, header.end(), *base};
  for (const volume::Entry& entry : header.entries) {
    const std::size_t first = entry.offset / volume::kBlock;
    for (std::size_t i = 0; i < entry.length / volume::kBlock; ++i) {
      const bool data = entry.type == volume::EntryType::Write;
      link.content[first + i] = data ? stamps[entry.payload_offset / volume::kBlock + i] : 0;
    }
  }
  logs_.emplace(key(header.digest), std::move(link));
}

const Content* Judge::content_of(const volume::Digest& digest) const {
  if (digest == volume::Digest{}) {
    return &empty_;
  }
  const auto found = logs_.find(key(digest));
  return found == logs_.end() ? nullptr : &found->second.content;
}

bool Judge::contains(const volume::Digest& digest, const volume::Digest& beginning,
                     volume::Position position) const {
  volume::Digest at = digest;
  while (!(at == beginning)) {
    const auto found = logs_.find(key(at));
    if (found == logs_.end() || found->second.end <= position) {
      return position == 0;
    }
    at = found->second.before;
  }
  return true;
}

void Judge::flushed(const std::vector<std::pair<std::size_t, uint64_t>>& writes) {
  for (const auto& [block, stamp] : writes) {
    flushed_[block] = std::max(flushed_[block], stamp);
  }
}

void Judge::serves(const std::string& who, const Content& content) {
  for (std::size_t block = 0; block < blocks_; ++block) {
    const bool zero_is_newer = content[block] == 0 && zeroed_[block] >= flushed_[block];
    if (content[block] < flushed_[block] && !zero_is_newer) {
      object("D1: " + who + " serves block " + std::to_string(block) + " as of write " +
             std::to_string(content[block]) + ", and write " + std::to_string(flushed_[block]) +
             " was acknowledged");
      return;
    }
  }
}

void Judge::acknowledged(const std::string& who, volume::Position position,
                         const volume::Digest& digest) {
  if (position <= acked_position_) {
    if (!contains(acked_digest_, digest, position)) {
      object("D2: " + who + " acknowledged another history at " + std::to_string(position));
    }
    return;
  }
  if (!contains(digest, acked_digest_, acked_position_)) {
    object("D1: " + who + " acknowledged " + std::to_string(position) +
           " without what was acknowledged before");
  }
  acked_position_ = position;
  acked_digest_ = digest;
}

}  // namespace cb::sim_volume
