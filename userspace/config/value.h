// SPDX-License-Identifier: Apache-2.0
//
// A TOML document as a plain tree with line numbers. The library that reads TOML is known to
// value.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace cb::config {

struct Member;

struct Value {
  enum class Kind : std::uint8_t { Text, Number, Real, Flag, Time, List, Table };

  Kind kind = Kind::Table;
  int line = 0;  // where the value begins, 1 is the first; 0 for the document itself
  std::string text;
  std::int64_t number = 0;
  double real = 0;
  bool flag = false;
  std::vector<Value> items;     // List
  std::vector<Member> members;  // Table

  const Value* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Value value;
};

const char* name_of(Value::Kind kind) noexcept;  // "a text", "a number", ...

// A longer file is refused: no honest configuration comes near it.
inline constexpr std::size_t kDocumentBytesMax = 1u << 20;

// A syntax error is one problem, and ends the reading: what follows it cannot be trusted.
Parsed<Value> parse_document(std::string_view toml, std::string_view file_name);

}  // namespace cb::config
