// SPDX-License-Identifier: Apache-2.0
//
// What a comparison of the images is told as (docs/volume-process.md).
#pragma once

#include <string>

#include "replication/comparing.h"
#include "replication/json.h"

namespace cb::replication {

Json verify_of(const CompareFacts& facts, std::uint64_t volume_bytes, Instant now);
// For a person; empty: nothing was compared, or nothing is wrong so far.
std::string text_of(const CompareFacts& facts);
// Why it was not begun.
std::string verify_fault(int error);

}  // namespace cb::replication
