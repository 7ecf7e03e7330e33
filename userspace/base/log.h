// SPDX-License-Identifier: Apache-2.0
//
// The log: lines for people, to stderr, to the journal (with its priority) and to a file that
// rotates. Any thread may log. The caller formats into memory and goes on; a thread of ordinary
// priority does the writing, so that a full disk or a stuck journal never holds up a turn of the
// loop. When lines come faster than they can be written, the surplus is dropped and its number is
// logged. Before log_open, and after log_close, lines go to stderr at once.
//
// Not for core/, and never once per frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cb {

enum class LogLevel : std::uint8_t { Debug, Info, Notice, Warning, Error };

const char* name_of(LogLevel level) noexcept;  // "debug" ... "error"
std::optional<LogLevel> parse_log_level(std::string_view name);

struct LogSetup {
  enum class Journal : std::uint8_t {
    Auto,  // in place of stderr when systemd has connected stderr to the journal
    Never,
    Always,
  };

  LogLevel least = LogLevel::Info;  // lines below are not formatted at all
  bool to_stderr = true;
  Journal journal = Journal::Auto;
  std::string identifier = "crossbeat";     // the journal's SYSLOG_IDENTIFIER
  std::string file;                         // empty: none
  std::uint64_t file_bytes_max = 8u << 20;  // then FILE becomes FILE.1, FILE.1 becomes FILE.2 ...
  unsigned file_generations = 4;            // old files kept beside the current one
};

// Opens the destinations and starts the writer. Call it once, before the process takes real-time
// priority. Fails when the file cannot be opened.
Result<> log_open(const LogSetup& setup);

// Waits until everything logged so far is written. For tests and the way out.
void log_flush();

// Flushes, stops the writer, closes the file.
void log_close();

bool log_wants(LogLevel level) noexcept;
void set_log_least(LogLevel least) noexcept;

// One line each, without a line end; control characters are made harmless. Longer than kLogLineMax
// is cut.
inline constexpr std::size_t kLogLineMax = 1000;

[[gnu::format(printf, 2, 3)]] void log_line(LogLevel level, const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_debug(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_info(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_notice(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_warning(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_error(const char* format, ...);

}  // namespace cb
