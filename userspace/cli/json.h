// SPDX-License-Identifier: Apache-2.0
//
// Reading what another program wrote. A monitor of another version, a file that was damaged or
// edited: a missing or odd field is an absent value, never an exception. Texts are made harmless
// for a terminal on their way in.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cb::cli {

using Json = nlohmann::ordered_json;  // members stay in the order in which they were written

// A JSON object, or nothing.
std::optional<Json> parse_object(std::string_view text);

// The member, or a null value when there is none or `json` is no object.
const Json& at(const Json& json, std::string_view key);

std::string text_at(const Json& json, std::string_view key, std::string_view otherwise = "");
std::optional<double> number_at(const Json& json, std::string_view key);
std::optional<std::int64_t> whole_at(const Json& json, std::string_view key);  // rounded
bool flag_at(const Json& json, std::string_view key, bool otherwise = false);
std::vector<std::string> texts_at(const Json& json, std::string_view key);

// Control characters as '?', so that no name can move the cursor or fake a line.
std::string harmless(std::string_view text);

// On one line, whatever bytes its texts hold; or indented, for people.
std::string to_line(const Json& json);
std::string to_pretty(const Json& json);

}  // namespace cb::cli
