// SPDX-License-Identifier: Apache-2.0
#include "replication/settings.h"

#include <strings.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace cb::replication {

using namespace core::volume;

namespace {

std::string hex_of(const Generation& generation) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(generation.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(generation.low >> (56 - 8 * i));
  }
  return to_hex(bytes);
}

std::optional<Generation> generation_of(std::string_view text) {
  const auto bytes = parse_hex(text);
  if (!bytes || bytes->size() != 16) {
    return std::nullopt;
  }
  Generation generation;
  for (std::size_t i = 0; i < 8; ++i) {
    generation.high = generation.high << 8 | (*bytes)[i];
    generation.low = generation.low << 8 | (*bytes)[8 + i];
  }
  return generation;
}

Error wrong(const std::string& what) { return fail(EINVAL, "config: " + what); }

Result<> parse_paths(const Json& config, Settings& settings) {
  const auto cable = config.find("cable");
  if (cable != config.end() && !cable->is_null()) {
    const auto interface = cable->is_object() ? text_of(*cable, "interface") : std::nullopt;
    if (!interface || interface->empty()) {
      return wrong("cable: {\"interface\": NAME} or null");
    }
    settings.cable = *interface;
  }
  const auto network = config.find("network");
  if (network != config.end() && !network->is_null()) {
    const bool object = network->is_object();
    const auto address = object ? text_of(*network, "address") : std::nullopt;
    const auto peer = object ? text_of(*network, "peer") : std::nullopt;
    const auto port = object ? number_of(*network, "port") : std::nullopt;
    if (!address || !peer || !port || *port == 0 || *port > UINT16_MAX) {
      return wrong("network: {\"address\", \"peer\", \"port\"} or null");
    }
    settings.network = NetworkPath{text_of(*network, "interface").value_or(""), *address, *peer,
                                   static_cast<std::uint16_t>(*port)};
  }
  return {};
}

Result<> parse_cpu_latency(const Json& config, CpuLatency& latency) {
  const auto value = config.find("cpu_latency");
  if (value == config.end() || *value == "auto") {
    return {};
  }
  const auto us = number_of(config, "cpu_latency");
  if (!value->is_null() && (!us || *us > 1'000'000)) {
    return wrong("cpu_latency: \"auto\", null or microseconds, up to a second");
  }
  latency.automatic = false;
  if (us) {
    latency.limit_us = static_cast<std::int32_t>(*us);
  }
  return {};
}

}  // namespace

Key::~Key() { explicit_bzero(bytes_.data(), bytes_.size()); }

bool Key::operator==(const Key& other) const noexcept {
  std::uint8_t differs = 0;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    differs = static_cast<std::uint8_t>(differs | (bytes_[i] ^ other.bytes_[i]));
  }
  return differs == 0;
}

bool Settings::same_but_mode(const Settings& other) const {
  return node == other.node && directory == other.directory && volume_bytes == other.volume_bytes &&
         log_bytes == other.log_bytes && front_end == other.front_end &&
         write_cache == other.write_cache && cpu_latency == other.cpu_latency && key == other.key &&
         cable == other.cable && network == other.network;
}

Result<Settings> parse_settings(const Json& config) {
  if (!config.is_object()) {
    return wrong("an object is wanted");
  }
  Settings settings;
  const auto node = number_of(config, "node");
  if (!node || *node > 1) {
    return wrong("node: 0 or 1");
  }
  settings.node = static_cast<Node>(*node);
  const auto mode = parse_mode(text_of(config, "mode").value_or(""));
  if (!mode) {
    return wrong("mode: strict, sync, fastsync or async");
  }
  settings.mode = *mode;
  settings.directory = text_of(config, "directory").value_or("");
  if (settings.directory.empty() || settings.directory.front() != '/') {
    return wrong("directory: an absolute path");
  }
  settings.volume_bytes = number_of(config, "volume_bytes").value_or(0);
  settings.log_bytes = number_of(config, "log_bytes").value_or(0);
  if (settings.volume_bytes == 0 || settings.volume_bytes % kBlock != 0 ||
      settings.log_bytes == 0 || settings.log_bytes % kBlock != 0) {
    return wrong("volume_bytes, log_bytes: multiples of 4096");
  }
  settings.front_end = text_of(config, "front_end").value_or("fuse");
  settings.write_cache = flag_of(config, "write_cache");
  CB_TRY_DO(parse_cpu_latency(config, settings.cpu_latency));
  std::string hex = text_of(config, "key").value_or("");
  auto bytes = parse_hex(hex);
  explicit_bzero(hex.data(), hex.size());
  if (!bytes || bytes->size() != 32) {
    return wrong("key: 64 hexadecimal digits");
  }
  std::array<std::uint8_t, 32> raw{};
  std::memcpy(raw.data(), bytes->data(), raw.size());
  explicit_bzero(bytes->data(), bytes->size());
  settings.key = Key(raw);
  explicit_bzero(raw.data(), raw.size());
  CB_TRY_DO(parse_paths(config, settings));
  return settings;
}

