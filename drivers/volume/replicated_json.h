// SPDX-License-Identifier: Apache-2.0
//
// What the monitor and a volume's process say to each other (docs/volume-process.md), as JSON. The
// process is ours, but a message that is not of its form is still refused, not guessed at.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/volume/types.h"
#include "drivers/volume/volume.h"

namespace cb::volume {

using Json = nlohmann::ordered_json;

// Of the right type, or what to take in its place.
std::string text_of(const Json& object, const char* key);
std::uint64_t number_of(const Json& object, const char* key);
bool flag_of(const Json& object, const char* key);
const Json& part_of(const Json& object, const char* key);  // an object, or an empty one

// What a node's record says of its own copy.
struct OwnCopy {
  core::volume::Standing standing = core::volume::Standing::Fresh;
  std::uint64_t epoch = 0;
};

// More of a status than the monitor shows.
struct VolumeReport {
  OwnCopy own;
  bool in_step = false;
  bool peer_heard = false;
  bool peer_serving = false;
  std::uint64_t peer_epoch = 0;
  int disk_error = 0;
};

// False: not a status.
bool read_status(const Json& status, Status& out, VolumeReport& report);

Json register_json(const core::volume::Register& value);
std::optional<core::volume::Register> read_register(const Json& json);

std::optional<core::volume::Standing> standing_of(std::string_view text);

}  // namespace cb::volume
