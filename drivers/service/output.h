// SPDX-License-Identifier: Apache-2.0
//
// The files that services write their output into. These calls block: for a Hands.
#pragma once

#include <cstdint>
#include <string>

namespace cb::service {

inline constexpr std::uint64_t kOutputBytesMax = 8u << 20;

// Makes the folder, and begins a new file (the old one becomes PATH.1) when the old one is full. 0
// or errno.
int prepare_output(const std::string& path);

// For a service that runs on for long and keeps its file open: when the file is full, its content
// becomes PATH.1 and it is emptied. 0 or errno.
int trim_output(const std::string& path);

// The last line that says something, at most 300 bytes; empty when there is none.
std::string last_line_of(const std::string& path);

}  // namespace cb::service
