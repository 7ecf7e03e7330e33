// SPDX-License-Identifier: Apache-2.0
//
// The kernel's FUSE protocol: <linux/fuse.h>, and what Debian 12's copy of it does not have yet.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace cb::volume {

// Of what INIT negotiates (64 bits: flags, and flags2 above them).
inline constexpr std::uint64_t kFuseHasResend = 1ULL << 39;  // kernel 6.9
// Set in the `unique` of a request that was given to an earlier reader of the descriptor before.
inline constexpr std::uint64_t kFuseUniqueResend = 1ULL << 63;

inline constexpr int kFuseNotifyResend = 7;  // kernel 6.9

inline constexpr std::uint32_t kFuseOldestMinor = 28;  // max_pages: kernel 4.20
inline constexpr std::uint32_t kFuseOurMinor = 38;

inline constexpr std::uint64_t kFileNode = 2;
inline constexpr const char* kFileName = "volume";

}  // namespace cb::volume
