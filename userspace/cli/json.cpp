// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <cmath>

namespace cb::cli {
namespace {

const Json kNull;

// Deeper than any answer of ours; the library reads by recursion.
constexpr int kDepthMax = 64;

bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthMax) {
        return true;
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

std::optional<Json> parse_object(std::string_view text) {
  if (is_too_deep(text)) {
    return std::nullopt;
  }
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  return json;
}

const Json& at(const Json& json, std::string_view key) {
  if (!json.is_object()) {
    return kNull;
  }
  const auto found = json.find(std::string(key));
  return found == json.end() ? kNull : *found;
}

std::string text_at(const Json& json, std::string_view key, std::string_view otherwise) {
  const Json& value = at(json, key);
  return value.is_string() ? harmless(value.get_ref<const std::string&>()) : std::string(otherwise);
}

std::optional<double> number_at(const Json& json, std::string_view key) {
  const Json& value = at(json, key);
  if (!value.is_number()) {
    return std::nullopt;
  }
  const double number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> whole_at(const Json& json, std::string_view key) {
  const auto number = number_at(json, key);
  if (!number || *number < -9e15 || *number > 9e15) {
    return std::nullopt;
  }
  return std::llround(*number);
}

bool flag_at(const Json& json, std::string_view key, bool otherwise) {
  const Json& value = at(json, key);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::vector<std::string> texts_at(const Json& json, std::string_view key) {
  std::vector<std::string> result;
  const Json& value = at(json, key);
  if (value.is_array()) {
    for (const Json& item : value) {
      if (item.is_string()) {
        result.push_back(harmless(item.get_ref<const std::string&>()));
      }
    }
  }
  return result;
}

std::string harmless(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      c = '?';
    }
  }
  // U+0080..U+009F are control characters too: C2 80..C2 9F in UTF-8.
  for (std::size_t i = 0; i + 1 < result.size(); ++i) {
    if (result[i] == '\xc2' && static_cast<unsigned char>(result[i + 1]) < 0xa0) {
      result.replace(i, 2, "?");
    }
  }
  return result;
}

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cb::cli
