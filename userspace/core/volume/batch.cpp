// SPDX-License-Identifier: Apache-2.0
#include "core/volume/batch.h"

#include <array>

#include "base/crc32c.h"

namespace cb::core::volume {
namespace {

constexpr uint32_t kMagic = 0x314c4243;  // "CBL1"
constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kCrcEnd = 8;
constexpr uint64_t kSector = 512;

void put(Put& out, const Entry& entry) {
  out(static_cast<uint8_t>(entry.type))(uint8_t{0})(uint16_t{0})(entry.length)(entry.offset)(
      entry.payload_offset)(entry.crc)(uint64_t{0});
}

// One entry, or false. `payload` is where the next Write's data must begin.
bool take(Get& in, Entry& entry, uint32_t& payload, uint32_t payload_length,
          uint64_t volume_length) {
  const uint8_t type = in.take<uint8_t>();
  const bool reserved = in.take<uint8_t>() == 0 && in.take<uint16_t>() == 0;
  entry.length = in.take<uint32_t>();
  entry.offset = in.take<uint64_t>();
  entry.payload_offset = in.take<uint32_t>();
  entry.crc = in.take<uint32_t>();
  if (in.take<uint64_t>() != 0 || !reserved) {
    return false;
  }
  if (type < static_cast<uint8_t>(EntryType::Write) ||
      type > static_cast<uint8_t>(EntryType::Discard)) {
    return false;
  }
  entry.type = static_cast<EntryType>(type);
  if (entry.length == 0 || entry.length % kSector != 0 || entry.offset % kSector != 0 ||
      entry.offset > volume_length || entry.length > volume_length - entry.offset) {
    return false;
  }
  if (entry.type != EntryType::Write) {
    return entry.payload_offset == 0 && entry.crc == 0;
  }
  if (entry.payload_offset != payload || entry.length > payload_length - payload) {
    return false;
  }
  payload += entry.length;
  return true;
}

}  // namespace

Digest digest_after(const Digest& before, const BatchHeader& header) noexcept {
  std::array<std::byte, 48 + kEntriesMax * kEntryBytes> bytes;
  Put out(bytes);
  out(header.position)(header.generation.high)(header.generation.low)(header.epoch)(
      header.payload_length)(static_cast<uint32_t>(header.entries.size()))(uint64_t{0});
  for (const Entry& entry : header.entries) {
    put(out, entry);
  }
  return chain(before, ConstBytes(bytes).first(out.at()));
}

std::size_t encode(const BatchHeader& header, Bytes out) {
  Put fields(out);
  fields(kMagic)(uint32_t{0})(header.position)(header.generation.high)(header.generation.low)(
      header.digest.high)(header.digest.low)(header.epoch)(header.synced)(header.committed)(
      header.payload_length)(static_cast<uint16_t>(header.entries.size()))(uint16_t{0});
  fields.skip_to(kBatchHeaderFixed);
  for (const Entry& entry : header.entries) {
    put(fields, entry);
  }
  const std::size_t used = fields.at();
  Put crc(out.subspan(kCrcAt));
  crc(crc32c(out.subspan(kCrcEnd, used - kCrcEnd)));
  return used;
}

std::optional<BatchHeader> decode_batch(ConstBytes in, uint64_t volume_length) {
  if (in.size() < kBatchHeaderFixed) {
    return std::nullopt;
  }
  Get fields(in);
  if (fields.take<uint32_t>() != kMagic) {
    return std::nullopt;
  }
  const uint32_t crc = fields.take<uint32_t>();
  std::optional<BatchHeader> decoded(std::in_place);
  BatchHeader& header = *decoded;
  header.position = fields.take<uint64_t>();
  header.generation.high = fields.take<uint64_t>();
  header.generation.low = fields.take<uint64_t>();
  header.digest.high = fields.take<uint64_t>();
  header.digest.low = fields.take<uint64_t>();
  header.epoch = fields.take<uint64_t>();
  header.synced = fields.take<uint64_t>();
  header.committed = fields.take<uint64_t>();
  header.payload_length = fields.take<uint32_t>();
  const std::size_t count = fields.take<uint16_t>();
  if (fields.take<uint16_t>() != 0 || !fields.zero_to(kBatchHeaderFixed)) {
    return std::nullopt;
  }
  if (count == 0 || count > kEntriesMax || in.size() < kBatchHeaderFixed + count * kEntryBytes ||
      crc != crc32c(in.subspan(kCrcEnd, kBatchHeaderFixed - kCrcEnd + count * kEntryBytes))) {
    return std::nullopt;
  }
  if (header.position % kBlock != 0 || header.position > UINT64_MAX - kBatchMax ||
      header.payload_length > kPayloadMax || header.payload_length % kBlock != 0 ||
      header.synced > header.position || header.committed > header.position ||
      header.generation.none()) {
    return std::nullopt;
  }
  uint32_t payload = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Entry entry;
    if (!take(fields, entry, payload, header.payload_length, volume_length)) {
      return std::nullopt;
    }
    header.entries.push(entry);
  }
  if (round_up(payload) != header.payload_length) {
    return std::nullopt;
  }
  return decoded;
}

}  // namespace cb::core::volume
