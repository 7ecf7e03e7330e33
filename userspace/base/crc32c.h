// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds torn and rotten records on disk. It is no
// defence against an enemy: frames and pairings carry keyed tags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cb {

// crc: the result for the bytes before these, 0 at the beginning.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0) noexcept;

}  // namespace cb
