// SPDX-License-Identifier: Apache-2.0
//
// The dirty map: what a shortened log turns into. A bit stands for kExtent bytes of the volume that
// may differ between the nodes. The bits are the owner's memory; this only counts and finds them.
//
// A bit is set before the batch that it stands for is dropped from the log, and cleared only when
// the peer has that extent durably, at least as new. Both orders are what keeps the copies from
// differing in silence.
#pragma once

#include <optional>

#include "core/volume/batch.h"
#include "core/volume/bytes.h"
#include "core/volume/types.h"

namespace cb::core::volume {

class DirtyMap {
 public:
  DirtyMap() = default;
  // words: words_for(volume_length) of them, living as long as the map.
  DirtyMap(std::span<uint64_t> words, uint64_t volume_length);

  static constexpr uint64_t extents_in(uint64_t volume_length) noexcept {
    return (volume_length + kExtent - 1) / kExtent;
  }
  static constexpr std::size_t words_for(uint64_t volume_length) noexcept {
    return static_cast<std::size_t>((extents_in(volume_length) + 63) / 64);
  }

  uint64_t extents() const noexcept { return extents_; }
  uint64_t set_count() const noexcept { return set_; }
  bool test(uint64_t extent) const;
  void set(uint64_t extent);
  void clear(uint64_t extent);
  void set_all();
  void clear_all();
  // Everything that a batch touches.
  void fold(const BatchHeader& header);
  // The first set bit at or after `from`; nullopt when there is none.
  std::optional<uint64_t> next(uint64_t from) const;
  // After the words were read from disk.
  void recount();

 private:
  std::span<uint64_t> words_;
  uint64_t extents_ = 0;
  uint64_t set_ = 0;
};

// One block of the map on disk: 4,064 bytes of bits behind a header of 32.
inline constexpr std::size_t kMapBlockBits = (kBlock - 32) * 8;
// words_of: the words of this block, at most kMapBlockBits / 64.
void encode_map_block(uint64_t counter, uint64_t index, std::span<const uint64_t> words, Bytes out);
// False for a block that is not number `index` of the writing `counter`. words is filled.
bool decode_map_block(ConstBytes in, uint64_t counter, uint64_t index, std::span<uint64_t> words);

}  // namespace cb::core::volume
