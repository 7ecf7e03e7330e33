// SPDX-License-Identifier: Apache-2.0
#include "config/quote.h"

namespace cb::config {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text.substr(0, 1024)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else {
      result += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
  }
  return result + '"';
}

}  // namespace cb::config
