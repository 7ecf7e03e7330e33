// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <algorithm>

#include "config/duration.h"
#include "config/suggest.h"

namespace cb::config {
namespace {

// What the file says is quoted in messages: short, and nothing that could move a terminal's cursor.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string result = "'";
  for (const char c : text.substr(0, kShown)) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  result += text.size() > kShown ? "...'" : "'";
  return result;
}

}  // namespace

int Notes::line_of(std::string path) const {
  while (true) {
    if (const auto found = lines_.find(path); found != lines_.end()) {
      return found->second;
    }
    const std::size_t dot = path.rfind('.');
    if (dot == std::string::npos) {
      return 0;
    }
    path.resize(dot);
  }
}

std::vector<Problem> Notes::take() {
  std::stable_sort(problems_.begin(), problems_.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  return std::move(problems_);
}

void Notes::add(int line, bool warning, std::string what) {
  problems_.push_back({file_, line, warning, std::move(what)});
}

Reader::Reader(const Value* table, std::string path, Notes& notes)
    : table_(table), path_(std::move(path)), notes_(&notes) {
  if (table_ != nullptr && !path_.empty()) {
    notes_->set_line(path_, table_->line);
  }
}

std::string Reader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::string Reader::where() const {
  if (path_.empty()) {
    return "at the top of the file";
  }
  const std::size_t bracket = path_.find('[');
  const std::size_t dot = path_.find('.');
  if (bracket == std::string::npos) {
    return "in [" + path_ + "]";
  }
  if (dot == std::string::npos) {
    return "in [[" + path_.substr(0, bracket) + "]]";
  }
  return "in " + path_.substr(dot + 1) + " of [[" + path_.substr(0, bracket) + "]]";
}

void Reader::wrong(std::string_view key, std::string what) {
  const std::string path = path_of(key);
  if (notes_->is_broken(path)) {
    return;
  }
  notes_->set_broken(path);
  notes_->error(notes_->line_of(path), std::string(key) + ": " + std::move(what));
}

const Value* Reader::ask(std::string_view key) {
  asked_.emplace_back(key);
  const Value* value = table_ == nullptr ? nullptr : table_->find(key);
  if (value != nullptr) {
    notes_->set_line(path_of(key), value->line);
  }
  return value;
}

const Value* Reader::ask(std::string_view key, Value::Kind kind, std::string_view example) {
  const Value* value = ask(key);
  if (value != nullptr && value->kind != kind) {
    wrong(key, std::string("must be ") + name_of(kind) + ", not " + name_of(value->kind) +
                   "; write " + std::string(key) + " = " + std::string(example));
    return nullptr;
  }
  return value;
}

std::optional<std::string> Reader::text(std::string_view key) {
  const Value* value = ask(key, Value::Kind::Text, "\"...\"");
  if (value == nullptr) {
    return std::nullopt;
  }
  // They go to the kernel, to logs and to terminals: no NUL, no line end, no escape sequence.
  for (const char c : value->text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      wrong(key, "must not contain control characters");
      return std::nullopt;
    }
  }
  if (value->text.size() > 1024) {
    wrong(key, "is longer than 1024 characters");
    return std::nullopt;
  }
  return value->text;
}

std::optional<std::int64_t> Reader::number(std::string_view key, std::int64_t low,
                                           std::int64_t high) {
  const Value* value = ask(key, Value::Kind::Number, std::to_string(low));
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->number < low || value->number > high) {
    wrong(key, "must be between " + std::to_string(low) + " and " + std::to_string(high) +
                   ", not " + std::to_string(value->number));
    return std::nullopt;
  }
  return value->number;
}

std::optional<bool> Reader::flag(std::string_view key) {
  const Value* value = ask(key, Value::Kind::Flag, "true");
  if (value == nullptr) {
    return std::nullopt;
  }
  return value->flag;
}

