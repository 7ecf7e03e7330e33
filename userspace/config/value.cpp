// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

// toml++ 3.3 aborts on a table header without a name ("[.a]") where, without the assertion, the
// next lines report it properly. tests/fuzz/config looks for what else the assertions may have
// guarded.
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include "config/screen.h"

namespace cb::config {
namespace {

int line_of(const toml::source_region& where) { return static_cast<int>(where.begin.line); }

// Our keys are three deep. What is deeper is cut off, and is an unknown key all the same.
constexpr int kDepthMax = 16;

Value convert(const toml::node& node, int depth);

Value convert_table(const toml::table& table, int depth) {
  Value value;
  value.kind = Value::Kind::Table;
  if (depth > kDepthMax) {
    return value;
  }
  for (const auto& [key, member] : table) {
    Value converted = convert(member, depth + 1);
    // A table made by its members alone ([a.b] makes a) has no place of its own.
    if (converted.line == 0) {
      converted.line = line_of(key.source());
    }
    value.members.push_back({from_ascii(key.str()), std::move(converted)});
  }
  return value;
}

Value convert(const toml::node& node, int depth) {
  Value value;
  if (const auto* table = node.as_table()) {
    value = convert_table(*table, depth);
  } else if (const auto* list = node.as_array()) {
    value.kind = Value::Kind::List;
    for (const toml::node& item : *list) {
      if (depth > kDepthMax) {
        break;
      }
      value.items.push_back(convert(item, depth + 1));
    }
  } else if (const auto* text = node.as_string()) {
    value.kind = Value::Kind::Text;
    value.text = from_ascii(text->get());
  } else if (const auto* number = node.as_integer()) {
    value.kind = Value::Kind::Number;
    value.number = number->get();
  } else if (const auto* real = node.as_floating_point()) {
    value.kind = Value::Kind::Real;
    value.real = real->get();
  } else if (const auto* flag = node.as_boolean()) {
    value.kind = Value::Kind::Flag;
    value.flag = flag->get();
  } else {
    value.kind = Value::Kind::Time;
  }
  value.line = line_of(node.source());
  return value;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

const char* name_of(Value::Kind kind) noexcept {
  switch (kind) {
    case Value::Kind::Text: return "a text";
    case Value::Kind::Number: return "a number";
    case Value::Kind::Real: return "a number with a fraction";
    case Value::Kind::Flag: return "true or false";
    case Value::Kind::Time: return "a date or time";
    case Value::Kind::List: return "a list";
    case Value::Kind::Table: return "a table";
  }
  return "something else";
}

Parsed<Value> parse_document(std::string_view toml, std::string_view file_name) {
  Parsed<Value> parsed;
  if (toml.size() > kDocumentBytesMax) {
    parsed.problems.push_back({std::string(file_name), 0, false,
                               "the file is longer than 1 MiB; this is not a configuration"});
    return parsed;
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (toml.starts_with(kByteOrderMark)) {
    toml.remove_prefix(kByteOrderMark.size());
  }
  if (auto objection = screen(toml)) {
    parsed.problems.push_back({std::string(file_name), objection->line, false,
                               "this is not TOML: " + objection->what + "; nothing was read"});
    return parsed;
  }
  const toml::parse_result result = toml::parse(to_ascii(toml), file_name);
  if (!result) {
    const toml::parse_error& error = result.error();
    parsed.problems.push_back(
        {std::string(file_name), line_of(error.source()), false,
         "this is not TOML: " + from_ascii(error.description()) + "; what follows was not read"});
    return parsed;
  }
  parsed.value = convert_table(result.table(), 0);
  return parsed;
}

}  // namespace cb::config
