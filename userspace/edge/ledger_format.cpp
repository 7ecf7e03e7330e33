// SPDX-License-Identifier: Apache-2.0
#include "edge/ledger_format.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "base/check.h"
#include "base/crc32c.h"

namespace cb::edge {

namespace {

constexpr std::string_view kMagic = "CBLEDGER";
constexpr std::size_t kCrcAt = kLedgerUsedBytes - 4;

// A field that is added to the record must be added here: this is the reminder.
static_assert(sizeof(core::LedgerRecord) == 48);

template <class Integer>
void put(std::string& bytes, std::size_t at, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    bytes[at + i] = static_cast<char>((value >> (8 * i)) & 0xff);
  }
}

template <class Integer>
Integer get(std::string_view bytes, std::size_t at) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[at + i]);
    value = static_cast<Integer>(value | (static_cast<Integer>(byte) << (8 * i)));
  }
  return value;
}

std::uint32_t crc_of(std::string_view bytes) {
  return crc32c(std::as_bytes(std::span(bytes.data(), kCrcAt)));
}

// The flags, in the order of their bits.
constexpr std::array<bool core::LedgerRecord::*, 7> kFlags = {
    &core::LedgerRecord::in_command, &core::LedgerRecord::solo,
    &core::LedgerRecord::peer_stale, &core::LedgerRecord::stale,
    &core::LedgerRecord::peer_left,  &core::LedgerRecord::stopped_gracefully,
    &core::LedgerRecord::maintenance};

}  // namespace

std::string encode(const LedgerSlot& slot) {
  const core::LedgerRecord& record = slot.record;
  std::string bytes(kLedgerSlotBytes, '\0');
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  put<std::uint32_t>(bytes, 8, kLedgerVersion);
  put<std::uint32_t>(bytes, 12, kLedgerUsedBytes);
  put<std::uint64_t>(bytes, 16, slot.pairing);
  put<std::uint64_t>(bytes, 24, slot.sequence);
  put<std::uint64_t>(bytes, 32, record.term);
  put<std::uint64_t>(bytes, 40, record.reserved_term);
  put<std::uint64_t>(bytes, 48, record.command_term);
  put<std::uint64_t>(bytes, 56, record.position);
  put<std::uint8_t>(bytes, 64, static_cast<std::uint8_t>(record.state));
  std::uint32_t flags = 0;
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    flags |= record.*kFlags[i] ? 1u << i : 0u;
  }
  put<std::uint32_t>(bytes, 68, flags);
  put<std::uint64_t>(bytes, 72, record.maintenance_until_wall_s);
  put<std::uint32_t>(bytes, kCrcAt, crc_of(bytes));
  return bytes;
}

DecodedSlot decode_slot(std::string_view bytes) {
  if (bytes.size() < kLedgerUsedBytes) {
    return {std::nullopt, SlotFault::Damaged};
  }
  if (std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; })) {
    return {std::nullopt, SlotFault::Blank};
  }
  if (!bytes.starts_with(kMagic) || get<std::uint32_t>(bytes, 12) != kLedgerUsedBytes ||
      get<std::uint32_t>(bytes, kCrcAt) != crc_of(bytes)) {
    return {std::nullopt, SlotFault::Damaged};
  }
  if (get<std::uint32_t>(bytes, 8) != kLedgerVersion) {
    return {std::nullopt, SlotFault::NewerVersion};
  }
  LedgerSlot slot;
  slot.pairing = get<std::uint64_t>(bytes, 16);
  slot.sequence = get<std::uint64_t>(bytes, 24);
  slot.record.term = get<std::uint64_t>(bytes, 32);
  slot.record.reserved_term = get<std::uint64_t>(bytes, 40);
  slot.record.command_term = get<std::uint64_t>(bytes, 48);
  slot.record.position = get<std::uint64_t>(bytes, 56);
  const auto state = get<std::uint8_t>(bytes, 64);
  const auto flags = get<std::uint32_t>(bytes, 68);
  // The CRC is right, so only another program can have written what has no meaning here.
  if (state >= core::kStateNames || flags >> kFlags.size() != 0) {
    return {std::nullopt, SlotFault::NewerVersion};
  }
  slot.record.state = static_cast<core::StateName>(state);
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    slot.record.*kFlags[i] = (flags >> i & 1u) != 0;
  }
  slot.record.maintenance_until_wall_s = get<std::uint64_t>(bytes, 72);
  return {slot, SlotFault::Damaged};
}

Result<DecodedLedger> decode_ledger(std::string_view bytes, std::uint64_t pairing) {
  if (bytes.size() > kLedgerBytes) {
    return fail(EUCLEAN, "it is longer than a ledger");
  }
  std::optional<DecodedLedger> newest;
  bool damaged = false;
  bool newer_version = false;
  for (unsigned i = 0; i < 2; ++i) {
    const std::size_t at = i * kLedgerSlotBytes;
    const DecodedSlot decoded =
        decode_slot(bytes.substr(std::min(at, bytes.size()), kLedgerSlotBytes));
    if (!decoded.slot) {
      damaged = damaged || decoded.fault == SlotFault::Damaged;
      newer_version = newer_version || decoded.fault == SlotFault::NewerVersion;
    } else if (!newest || decoded.slot->sequence > newest->newest.sequence) {
      newest = DecodedLedger{*decoded.slot, i, false};
    }
  }
  // Whole records that we cannot read may be newer than those that we can.
  if (newer_version) {
    return fail(EPROTONOSUPPORT, "it was written by a newer Crossbeat. Install that version again");
  }
  if (!newest) {
    return fail(EUCLEAN, "neither of its two records is whole");
  }
  if (newest->newest.pairing != pairing) {
    return fail(EINVAL, "it belongs to another pairing");
  }
  newest->other_damaged = damaged;
  return *newest;
}

}  // namespace cb::edge
