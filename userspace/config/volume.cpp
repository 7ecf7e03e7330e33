// SPDX-License-Identifier: Apache-2.0
#include "config/volume.h"

#include <algorithm>
#include <array>

#include "config/defaults.h"
#include "config/quote.h"
#include "config/size.h"

namespace cb::config {
namespace {

const std::array<std::string, 4> kModes = {"strict", "sync", "fastsync", "async"};
const std::array<std::string, 2> kFileSystems = {"ext4", "xfs"};

std::optional<std::uint64_t> read_size(Reader& table, std::string_view key, std::uint64_t low,
                                       std::uint64_t high) {
  const auto text = table.text(key);
  if (!text) {
    return std::nullopt;
  }
  const auto bytes = parse_size(*text);
  if (!bytes) {
    table.wrong(key, "'" + *text + "' is not a size; write it as \"10GiB\"");
    return std::nullopt;
  }
  if (*bytes < low || *bytes > high || *bytes % kVolumeStep != 0) {
    table.wrong(key,
                "must be from " + size_text(low) + " to " + size_text(high) + ", in whole MiB");
    return std::nullopt;
  }
  return bytes;
}

// What may stand in the argument of mount(8), in a terminal and in a file without harm.
bool is_plain(std::string_view text, std::string_view besides) {
  return text.size() <= 200 && std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  besides.find(c) != std::string_view::npos;
         });
}

bool is_mount_point(std::string_view path) {
  return path.size() >= 2 && path.front() == '/' && path.back() != '/' && is_plain(path, "/-_.") &&
         path.find("//") == std::string_view::npos && path.find("/.") == std::string_view::npos;
}

constexpr const char* kMountPointFault =
    "must be a folder's full path of letters, digits, '-', '_' and '.', such as \"/data\"";
constexpr const char* kOptionsFault = "must be options of mount(8), such as \"noatime\"";

}  // namespace

Volume default_volume() {
  Volume volume;
  volume.log_bytes = kVolumeLogBytes;
  volume.file_system = kFileSystem;
  volume.mount_options = kMountOptions;
  volume.port = kVolumePort;
  return volume;
}

std::string_view name_of(Volume::Mode mode) noexcept {
  return kModes.at(static_cast<std::size_t>(mode));
}

std::optional<Volume> read_volume(Reader& table) {
  Volume volume = default_volume();
  const auto bytes = read_size(table, "size", kVolumeBytesMin, kVolumeBytesMax);
  volume.bytes = bytes.value_or(0);
  volume.log_bytes =
      read_size(table, "log", kVolumeLogBytesMin, kVolumeLogBytesMax).value_or(volume.log_bytes);
  if (const auto mode = table.choice("mode", kModes)) {
    volume.mode = static_cast<Volume::Mode>(*mode);
  }
  if (auto mount_point = table.text("mount")) {
    if (!is_mount_point(*mount_point)) {
      table.wrong("mount", kMountPointFault);
    }
    volume.mount_point = *std::move(mount_point);
  }
  if (const auto kind = table.choice("file_system", kFileSystems)) {
    volume.file_system = kFileSystems.at(*kind);
  }
  if (auto options = table.text("mount_options")) {
    if (!is_plain(*options, "=,_-:")) {
      table.wrong("mount_options", kOptionsFault);
    }
    volume.mount_options = *std::move(options);
  }
  if (const auto port = table.number("port", 1, 65535)) {
    volume.port = static_cast<uint16_t>(*port);
  }
  return bytes ? std::optional(volume) : std::nullopt;
}

std::string volume_text(const Volume& volume) {
  std::string text = "size = " + quoted(size_text(volume.bytes)) + "\n" +
                     "log = " + quoted(size_text(volume.log_bytes)) + "\n" +
                     "mode = " + quoted(name_of(volume.mode)) + "\n";
  if (!volume.mount_point.empty()) {
    text += "mount = " + quoted(volume.mount_point) + "\n";
  }
  return text + "file_system = " + quoted(volume.file_system) + "\n" +
         "mount_options = " + quoted(volume.mount_options) + "\n" +
         "port = " + std::to_string(volume.port) + "\n";
}

std::string volume_fault(const Volume& volume) {
  const auto fits = [](std::uint64_t bytes, std::uint64_t low, std::uint64_t high) {
    return bytes >= low && bytes <= high && bytes % kVolumeStep == 0;
  };
  if (!fits(volume.bytes, kVolumeBytesMin, kVolumeBytesMax)) return "size";
  if (!fits(volume.log_bytes, kVolumeLogBytesMin, kVolumeLogBytesMax)) return "log";
  if (volume.mode > Volume::Mode::Async) return "mode";
  if (!volume.mount_point.empty() && !is_mount_point(volume.mount_point)) return "mount";
  if (std::find(kFileSystems.begin(), kFileSystems.end(), volume.file_system) ==
      kFileSystems.end()) {
    return "file_system";
  }
  if (!is_plain(volume.mount_options, "=,_-:")) return "mount_options";
  return volume.port == 0 ? "port" : "";
}

}  // namespace cb::config
