// SPDX-License-Identifier: Apache-2.0
#include "core/volume/dirty_map.h"

#include <algorithm>
#include <bit>

#include "base/crc32c.h"

namespace cb::core::volume {
namespace {

constexpr uint32_t kMagic = 0x314d4243;  // "CBM1"
constexpr std::size_t kHeaderBytes = 32;

}  // namespace

DirtyMap::DirtyMap(std::span<uint64_t> words, uint64_t volume_length)
    : words_(words), extents_(extents_in(volume_length)) {
  CB_CHECK(words.size() == words_for(volume_length));
  recount();
}

bool DirtyMap::test(uint64_t extent) const {
  CB_CHECK(extent < extents_);
  return (words_[extent / 64] >> (extent % 64) & 1) != 0;
}

void DirtyMap::set(uint64_t extent) {
  if (!test(extent)) {
    words_[extent / 64] |= uint64_t{1} << (extent % 64);
    ++set_;
  }
}

void DirtyMap::clear(uint64_t extent) {
  if (test(extent)) {
    words_[extent / 64] &= ~(uint64_t{1} << (extent % 64));
    --set_;
  }
}

void DirtyMap::set_all() {
  for (uint64_t extent = 0; extent < extents_; ++extent) {
    set(extent);
  }
}

void DirtyMap::clear_all() {
  std::fill(words_.begin(), words_.end(), 0);
  set_ = 0;
}

void DirtyMap::fold(const BatchHeader& header) {
  for (const Entry& entry : header.entries) {
    const uint64_t last = (entry.offset + entry.length - 1) / kExtent;
    for (uint64_t extent = entry.offset / kExtent; extent <= last; ++extent) {
      set(extent);
    }
  }
}

std::optional<uint64_t> DirtyMap::next(uint64_t from) const {
  for (uint64_t word = from / 64; word < words_.size(); ++word) {
    uint64_t bits = words_[word];
    if (word == from / 64) {
      bits &= ~uint64_t{0} << (from % 64);
    }
    if (bits != 0) {
      return word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
    }
  }
  return std::nullopt;
}

void DirtyMap::recount() {
  if (extents_ % 64 != 0) {  // bits past the end of the volume mean nothing
    words_.back() &= (uint64_t{1} << (extents_ % 64)) - 1;
  }
  set_ = 0;
  for (const uint64_t word : words_) {
    set_ += static_cast<uint64_t>(std::popcount(word));
  }
}

void encode_map_block(uint64_t counter, uint64_t index, std::span<const uint64_t> words,
                      Bytes out) {
  CB_CHECK(out.size() == kBlock && words.size() <= kMapBlockBits / 64);
  Put put(out);
  put(kMagic)(uint32_t{0})(counter)(index)(uint64_t{0});
  for (const uint64_t word : words) {
    put(word);
  }
  put.skip_to(kBlock);
  Put crc(out.subspan(4));
  crc(crc32c(out.subspan(8)));
}

bool decode_map_block(ConstBytes in, uint64_t counter, uint64_t index, std::span<uint64_t> words) {
  if (in.size() != kBlock || words.size() > kMapBlockBits / 64) {
    return false;
  }
  Get get(in);
  if (get.take<uint32_t>() != kMagic || get.take<uint32_t>() != crc32c(in.subspan(8)) ||
      get.take<uint64_t>() != counter || get.take<uint64_t>() != index ||
      !get.zero_to(kHeaderBytes)) {
    return false;
  }
  for (uint64_t& word : words) {
    word = get.take<uint64_t>();
  }
  return true;
}

}  // namespace cb::core::volume
