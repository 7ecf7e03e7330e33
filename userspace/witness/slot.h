// SPDX-License-Identifier: Apache-2.0
//
// A record on disk: 128 bytes, kept twice. Little-endian.
//
//   0 "CBWITNES"   8 version 4, reserved 4   16 pairing 8   24 counter 8   32 term 8
//   40 holder 1, met 1, reserved 6   48 epoch 8, generation 16, kind 1, holder 1, reserved 6
//   80 reserved 32   112 BLAKE2b-128 of all before
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/witness/record.h"

namespace cb::witness {

inline constexpr std::size_t kSlotBytes = 128;
inline constexpr std::size_t kSlotStride = 4096;  // a torn write spoils one copy, not both
inline constexpr std::size_t kFileBytes = 2 * kSlotStride;

using Slot = std::array<std::byte, kSlotBytes>;

Slot encode_slot(std::uint64_t pairing, const core::witness::Record& record);
// Nothing if it is not whole, not of this pairing, or not as encode_slot() would have written it.
std::optional<core::witness::Record> decode_slot(std::span<const std::byte> bytes,
                                                 std::uint64_t pairing);

}  // namespace cb::witness
