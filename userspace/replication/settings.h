// SPDX-License-Identifier: Apache-2.0
//
// What the monitor configures, and the words on the control socket (docs/volume-process.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "core/volume/types.h"
#include "replication/json.h"
#include "replication/keep_awake.h"

namespace cb::replication {

// 32 bytes that leave no trace behind.
class Key {
 public:
  Key() = default;
  explicit Key(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();
  const std::array<std::uint8_t, 32>& bytes() const noexcept { return bytes_; }
  bool operator==(const Key& other) const noexcept;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

struct NetworkPath {
  std::string interface;  // empty: the one that has the address
  std::string address;
  std::string peer;
  std::uint16_t port = 0;
  bool operator==(const NetworkPath&) const = default;
};

struct Settings {
  core::volume::Node node = 0;
  core::volume::Mode mode = core::volume::Mode::Sync;
  std::string directory;
  std::uint64_t volume_bytes = 0;
  std::uint64_t log_bytes = 0;
  std::string front_end;  // "auto", "fuse", "ublk", "none"
  bool write_cache = false;
  CpuLatency cpu_latency;
  Key key;
  std::string cable;  // the interface; empty: none
  std::optional<NetworkPath> network;

  // Whether only what may change while it runs differs: the mode.
  bool same_but_mode(const Settings& other) const;
};

// Every member is looked at; what is wrong is named.
Result<Settings> parse_settings(const Json& config);

std::optional<core::volume::Mode> parse_mode(std::string_view name);
const char* name_of(core::volume::Mode mode) noexcept;
const char* name_of(core::volume::Standing standing) noexcept;
const char* name_of(core::volume::Stall stall) noexcept;
// For a person: what does not go on, and what ends it.
const char* text_of(core::volume::Stall stall) noexcept;

Json to_json(const core::volume::Register& value);
std::optional<core::volume::Register> parse_register(const Json& value);

}  // namespace cb::replication
