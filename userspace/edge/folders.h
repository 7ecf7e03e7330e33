// SPDX-License-Identifier: Apache-2.0
//
// Paths under a root (DESIGN.md section 8) and the folders on the way. These calls block.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace cb::edge {

// under("/", "run/x") is "/run/x"; under("/tmp/a", "run/x") and under("/tmp/a/", "run/x") are
// "/tmp/a/run/x".
std::string under(const std::string& root, const std::string& path);

std::string folder_of(const std::string& path);  // of a path with at least one '/'

// Makes the folder and those above it that are missing: 0755 above, `mode` the last.
Result<> make_folders(const std::string& folder, mode_t mode);

// Makes changes of names in the folder durable.
Result<> sync_folder(const std::string& folder);

}  // namespace cb::edge
