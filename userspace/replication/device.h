// SPDX-License-Identifier: Apache-2.0
//
// A block device that is to hold a part of a new copy: what it must be, and what must not be on it.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace cb::replication {

// The device, open for writing and for nobody else. ENOTBLK, EBUSY (mounted, swap, or held by
// something), ENOSPC, EEXIST: another copy beside `folder` lies on it, or, unless `overwrite`, it
// holds something. Where signatures are, at either end, all must be zero.
Result<Fd> claim_device(const std::string& device, std::uint64_t bytes, const std::string& folder,
                        bool overwrite);

// Whether claim_device would have it. Changes nothing.
Result<> look_at_device(const std::string& device, std::uint64_t bytes, const std::string& folder,
                        bool overwrite);

// Whatever their names.
bool is_one_device(const std::string& a, const std::string& b);

}  // namespace cb::replication
