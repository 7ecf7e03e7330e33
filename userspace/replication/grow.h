// SPDX-License-Identifier: Apache-2.0
//
// The files of a volume that gets longer. Blocks: for a Hands.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace cb::replication {

// ENOSPC: the file system or the device has no room for so many bytes.
Result<> room_for(const std::string& folder, std::uint64_t bytes);

// The home image, its sums and the map have room for so many bytes, and the image is zero behind
// `from`, durably. What is shorter than that is as it was; may be repeated.
Result<> grow_files(const std::string& folder, std::uint64_t from, std::uint64_t bytes);

}  // namespace cb::replication
