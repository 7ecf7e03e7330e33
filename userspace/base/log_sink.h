// SPDX-License-Identifier: Apache-2.0
//
// Where a finished line goes. Used by the log's writer alone, so nothing here is shared between
// threads.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/log.h"

namespace cb {

struct LogLine {
  LogLevel level = LogLevel::Info;
  timespec at{};  // CLOCK_REALTIME, for people
  std::string_view text;
};

// "2026-01-31 17:02:03.123456 notice: text\n", local time.
std::string human_form(const LogLine& line);

class LogSink {
 public:
  static Result<LogSink> open(const LogSetup& setup);

  // Writes to every destination. A destination that fails is left out for this line: a full disk
  // must not silence the journal. The number of lines that the file lost is reported in it when it
  // works again.
  void write(const LogLine& line);

 private:
  void write_journal(const LogLine& line) const;
  void write_file(const std::string& text);
  Result<> open_file();
  void rotate();

  LogSetup setup_;
  bool to_stderr_ = true;
  bool to_journal_ = false;
  Fd file_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t file_lost_ = 0;
};

}  // namespace cb
