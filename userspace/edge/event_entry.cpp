// SPDX-License-Identifier: Apache-2.0
#include "edge/event_entry.h"

#include <nlohmann/json.hpp>
#include <time.h>

#include <array>
#include <cstdio>
#include <tuple>

#include "base/text.h"

namespace cb::edge {
namespace {

using Json = nlohmann::ordered_json;

std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The number of exactly `digits` digits at the front, taken off; nothing when it is not there or
// not between the bounds.
std::optional<std::int64_t> take_number(std::string_view& text, std::size_t digits,
                                        std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') {
      return std::nullopt;
    }
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return number >= least && number <= most ? std::optional(number) : std::nullopt;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string to_json_line(const EventEntry& entry) {
  const Json json{{"wall", entry.wall},
                  {"at_ns", entry.at_ns},
                  {"pairing", entry.pairing},
                  {"description", entry.description},
                  {"generated_by", entry.generated_by},
                  {"remarks", entry.remarks},
                  {"state", entry.state},
                  {"id", entry.origin + "-" + std::to_string(entry.number)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<EventEntry> parse_json_line(std::string_view line) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  EventEntry entry;
  entry.wall = text_in(json, "wall");
  const auto at = json.find("at_ns");
  entry.at_ns = at != json.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
  entry.pairing = text_in(json, "pairing");
  entry.description = text_in(json, "description");
  entry.generated_by = text_in(json, "generated_by");
  entry.remarks = text_in(json, "remarks");
  entry.state = text_in(json, "state");
  const std::string id = text_in(json, "id");
  if (const auto dash = id.rfind('-'); dash != std::string::npos) {
    entry.origin = id.substr(0, dash);
    entry.number = parse_number(std::string_view(id).substr(dash + 1)).value_or(0);
  }
  if (entry.wall.empty() || entry.description.empty()) {
    return std::nullopt;
  }
  return entry;
}

std::string wall_text(std::int64_t ns_since_1970) {
  const std::int64_t whole = ns_since_1970 / 1'000'000'000;
  tm utc{};
  gmtime_r(&whole, &utc);
  std::array<char, 64> text{};
  const std::size_t n = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text.data() + n, text.size() - n, ".%06lldZ",
           static_cast<long long>(ns_since_1970 % 1'000'000'000 / 1'000));
  return text.data();
}

std::optional<std::int64_t> parse_wall_us(std::string_view text) {
  if (text.ends_with('Z')) {
    text.remove_suffix(1);
  }
  const auto year = take_number(text, 4, 1970, 2261);  // 64 bits of nanoseconds
  const bool first = take(text, '-');
  const auto month = take_number(text, 2, 1, 12);
  const bool second = take(text, '-');
  const auto day = take_number(text, 2, 1, 31);
  if (!year || !first || !month || !second || !day) {
    return std::nullopt;
  }
  std::array<std::int64_t, 3> clock{};  // hour, minute, second
  std::int64_t micros = 0;
  for (std::size_t i = 0; i < clock.size() && !text.empty(); ++i) {
    const bool separated = i == 0 ? take(text, 'T') || take(text, ' ') : take(text, ':');
    const auto number = separated ? take_number(text, 2, 0, i == 0 ? 23 : 59) : std::nullopt;
    if (!number) {
      return std::nullopt;
    }
    clock[i] = *number;
    if (i == 2 && take(text, '.')) {
      if (text.empty() || text.size() > 9) {
        return std::nullopt;
      }
      std::string nine(text);
      nine.resize(9, '0');
      std::string_view left = nine;
      const auto nanos = take_number(left, 9, 0, 999'999'999);
      if (!nanos) {
        return std::nullopt;
      }
      micros = *nanos / 1000;
      text = {};
    }
  }
  if (!text.empty()) {
    return std::nullopt;
  }
  tm utc{};
  utc.tm_year = static_cast<int>(*year) - 1900;
  utc.tm_mon = static_cast<int>(*month) - 1;
  utc.tm_mday = static_cast<int>(*day);
  utc.tm_hour = static_cast<int>(clock[0]);
  utc.tm_min = static_cast<int>(clock[1]);
  utc.tm_sec = static_cast<int>(clock[2]);
  return static_cast<std::int64_t>(timegm(&utc)) * 1'000'000 + micros;
}

std::string clean_text(std::string_view text, std::size_t limit) {
  std::string clean;
  for (std::size_t i = 0; i < text.size() && clean.size() < limit; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto after = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == 0xc2 && after >= 0x80 && after < 0xa0) {  // U+0080 to U+009F, in UTF-8
      clean += ' ';
      ++i;
    } else {
      clean += byte < 0x20 || byte == 0x7f ? ' ' : text[i];
    }
  }
  // A character that the limit has cut in the middle goes whole.
  if (clean.size() == limit) {
    std::size_t whole = clean.size();
    while (whole > 0 && (static_cast<unsigned char>(clean[whole - 1]) & 0xc0U) == 0x80) {
      --whole;
    }
    if (whole > 0 && static_cast<unsigned char>(clean[whole - 1]) >= 0xc0) {
      const auto lead = static_cast<unsigned char>(clean[whole - 1]);
      const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
      if (whole - 1 + length > clean.size()) {
        clean.resize(whole - 1);
      }
    }
  }
  return clean;
}

void clean(EventEntry& entry) {
  entry.description = clean_text(entry.description, kDescriptionMax);
  entry.remarks = clean_text(entry.remarks, kRemarksMax);
  entry.pairing = clean_text(entry.pairing, kEventFieldMax);
  entry.generated_by = clean_text(entry.generated_by, kEventFieldMax);
  entry.state = clean_text(entry.state, kEventFieldMax);
}

bool is_before(const EventEntry& one, const EventEntry& other) {
  // All walls have one form, so that their order as text is their order in time.
  return std::tie(one.wall, one.origin, one.number) <
         std::tie(other.wall, other.origin, other.number);
}

bool is_asked(const EventEntry& entry, const EventQuery& query) {
  const std::int64_t at = parse_wall_us(entry.wall).value_or(0);
  const auto since = parse_wall_us(query.since_wall);
  const auto until = parse_wall_us(query.until_wall);
  return (query.pairing.empty() || entry.pairing == query.pairing) && (!since || at > *since) &&
         (!until || at <= *until);
}

}  // namespace cb::edge
