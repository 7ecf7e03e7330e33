// SPDX-License-Identifier: Apache-2.0
//
// The node's boot id: a random number that is new at every start of the machine and stays the same
// over restarts of the monitor. It is kept in <root>/run/crossbeat/boot together with the kernel's
// own boot id: a file left over from an earlier boot (a /run that is a plain folder) does not
// count. It is not derived from the kernel's id, since several nodes may share one kernel.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace cb::pairing {

inline constexpr char kKernelBootId[] = "/proc/sys/kernel/random/boot_id";

// Blocks (files): call it at start, never in a turn. Never 0. A file that is missing, damaged,
// writable by others or of another boot is replaced (mode 0600).
Result<std::uint64_t> node_boot_id(const std::string& root,
                                   const std::string& kernel_boot_id_path = kKernelBootId);

}  // namespace cb::pairing
