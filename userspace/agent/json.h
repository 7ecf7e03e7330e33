// SPDX-License-Identifier: Apache-2.0
//
// nlohmann-json without exceptions, the way the monitor uses it: parse() that cannot throw, dump()
// that replaces invalid UTF-8.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace cb::agent {

using Json = nlohmann::ordered_json;

inline Json parse_json(std::string_view text) {
  return Json::parse(text.begin(), text.end(), nullptr, false);  // is_discarded() when it is none
}

inline std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// A member of the right type, or what to take in its place.
inline std::string text_in(const Json& object, const char* key, std::string otherwise = {}) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}
inline bool flag_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}
inline int64_t number_in(const Json& object, const char* key, int64_t otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

}  // namespace cb::agent
