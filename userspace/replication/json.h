// SPDX-License-Identifier: Apache-2.0
//
// nlohmann-json without exceptions, as this room uses it.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cb::replication {

using Json = nlohmann::ordered_json;

// is_discarded() when it is none.
inline Json parse_json(std::string_view text) {
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

inline std::string to_packet(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline std::optional<std::string> text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return std::nullopt;
  }
  return found->get<std::string>();
}

inline bool flag_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

inline std::optional<std::uint64_t> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) {
    return std::nullopt;
  }
  return found->get<std::uint64_t>();
}

}  // namespace cb::replication
