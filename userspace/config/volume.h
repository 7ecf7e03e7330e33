// SPDX-License-Identifier: Apache-2.0
//
// [volume] in crossbeat.toml and what a pairing's file keeps of it: the same keys, the same checks,
// since what came from the peer is read as carefully as what an operator wrote.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/ir.h"
#include "config/reader.h"

namespace cb::config {

// A volume as if only its size were configured.
Volume default_volume();

// Reads the table's keys but `directory`; nothing when there is no size.
std::optional<Volume> read_volume(Reader& table);

// The keys of read_volume, one a line.
std::string volume_text(const Volume& volume);

// What is wrong with it, or nothing: for what arrived by pairing.
std::string volume_fault(const Volume& volume);

std::string_view name_of(Volume::Mode mode) noexcept;

}  // namespace cb::config