std::optional<Duration> Reader::to_duration(std::string_view key, const Value& value, Duration low,
                                            Duration high) {
  if (value.kind == Value::Kind::Number || value.kind == Value::Kind::Real) {
    const std::string number =
        value.kind == Value::Kind::Number ? std::to_string(value.number) : "1.5";
    wrong(key, "a duration needs its unit, in quotes: write \"" + number + "s\", \"" + number +
                   "ms\" or \"" + number + "us\"");
    return std::nullopt;
  }
  if (value.kind != Value::Kind::Text) {
    wrong(key, std::string("must be a duration such as \"") + duration_text(low) + "\", not " +
                   name_of(value.kind));
    return std::nullopt;
  }
  const auto duration = parse_duration(value.text);
  if (!duration) {
    wrong(key, quoted(value.text) +
                   " is not a duration; write a number and one of ns, us, ms, s, min, h, such as "
                   "\"250us\" or \"10s\"");
    return std::nullopt;
  }
  if (*duration < low || *duration > high) {
    wrong(key, "must be between " + duration_text(low) + " and " + duration_text(high) + ", not " +
                   value.text);
    return std::nullopt;
  }
  return duration;
}

std::optional<Duration> Reader::duration(std::string_view key, Duration low, Duration high) {
  const Value* value = ask(key);
  return value == nullptr ? std::nullopt : to_duration(key, *value, low, high);
}

std::optional<std::size_t> Reader::choice(std::string_view key,
                                          std::span<const std::string> words) {
  const auto written = text(key);
  if (!written) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == *written) {
      return i;
    }
  }
  wrong(key, quoted(*written) + " is not known; write " + alternatives(words) +
                 suggestion(*written, words));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Reader::texts(std::string_view key, bool one_is_a_list) {
  const Value* value = ask(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->kind == Value::Kind::Text && one_is_a_list) {
    asked_.pop_back();
    auto one = text(key);
    if (!one) {
      return std::nullopt;
    }
    return std::vector<std::string>{*std::move(one)};
  }
  if (value->kind != Value::Kind::List) {
    wrong(key, std::string("must be a list, not ") + name_of(value->kind) + "; write " +
                   std::string(key) + " = [\"...\", \"...\"]");
    return std::nullopt;
  }
  std::vector<std::string> result;
  for (const Value& item : value->items) {
    if (item.kind != Value::Kind::Text) {
      wrong(key, std::string("every entry of the list must be a text, not ") + name_of(item.kind));
      return std::nullopt;
    }
    for (const char c : item.text) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        wrong(key, "must not contain control characters");
        return std::nullopt;
      }
    }
    result.push_back(item.text);
  }
  if (result.size() > 256) {
    wrong(key, "has more than 256 entries");
    return std::nullopt;
  }
  return result;
}

std::optional<std::vector<Duration>> Reader::durations(std::string_view key, Duration low,
                                                       Duration high) {
  const Value* value = ask(key, Value::Kind::List, "[\"0s\", \"1s\"]");
  if (value == nullptr) {
    return std::nullopt;
  }
  std::vector<Duration> result;
  for (const Value& item : value->items) {
    const auto duration = to_duration(key, item, low, high);
    if (!duration) {
      return std::nullopt;
    }
    result.push_back(*duration);
  }
  return result;
}

Reader Reader::table(std::string_view key) {
  const std::string example = "[" + path_of(key) + "] on a line of its own";
  const Value* value = ask(key);
  if (value != nullptr && value->kind != Value::Kind::Table) {
    wrong(key,
          value->kind == Value::Kind::List
              ? "there is one of these only; write " + example + ", with single brackets"
              : std::string("must be a table, not ") + name_of(value->kind) + "; write " + example);
    value = nullptr;
  }
  return Reader(value, path_of(key), *notes_);
}

std::vector<Reader> Reader::tables(std::string_view key) {
  std::vector<Reader> result;
  const Value* value = ask(key);
  if (value == nullptr) {
    return result;
  }
  const std::string hint = "write [[" + std::string(key) + "]] on a line of its own, for each";
  if (value->kind != Value::Kind::List) {
    wrong(key, "there may be several of these; " + hint);
    return result;
  }
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    const Value& item = value->items[i];
    if (item.kind != Value::Kind::Table) {
      wrong(key, std::string("must be a table, not ") + name_of(item.kind) + "; " + hint);
      continue;
    }
    result.emplace_back(&item, path_of(key) + "[" + std::to_string(i) + "]", *notes_);
  }
  return result;
}

void Reader::finish() {
  if (table_ == nullptr) {
    return;
  }
  for (const auto& [key, value] : table_->members) {
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) {
      continue;
    }
    const bool is_table = value.kind == Value::Kind::Table || value.kind == Value::Kind::List;
    notes_->error(value.line,
                  (path_.empty() && is_table ? "unknown table [" + key + "]"
                                             : "unknown key " + quoted(key) + " " + where()) +
                      suggestion(key, asked_));
  }
}

}  // namespace cb::config
