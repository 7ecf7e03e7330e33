// SPDX-License-Identifier: Apache-2.0
//
// Bytes before the TOML library sees them. toml++ 3.3 (Debian 12) runs into undefined behaviour
// when it meets certain letters beyond ASCII where none may stand, and takes a tree down by
// recursion as deep as a line is long. So lines have a limit, and the library sees ASCII alone:
// every other byte goes through it as "~" and two digits, legal in texts and comments and an error
// everywhere else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cb::config {

inline constexpr std::size_t kLineMax = 4096;

struct Objection {
  int line = 0;
  std::string what;
};

// The first line that is too long, holds a control character or is not UTF-8; or nothing.
std::optional<Objection> screen(std::string_view toml);

// from_ascii(to_ascii(text)) == text. What from_ascii does not know is left as it is.
std::string to_ascii(std::string_view text);
std::string from_ascii(std::string_view text);

}  // namespace cb::config
