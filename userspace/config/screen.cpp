// SPDX-License-Identifier: Apache-2.0
#include "config/screen.h"

#include <cstdint>

#include "base/text.h"

namespace cb::config {
namespace {

constexpr char kMark = '~';
constexpr unsigned kMarkByte = 0x7e;
constexpr std::string_view kDigits = "0123456789abcdef";

unsigned byte_of(char c) { return static_cast<unsigned char>(c); }

bool is_control(char c) { return (byte_of(c) < 0x20 && c != '\t') || byte_of(c) == 0x7f; }

// The length of the character that begins here, or 0 when it is not UTF-8 (RFC 3629: no overlong
// form, no surrogate, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const unsigned first = byte_of(text.front());
  if (first < 0x80) {
    return 1;
  }
  const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 0 || first > 0xf4 || text.size() < length) {
    return 0;
  }
  std::uint32_t code = first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_of(text[i]) & 0xc0) != 0x80) {
      return 0;
    }
    code = code << 6 | (byte_of(text[i]) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? 0 : length;
}

const char* objection_to(std::string_view line) {
  if (line.size() > kLineMax) {
    return "the line is longer than 4096 characters";
  }
  while (!line.empty()) {
    if (is_control(line.front())) {
      return "a control character; write \\u.... in a text where you need one";
    }
    const std::size_t length = utf8_length(line);
    if (length == 0) {
      return "the line is not UTF-8";
    }
    line.remove_prefix(length);
  }
  return nullptr;
}

}  // namespace

std::optional<Objection> screen(std::string_view toml) {
  int number = 0;
  for (std::string_view line : split(toml, '\n')) {
    ++number;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (const char* what = objection_to(line); what != nullptr) {
      return Objection{number, what};
    }
  }
  return std::nullopt;
}

std::string to_ascii(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (byte_of(c) < 0x80 && c != kMark) {
      result += c;
    } else {
      result += kMark;
      result += kDigits[byte_of(c) >> 4];
      result += kDigits[byte_of(c) & 0xf];
    }
  }
  return result;
}

std::string from_ascii(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t high = text[i] == kMark && i + 2 < text.size() ? kDigits.find(text[i + 1])
                                                                     : std::string_view::npos;
    const std::size_t low = high == std::string_view::npos ? high : kDigits.find(text[i + 2]);
    const std::size_t byte = high * 16 + low;
    if (low == std::string_view::npos || (byte < 0x80 && byte != kMarkByte)) {
      result += text[i];
    } else {
      result += static_cast<char>(byte);
      i += 2;
    }
  }
  return result;
}

}  // namespace cb::config
