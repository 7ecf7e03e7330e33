// SPDX-License-Identifier: Apache-2.0
//
// Where the words go. Tests put string streams here.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include "base/instant.h"

namespace cb::cli {

enum class Tone : std::uint8_t { Plain, Good, Caution, Alarm, Faint };

struct Terminal {
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  bool colour = false;  // out is a terminal that wants colour
  bool out_is_terminal = false;
  bool in_is_terminal = false;  // somebody can be asked

  std::string painted(Tone tone, std::string_view text) const;
};

// Ages and lengths for people.
std::string age_text(double ms);  // "12 ms", "4.2 s", "3 min 5 s", "2 h 5 min", "3 d 4 h"
std::string us_text(double us);   // "850 ns", "21.4 us", "1.29 ms", "1.2 s"
std::string clock_text();         // "17:02:03.123", local time
std::string wall_text(std::int64_t seconds_ago);  // RFC 3339 in UTC, that long ago

}  // namespace cb::cli
