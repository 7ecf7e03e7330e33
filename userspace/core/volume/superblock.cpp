// SPDX-License-Identifier: Apache-2.0
#include "core/volume/superblock.h"

#include "base/crc32c.h"

namespace cb::core::volume {
namespace {

constexpr uint64_t kMagic = 0x31524556'54414542;  // "BEATVER1"
constexpr uint16_t kFormat = 1;
constexpr std::size_t kEpochsAt = 256;
constexpr std::size_t kEpochBytes = 64;
constexpr std::size_t kCrcAt = kBlock - 4;
static_assert(kEpochsAt + kEpochsMax * kEpochBytes <= kCrcAt);

bool aligned(uint64_t value) { return value % kBlock == 0; }

// What a record must satisfy whoever wrote it: a checksum proves that it was written, not that it
// is right.
bool makes_sense(const Record& r) {
  if (r.node > 1 || r.ring_length < kRingMin || !aligned(r.ring_length) || r.volume_length == 0 ||
      !aligned(r.volume_length) || r.volume_length > (uint64_t{1} << 56)) {
    return false;
  }
  if (!aligned(r.tail) || !aligned(r.checkpoint) || !aligned(r.synced) || !aligned(r.committed) ||
      r.tail > r.checkpoint || r.checkpoint - r.tail > r.ring_length) {
    return false;
  }
  if (r.map.present && (r.map.from > r.map.to || r.map.to != r.tail)) {
    return false;
  }
  for (std::size_t i = 0; i < r.epochs.size(); ++i) {
    const Epoch& epoch = r.epochs[i];
    if (epoch.generation.none() || epoch.writer > 1 || !aligned(epoch.start) ||
        (i > 0 &&
         (r.epochs[i - 1].start > epoch.start || r.epochs[i - 1].number >= epoch.number))) {
      return false;
    }
  }
  return true;
}

}  // namespace

void encode(const Record& r, Bytes out) {
  CB_CHECK(out.size() == kBlock);
  Put put(out);
  put(kMagic)(kFormat)(static_cast<uint8_t>(r.node))(static_cast<uint8_t>(r.standing))(
      static_cast<uint32_t>(r.epochs.size()));
  put(r.counter)(r.instance_high)(r.instance_low)(r.ring_length)(r.volume_length)(r.epoch);
  put(r.tail)(r.tail_digest.high)(r.tail_digest.low);
  put(r.checkpoint)(r.checkpoint_digest.high)(r.checkpoint_digest.low);
  put(r.synced)(r.committed)(r.copying);
  put(static_cast<uint8_t>(r.map.present))(static_cast<uint8_t>(r.map.cleared))(r.map.slot)(
      uint8_t{0})(uint32_t{0})(r.map.session)(r.map.from)(r.map.to);
  put.skip_to(kEpochsAt);
  for (const Epoch& epoch : r.epochs) {
    put(epoch.number)(epoch.generation.high)(epoch.generation.low)(epoch.start)(epoch.digest.high)(
        epoch.digest.low)(epoch.writer)(uint8_t{0})(uint16_t{0})(uint32_t{0})(uint64_t{0});
  }
  put.skip_to(kCrcAt);
  put(crc32c(out.first(kCrcAt)));
}

std::optional<Record> decode_record(ConstBytes in) {
  if (in.size() != kBlock) {
    return std::nullopt;
  }
  Get crc(in.subspan(kCrcAt));
  if (crc.take<uint32_t>() != crc32c(in.first(kCrcAt))) {
    return std::nullopt;
  }
  Get get(in);
  if (get.take<uint64_t>() != kMagic || get.take<uint16_t>() != kFormat) {
    return std::nullopt;
  }
  std::optional<Record> decoded(std::in_place);
  Record& r = *decoded;
  r.node = get.take<uint8_t>();
  const uint8_t standing = get.take<uint8_t>();
  const uint32_t epochs = get.take<uint32_t>();
  if (standing > static_cast<uint8_t>(Standing::Outdated) || epochs > kEpochsMax) {
    return std::nullopt;
  }
  r.standing = static_cast<Standing>(standing);
  r.counter = get.take<uint64_t>();
  r.instance_high = get.take<uint64_t>();
  r.instance_low = get.take<uint64_t>();
  r.ring_length = get.take<uint64_t>();
  r.volume_length = get.take<uint64_t>();
  r.epoch = get.take<uint64_t>();
  r.tail = get.take<uint64_t>();
  r.tail_digest.high = get.take<uint64_t>();
  r.tail_digest.low = get.take<uint64_t>();
  r.checkpoint = get.take<uint64_t>();
  r.checkpoint_digest.high = get.take<uint64_t>();
  r.checkpoint_digest.low = get.take<uint64_t>();
  r.synced = get.take<uint64_t>();
  r.committed = get.take<uint64_t>();
  r.copying = get.take<uint64_t>();
  const uint8_t present = get.take<uint8_t>();
  const uint8_t cleared = get.take<uint8_t>();
  r.map.slot = get.take<uint8_t>();
  if (present > 1 || cleared > 1 || r.map.slot > 1 || get.take<uint8_t>() != 0 ||
      get.take<uint32_t>() != 0) {
    return std::nullopt;
  }
  r.map.present = present != 0;
  r.map.cleared = cleared != 0;
  r.map.session = get.take<uint64_t>();
  r.map.from = get.take<uint64_t>();
  r.map.to = get.take<uint64_t>();
  if (!get.zero_to(kEpochsAt)) {
    return std::nullopt;
  }
  for (uint32_t i = 0; i < epochs; ++i) {
    Epoch epoch;
    epoch.number = get.take<uint64_t>();
    epoch.generation.high = get.take<uint64_t>();
    epoch.generation.low = get.take<uint64_t>();
    epoch.start = get.take<uint64_t>();
    epoch.digest.high = get.take<uint64_t>();
    epoch.digest.low = get.take<uint64_t>();
    epoch.writer = get.take<uint8_t>();
    if (get.take<uint8_t>() != 0 || get.take<uint16_t>() != 0 || get.take<uint32_t>() != 0 ||
        get.take<uint64_t>() != 0) {
      return std::nullopt;
    }
    r.epochs.push(epoch);
  }
  if (!get.zero_to(kCrcAt) || !makes_sense(r)) {
    return std::nullopt;
  }
  return decoded;
}

std::optional<Record> newer(const std::optional<Record>& a, const std::optional<Record>& b) {
  if (a && b) {
    return a->counter >= b->counter ? a : b;
  }
  return a ? a : b;
}

}  // namespace cb::core::volume