std::optional<Mode> parse_mode(std::string_view name) {
  for (const Mode mode : {Mode::Strict, Mode::Sync, Mode::FastSync, Mode::Async}) {
    if (name == name_of(mode)) {
      return mode;
    }
  }
  return std::nullopt;
}

const char* name_of(Mode mode) noexcept {
  switch (mode) {
    case Mode::Strict: return "strict";
    case Mode::Sync: return "sync";
    case Mode::FastSync: return "fastsync";
    case Mode::Async: return "async";
  }
  return "";
}

const char* name_of(Standing standing) noexcept {
  switch (standing) {
    case Standing::Fresh: return "fresh";
    case Standing::Together: return "together";
    case Standing::Alone: return "alone";
    case Standing::CatchingUp: return "catching-up";
    case Standing::Outdated: return "outdated";
  }
  return "";
}

const char* name_of(Stall stall) noexcept {
  switch (stall) {
    case Stall::None: return "none";
    case Stall::NoPeer: return "no-peer";
    case Stall::RegisterSilent: return "register-silent";
    case Stall::RingFull: return "ring-full";
    case Stall::Unrelated: return "unrelated";
    case Stall::Split: return "split";
    case Stall::Deposed: return "deposed";
    case Stall::Damaged: return "damaged";
    case Stall::DiskFailed: return "disk-failed";
    case Stall::TooSmall: return "too-small";
  }
  return "";
}

const char* text_of(Stall stall) noexcept {
  switch (stall) {
    case Stall::None: return "";
    case Stall::NoPeer:
      return "a flush waits for the peer: it goes on when the peer is back, or when this node is "
             "given the right to be alone";
    case Stall::RegisterSilent:
      return "whoever keeps the register does not answer: it is asked again until it does";
    case Stall::RingFull: return "the log is full: writes wait until the peer or the disk keeps up";
    case Stall::Unrelated:
      return "the peer's volume is not a copy of this one: compare instance, node and size, or "
             "give "
             "one copy up (crossbeat resync --full)";
    case Stall::Split:
      return "both copies hold acknowledged writes that the other lacks: choose which one is given "
             "up (crossbeat resync --full on that node)";
    case Stall::Deposed: return "the peer was given the right to write";
    case Stall::Damaged: return "the log lost what was durable in it: the peer must mend it";
    case Stall::DiskFailed:
      return "a disk failed: nothing is acknowledged until the process was started anew";
    case Stall::TooSmall:
      return "the peer's volume is longer, and there is no room here to get as long: make room, it "
             "is tried again every few seconds";
  }
  return "";
}

Json to_json(const Register& value) {
  Json json;
  json["epoch"] = value.epoch;
  json["generation"] = hex_of(value.generation);
  json["kind"] = value.kind == Kind::Together ? "together" : "alone";
  json["holder"] = value.holder;
  return json;
}

std::optional<Register> parse_register(const Json& value) {
  if (!value.is_object()) {
    return std::nullopt;
  }
  const auto epoch = number_of(value, "epoch");
  const auto generation = generation_of(text_of(value, "generation").value_or(""));
  const auto kind = text_of(value, "kind");
  const auto holder = number_of(value, "holder");
  if (!epoch || !generation || !kind || !holder || *holder > 1 ||
      (*kind != "together" && *kind != "alone")) {
    return std::nullopt;
  }
  return Register{*epoch, *generation, *kind == "together" ? Kind::Together : Kind::Alone,
                  static_cast<Node>(*holder)};
}

}  // namespace cb::replication
