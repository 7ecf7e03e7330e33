// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a ledger: two slots of one disk block each. Little-endian on every machine. Pure.
//
//   0  "CBLEDGER"          48  command term                72  maintenance until (wall, s)
//   8  version (u32)       56  position                    80  zeros
//  12  bytes in use (u32)  64  state (u8)                 508  CRC-32C of bytes 0 to 507
//  16  pairing id          68  flags (u32, below)
//  24  sequence                bit 0 in command, 1 solo, 2 peer stale, 3 stale, 4 peer left,
//  32  term                        5 stopped gracefully, 6 maintenance
//  40  reserved term
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/types.h"

namespace cb::edge {

inline constexpr std::size_t kLedgerSlotBytes =
    4096;  // a block: writing one leaves the other's alone
inline constexpr std::size_t kLedgerUsedBytes = 512;
inline constexpr std::size_t kLedgerBytes = 2 * kLedgerSlotBytes;
inline constexpr std::uint32_t kLedgerVersion = 1;

struct LedgerSlot {
  std::uint64_t pairing = 0;
  std::uint64_t sequence = 0;
  core::LedgerRecord record;
  bool operator==(const LedgerSlot&) const = default;
};

// kLedgerSlotBytes bytes.
std::string encode(const LedgerSlot& slot);

enum class SlotFault : std::uint8_t {
  Damaged,       // torn, rotten, or no ledger at all
  Blank,         // never written
  NewerVersion,  // whole, but of a version that we do not know
};

struct DecodedSlot {
  std::optional<LedgerSlot> slot;
  SlotFault fault = SlotFault::Damaged;  // meaningful without a slot
};
DecodedSlot decode_slot(std::string_view bytes);

struct DecodedLedger {
  LedgerSlot newest;
  unsigned slot = 0;           // where it is
  bool other_damaged = false;  // the other slot is neither whole nor blank: a write was torn
};

// The newest whole slot. Errors: EUCLEAN (no slot is whole, or no ledger), EPROTONOSUPPORT
// (version), EINVAL (of another pairing). what: without the path.
Result<DecodedLedger> decode_ledger(std::string_view bytes, std::uint64_t pairing);

}  // namespace cb::edge
