// SPDX-License-Identifier: Apache-2.0
//
// Reads one table of a document key by key. Every key that is asked for is a known key; finish()
// reports the others. A key with a wrong value is reported once, here, and remembered as broken, so
// that later checks do not complain about its consequences.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.h"

namespace cb::config {

// The problems of one file, and where each of its keys stands.
class Notes {
 public:
  explicit Notes(std::string_view file_name) : file_(file_name) {}

  void error(int line, std::string what) { add(line, false, std::move(what)); }
  void warning(int line, std::string what) { add(line, true, std::move(what)); }

  // path: "network.address", "service[2].name". A key that is not in the file has the line of the
  // table that it belongs in, or 0.
  void set_line(const std::string& path, int line) { lines_[path] = line; }
  int line_of(std::string path) const;
  bool is_given(const std::string& path) const { return lines_.contains(path); }
  void set_broken(const std::string& path) { broken_.insert(path); }
  bool is_broken(const std::string& path) const { return broken_.contains(path); }

  // By line; those about the whole file come first.
  std::vector<Problem> take();

 private:
  void add(int line, bool warning, std::string what);

  std::string file_;
  std::vector<Problem> problems_;
  std::map<std::string, int> lines_;
  std::set<std::string> broken_;
};

class Reader {
 public:
  // path: "" for the document, "network", "service[0]". The value must outlive the reader.
  Reader(const Value* table, std::string path, Notes& notes);

  // All of these: nullopt (or empty) when the key is not there or is wrong; wrong is reported.
  std::optional<std::string> text(std::string_view key);
  std::optional<std::int64_t> number(std::string_view key, std::int64_t low, std::int64_t high);
  std::optional<bool> flag(std::string_view key);
  std::optional<Duration> duration(std::string_view key, Duration low, Duration high);
  // The index of the word among `words`.
  std::optional<std::size_t> choice(std::string_view key, std::span<const std::string> words);
  // A list of texts; with one_is_a_list also a single text.
  std::optional<std::vector<std::string>> texts(std::string_view key, bool one_is_a_list);
  std::optional<std::vector<Duration>> durations(std::string_view key, Duration low, Duration high);

  // A table within; an empty one when it is not there.
  Reader table(std::string_view key);
  // [[key]], in order.
  std::vector<Reader> tables(std::string_view key);

  bool exists() const { return table_ != nullptr; }
  int line() const { return table_ == nullptr ? 0 : table_->line; }
  std::string path_of(std::string_view key) const;
  // Reports a wrong value of this key, at its line; only the first time for each key.
  void wrong(std::string_view key, std::string what);

  // Reports the keys that were not asked for. Not for the tables within: they finish themselves.
  void finish();

 private:
  const Value* ask(std::string_view key);
  const Value* ask(std::string_view key, Value::Kind kind, std::string_view example);
  std::optional<Duration> to_duration(std::string_view key, const Value& value, Duration low,
                                      Duration high);
  std::string where() const;

  const Value* table_;
  std::string path_;
  Notes* notes_;
  std::vector<std::string> asked_;
};

}  // namespace cb::config
