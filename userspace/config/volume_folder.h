// SPDX-License-Identifier: Apache-2.0
//
// The folder of one copy of a volume, as far as it is not the volume process's own business: which
// volume it belongs to, and whether a file system is still to be made on it. It is made beside its
// place and then renamed, so that a folder is there whole or not at all. All of this blocks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace cb::config {

using VolumeId = std::array<std::uint8_t, 16>;

std::string volume_folder(const std::string& root, const std::string& directory,
                          const std::string& instance);

// Nothing: there is no copy yet.
Result<std::optional<VolumeId>> read_volume_id(const std::string& folder);

// Where a copy is formatted before it is put into its place.
std::string fresh_volume_folder(const std::string& folder);
// ... as an empty folder; what an earlier attempt left there is removed.
Result<std::string> begin_volume_folder(const std::string& folder);
// Puts it into its place, durably. format: the file system that the first mount makes, or empty.
Result<> finish_volume_folder(const std::string& folder, const VolumeId& id,
                              const std::string& format);

// The file system that is still to be made; empty: none.
Result<std::string> format_wanted(const std::string& folder);
Result<> format_done(const std::string& folder);

// Keeps a copy under another name, which is returned: nothing is ever thrown away.
Result<std::string> set_volume_aside(const std::string& folder);

}  // namespace cb::config
