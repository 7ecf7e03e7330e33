// SPDX-License-Identifier: Apache-2.0
#include "witness/slot.h"

#include <sodium.h>

#include <algorithm>

#include "base/check.h"
#include "core/volume/bytes.h"

namespace cb::witness {
namespace {

using core::volume::Get;
using core::volume::Kind;
using core::volume::Put;
using core::witness::Holder;
using core::witness::Record;

constexpr std::uint64_t kMagic = 0x53454e5449574243;  // "CBWITNES"
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kDigestAt = kSlotBytes - 16;

std::array<std::byte, 16> digest_of(std::span<const std::byte> bytes) {
  std::array<std::byte, 16> out{};
  const int failed = crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                        reinterpret_cast<const unsigned char*>(bytes.data()),
                                        kDigestAt, nullptr, 0);
  CB_CHECK(failed == 0);
  return out;
}

}  // namespace

Slot encode_slot(std::uint64_t pairing, const Record& record) {
  Slot out{};
  Put put(out);
  put(kMagic)(kFormat)(std::uint32_t{0})(pairing)(record.counter)(record.term);
  put(static_cast<std::uint8_t>(record.holder))(record.met);
  put.skip_to(48);
  const auto& volume = record.volume;
  put(volume.epoch)(volume.generation.high)(volume.generation.low);
  put(static_cast<std::uint8_t>(volume.kind))(volume.holder);
  put.skip_to(kDigestAt);
  const auto digest = digest_of(out);
  std::copy(digest.begin(), digest.end(), out.begin() + kDigestAt);
  return out;
}

std::optional<Record> decode_slot(std::span<const std::byte> bytes, std::uint64_t pairing) {
  if (bytes.size() < kSlotBytes) {
    return std::nullopt;
  }
  bytes = bytes.first(kSlotBytes);
  const auto digest = digest_of(bytes);
  if (!std::equal(digest.begin(), digest.end(), bytes.begin() + kDigestAt)) {
    return std::nullopt;
  }
  Get get(bytes);
  Record record;
  bool fine = get.take<std::uint64_t>() == kMagic && get.take<std::uint32_t>() == kFormat &&
              get.take<std::uint32_t>() == 0 && get.take<std::uint64_t>() == pairing;
  if (!fine) {
    return std::nullopt;
  }
  record.counter = get.take<std::uint64_t>();
  record.term = get.take<std::uint64_t>();
  const auto holder = get.take<std::uint8_t>();
  record.met = get.take<std::uint8_t>();
  fine =
      get.zero_to(48) && holder <= static_cast<std::uint8_t>(Holder::Secondary) && record.met <= 3;
  record.holder = static_cast<Holder>(holder);
  auto& volume = record.volume;
  volume.epoch = get.take<std::uint64_t>();
  volume.generation.high = get.take<std::uint64_t>();
  volume.generation.low = get.take<std::uint64_t>();
  const auto kind = get.take<std::uint8_t>();
  volume.kind = static_cast<Kind>(kind);
  volume.holder = get.take<std::uint8_t>();
  fine = fine && kind <= static_cast<std::uint8_t>(Kind::Alone) && volume.holder <= 1 &&
         get.zero_to(kDigestAt);
  return fine ? std::optional(record) : std::nullopt;
}

}  // namespace cb::witness
