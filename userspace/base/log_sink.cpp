// SPDX-License-Identifier: Apache-2.0
#include "base/log_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
// systemd's convenience macros would put this file's name into every record.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"

namespace cb {
namespace {

int syslog_priority(LogLevel level) {
  switch (level) {
    case LogLevel::Debug: return 7;
    case LogLevel::Info: return 6;
    case LogLevel::Notice: return 5;
    case LogLevel::Warning: return 4;
    case LogLevel::Error: return 3;
  }
  return 3;
}

// systemd sets JOURNAL_STREAM to device:inode of the stream it gave us. It is inherited, so it
// counts only while stderr is still that stream (systemd.exec(5)).
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) {
    return false;
  }
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

iovec field(const std::string& text) {
  return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
}

}  // namespace

std::string human_form(const LogLine& line) {
  std::array<char, 64> when{};
  tm broken{};
  ::localtime_r(&line.at.tv_sec, &broken);
  const std::size_t length = std::strftime(when.data(), when.size(), "%F %T", &broken);
  std::snprintf(when.data() + length, when.size() - length, ".%06ld ", line.at.tv_nsec / 1000);
  std::string text = when.data();
  text += name_of(line.level);
  text += ": ";
  text += line.text;
  text += '\n';
  return text;
}

Result<LogSink> LogSink::open(const LogSetup& setup) {
  LogSink sink;
  sink.setup_ = setup;
  switch (setup.journal) {
    case LogSetup::Journal::Auto: sink.to_journal_ = stderr_is_the_journal(); break;
    case LogSetup::Journal::Never: sink.to_journal_ = false; break;
    case LogSetup::Journal::Always: sink.to_journal_ = true; break;
  }
  // The journal would show each line twice.
  sink.to_stderr_ = setup.to_stderr && !(sink.to_journal_ && stderr_is_the_journal());
  if (!setup.file.empty()) {
    CB_TRY_DO(sink.open_file());
  }
  return sink;
}

void LogSink::write(const LogLine& line) {
  if (to_journal_) {
    write_journal(line);
  }
  if (!to_stderr_ && setup_.file.empty()) {
    return;
  }
  const std::string text = human_form(line);
  if (to_stderr_) {
    // ignored: a closed terminal is nobody's loss
    [[maybe_unused]] const auto written = write_all(STDERR_FILENO, text);
  }
  if (!setup_.file.empty()) {
    write_file(text);
  }
}

void LogSink::write_journal(const LogLine& line) const {
  const std::string message = "MESSAGE=" + std::string(line.text);
  const std::string priority = "PRIORITY=" + std::to_string(syslog_priority(line.level));
  const std::string identifier = "SYSLOG_IDENTIFIER=" + setup_.identifier;
  const std::array<iovec, 3> fields{field(message), field(priority), field(identifier)};
  ::sd_journal_sendv(fields.data(), static_cast<int>(fields.size()));  // ignored: see write()
}

void LogSink::write_file(const std::string& text) {
  if (!file_ && !open_file()) {
    ++file_lost_;
    return;
  }
  if (file_bytes_ + text.size() > setup_.file_bytes_max && file_bytes_ > 0) {
    rotate();
  }
  std::string record = text;
  if (file_lost_ > 0) {
    record =
        "(" + std::to_string(file_lost_) + " lines before this one could not be written)\n" + text;
  }
  if (!file_ || !write_all(file_.get(), record)) {
    ++file_lost_;
    file_.reset();  // opened afresh with the next line
    return;
  }
  file_lost_ = 0;
  file_bytes_ += record.size();
}

Result<> LogSink::open_file() {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  Fd fd(::open(setup_.file.c_str(), flags, 0640));
  if (!fd) return fail(errno, "open the log file " + setup_.file);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail(errno, "stat the log file " + setup_.file);
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  file_ = std::move(fd);
  return {};
}

void LogSink::rotate() {
  file_.reset();
  const auto generation = [this](unsigned n) { return setup_.file + "." + std::to_string(n); };
  // ignored below: a generation that is not there yet cannot be renamed.
  for (unsigned n = setup_.file_generations; n > 1; --n) {
    std::rename(generation(n - 1).c_str(), generation(n).c_str());
  }
  if (setup_.file_generations > 0) {
    std::rename(setup_.file.c_str(), generation(1).c_str());
  } else {
    ::unlink(setup_.file.c_str());
  }
  // ignored: when it fails file_ stays closed, and write_file counts the loss.
  if (auto opened = open_file(); !opened) {
    file_bytes_ = 0;
  }
}

}  // namespace cb
