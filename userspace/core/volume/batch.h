// SPDX-License-Identifier: Apache-2.0
//
// A batch: one group commit, the unit of atomicity. On disk a header block and then the payload; on
// the wire the same header without the rest of its block. Layout: docs/volume.md.
#pragma once

#include <optional>

#include "core/volume/bytes.h"
#include "core/volume/digest.h"
#include "core/volume/types.h"

namespace cb::core::volume {

enum class EntryType : uint8_t {
  Write = 1,
  Zero = 2,     // reads as zeros afterwards
  Discard = 3,  // the same, and the space may be given back
};

struct Entry {
  EntryType type = EntryType::Write;
  uint32_t length = 0;          // bytes, a multiple of 512
  uint64_t offset = 0;          // in the volume, a multiple of 512
  uint32_t payload_offset = 0;  // Write only
  uint32_t crc = 0;             // CRC-32C of the payload, Write only
  bool operator==(const Entry&) const = default;
};

struct BatchHeader {
  Position position = 0;
  Generation generation;
  uint64_t epoch = 0;
  Digest digest;        // of the log including this batch
  Position synced = 0;  // the node that wrote this copy had synced so much of its log before
  Position committed = 0;
  uint32_t payload_length = 0;  // rounded up to blocks
  FixedList<Entry, kEntriesMax> entries;

  Position end() const noexcept { return position + kBlock + payload_length; }
  bool operator==(const BatchHeader&) const = default;
};

inline constexpr std::size_t kBatchHeaderFixed = 96;
inline constexpr std::size_t kEntryBytes = 32;
static_assert(kBatchHeaderFixed + kEntriesMax * kEntryBytes <= kBlock);

// The digest of the log after this batch. What differs between the two nodes' copies (synced,
// committed) is left out.
Digest digest_after(const Digest& before, const BatchHeader& header) noexcept;

// Bytes used, at most kBlock; what remains of the block is zeros on disk.
std::size_t encode(const BatchHeader& header, Bytes out);

// nullopt for anything that encode() would not have written. Entries lie within volume_length.
std::optional<BatchHeader> decode_batch(ConstBytes in, uint64_t volume_length);

}  // namespace cb::core::volume
