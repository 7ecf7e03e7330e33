// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/toml_edit.h"

#include <optional>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace cb::cli::setup {
namespace {

// Where a key's lines are: [begin, end); table_end: after the last line of its table.
struct Place {
  std::optional<std::size_t> header;
  std::size_t table_end = 0;
  std::optional<std::size_t> begin;
  std::size_t end = 0;
};

bool is_header(std::string_view line) { return trim(line).starts_with('['); }

// Brackets that are open at the end of the line, outside of quotes and comments.
int open_brackets(std::string_view line) {
  int open = 0;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      i += quote == '"' && c == '\\' ? 1 : 0;
      quote = c == quote ? '\0' : quote;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      break;
    } else {
      open += c == '[' ? 1 : c == ']' ? -1 : 0;
    }
  }
  return open;
}

std::string_view key_of(std::string_view line) {
  const auto equals = line.find('=');
  return equals == std::string_view::npos ? std::string_view() : trim(line.substr(0, equals));
}

Place find(const std::vector<std::string>& lines, const std::string& table,
           const std::string& key) {
  Place place;
  bool inside = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t last = i;
    for (int open = is_header(lines[i]) ? 0 : open_brackets(lines[i]);
         open > 0 && last + 1 < lines.size();) {
      open += open_brackets(lines[++last]);  // a list over several lines
    }
    if (is_header(lines[i])) {
      const std::string_view header = trim(lines[i]);
      inside = trim(header.substr(0, header.find('#'))) == "[" + table + "]";
      if (inside) {
        place.header = i;
        place.table_end = i + 1;
      }
    } else if (inside && !trim(lines[i]).empty()) {
      place.table_end = last + 1;
      if (key_of(lines[i]) == key) {
        place.begin = i;
        place.end = last + 1;
      }
    }
    i = last;
  }
  return place;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) {
    lines.emplace_back(line);
  }
  if (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  return lines;
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

void erase(std::vector<std::string>& lines, const Place& place) {
  const auto first = lines.begin();
  lines.erase(first + static_cast<std::ptrdiff_t>(*place.begin),
              first + static_cast<std::ptrdiff_t>(place.end));
}

}  // namespace

std::string with_key(const std::string& toml, const std::string& table, const std::string& key,
                     const std::string& value) {
  std::vector<std::string> lines = lines_of(toml);
  const Place place = find(lines, table, key);
  const std::string line = key + " = " + value;
  std::size_t at = place.table_end;
  if (place.begin) {
    at = *place.begin;
    erase(lines, place);
  } else if (!place.header) {
    if (!lines.empty()) {
      lines.emplace_back();
    }
    lines.push_back("[" + table + "]");
    at = lines.size();
  }
  lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), line);
  return text_of(lines);
}

std::string without_key(const std::string& toml, const std::string& table, const std::string& key) {
  std::vector<std::string> lines = lines_of(toml);
  if (const Place place = find(lines, table, key); place.begin) {
    erase(lines, place);
  }
  return text_of(lines);
}

}  // namespace cb::cli::setup
