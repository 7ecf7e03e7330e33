// SPDX-License-Identifier: Apache-2.0
//
// The superblock: one block, kept twice. Copy `counter % 2` is written, so that a torn write leaves
// the other; the valid one with the higher counter counts. Layout: docs/volume.md.
#pragma once

#include <optional>

#include "core/volume/bytes.h"
#include "core/volume/types.h"

namespace cb::core::volume {

// out: kBlock bytes, filled entirely.
void encode(const Record& record, Bytes out);

// nullopt for anything that encode() would not have written.
std::optional<Record> decode_record(ConstBytes in);

// The newer of two copies; nullopt when neither can be read.
std::optional<Record> newer(const std::optional<Record>& a, const std::optional<Record>& b);

}  // namespace cb::core::volume
