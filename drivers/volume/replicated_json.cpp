// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/replicated_json.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace cb::volume {
namespace {

constexpr std::array<std::string_view, 5> kStandings = {"fresh", "together", "alone", "catching-up",
                                                        "outdated"};

std::uint64_t word_at(const std::vector<std::uint8_t>& bytes, std::size_t from) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    word = word << 8 | bytes[from + i];
  }
  return word;
}

std::string hex_of(const core::volume::Generation& generation) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes.at(i) = static_cast<std::uint8_t>(generation.high >> (56 - 8 * i));
    bytes.at(8 + i) = static_cast<std::uint8_t>(generation.low >> (56 - 8 * i));
  }
  return to_hex(bytes);
}

}  // namespace

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool flag_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

const Json& part_of(const Json& object, const char* key) {
  static const Json kEmpty = Json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : kEmpty;
}

std::optional<core::volume::Standing> standing_of(std::string_view text) {
  const auto found = std::find(kStandings.begin(), kStandings.end(), text);
  if (found == kStandings.end()) {
    return std::nullopt;
  }
  return static_cast<core::volume::Standing>(found - kStandings.begin());
}

bool read_status(const Json& status, Status& out, VolumeReport& report) {
  if (!status.is_object()) {
    return false;
  }
  const std::string standing = text_of(status, "standing");
  const auto known = standing_of(standing);
  if (!known) {
    return false;
  }
  out.running = true;
  out.standing = standing;
  out.serving = flag_of(status, "serving");
  out.alone = flag_of(status, "alone");
  out.eligible = flag_of(status, "eligible");
  out.position = number_of(status, "position");
  out.committed = number_of(status, "committed");
  out.peer_synced = number_of(status, "peer_synced");
  out.epoch = number_of(status, "epoch");
  out.unsynced_bytes = number_of(status, "unsynced_bytes");
  out.bytes = number_of(status, "volume_bytes");
  out.stall = text_of(status, "stall");
  out.stall_text = text_of(status, "stall_text");
  const Json& memory = part_of(status, "memory");
  out.io_flusher = number_of(memory, "io_flusher_error") == 0;
  out.memory_locked = number_of(memory, "lock_error") == 0;
  out.device = text_of(status, "device");
  const Json& sync = part_of(status, "sync");
  out.sync = text_of(sync, "kind");
  out.bytes_done = number_of(sync, "bytes_done");
  out.bytes_left = number_of(sync, "bytes_left");
  out.rate = number_of(sync, "rate");
  const auto left = sync.find("seconds_left");
  out.seconds_left = left != sync.end() && left->is_number_unsigned()
                         ? std::optional(left->get<std::uint64_t>())
                         : std::nullopt;
  out.progress_permille =
      static_cast<std::uint16_t>(std::min<std::uint64_t>(number_of(sync, "permille"), 1000));
  out.detail = status.dump(-1, ' ', false, Json::error_handler_t::replace);
  const Json& peer = part_of(status, "peer");
  report.own = {*known, out.epoch};
  report.in_step = flag_of(status, "in_step");
  report.disk_error = static_cast<int>(number_of(part_of(status, "disk"), "error"));
  report.peer_heard = flag_of(peer, "heard");
  report.peer_serving = flag_of(peer, "serving");
  report.peer_epoch = number_of(peer, "epoch");
  return true;
}

Json register_json(const core::volume::Register& value) {
  return Json{{"epoch", value.epoch},
              {"generation", hex_of(value.generation)},
              {"kind", value.kind == core::volume::Kind::Together ? "together" : "alone"},
              {"holder", value.holder}};
}

std::optional<core::volume::Register> read_register(const Json& json) {
  if (!json.is_object()) {
    return std::nullopt;
  }
  const auto generation = parse_hex(text_of(json, "generation"));
  const std::string kind = text_of(json, "kind");
  const std::uint64_t holder = number_of(json, "holder");
  if (!generation || generation->size() != 16 || (kind != "together" && kind != "alone") ||
      holder > 1) {
    return std::nullopt;
  }
  core::volume::Register value;
  value.epoch = number_of(json, "epoch");
  value.generation = {word_at(*generation, 0), word_at(*generation, 8)};
  value.kind = kind == "together" ? core::volume::Kind::Together : core::volume::Kind::Alone;
  value.holder = static_cast<core::volume::Node>(holder);
  return value;
}

}  // namespace cb::volume
