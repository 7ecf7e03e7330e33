// SPDX-License-Identifier: Apache-2.0
//
// One event: what happened, when, where and to which pairing; and its two forms as text. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cb::edge {

struct EventEntry {
  std::string wall;  // RFC 3339, UTC, microseconds; set by EventLog::add() from at_ns when empty
  std::int64_t at_ns = 0;  // CLOCK_BOOTTIME of the node where it happened; set by add() when 0
  std::string pairing;     // primary HM address; empty: the node itself
  std::string description;
  std::string generated_by;  // "Primary" or "Secondary"
  std::string remarks;
  std::string state;  // one of the nine names
  // Its name in every copy: the log in which it was written first, and its number there. A log that
  // came from a peer carries the pairing in front, so no node can speak in another's name.
  std::string origin;
  std::uint64_t number = 0;
  bool operator==(const EventEntry&) const = default;
};

struct EventQuery {
  std::size_t limit = 100;   // the newest so many
  std::string pairing;       // empty: all
  std::string since_wall;    // exclusive; empty: from the oldest kept
  std::string until_wall{};  // inclusive; empty: to the newest
};

inline constexpr std::size_t kDescriptionMax = 200;
inline constexpr std::size_t kRemarksMax = 1000;
inline constexpr std::size_t kEventFieldMax = 64;  // of every other text

// One line, without its end. Any bytes in the texts make valid JSON.
std::string to_json_line(const EventEntry& entry);
std::optional<EventEntry> parse_json_line(std::string_view line);

std::string wall_text(std::int64_t ns_since_1970);  // "2026-01-31T17:02:03.123456Z"
// Microseconds since 1970. What is left out is zero: "2026-01-31", "2026-01-31T17:02",
// "2026-01-31T17:02:03.5Z". UTC always.
std::optional<std::int64_t> parse_wall_us(std::string_view text);

// At most `limit` bytes, cut between two characters, and nothing in it that moves a terminal's
// cursor: every event ends on somebody's screen, whoever wrote it.
std::string clean_text(std::string_view text, std::size_t limit);
// All texts of it.
void clean(EventEntry& entry);

// As one reads them: by time, then as the log has them.
bool is_before(const EventEntry& one, const EventEntry& other);
// Whether the question asks for it (but for the limit).
bool is_asked(const EventEntry& entry, const EventQuery& query);

}  // namespace cb::edge
