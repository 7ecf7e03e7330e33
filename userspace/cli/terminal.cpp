// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <ctime>

namespace cb::cli {
namespace {

[[gnu::format(printf, 1, 2)]] std::string printed(const char* format, ...) {
  std::array<char, 128> text{};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text.data(), text.size(), format, arguments);
  va_end(arguments);
  return text.data();
}

// Three digits that matter.
std::string three_digits(double number, const char* unit) {
  return printed(number < 10 ? "%.2f %s" : number < 100 ? "%.1f %s" : "%.0f %s", number, unit);
}

}  // namespace

std::string Terminal::painted(Tone tone, std::string_view text) const {
  const char* code = nullptr;
  switch (tone) {
    case Tone::Plain: break;
    case Tone::Good: code = "\033[1;32m"; break;
    case Tone::Caution: code = "\033[1;33m"; break;
    case Tone::Alarm: code = "\033[1;31m"; break;
    case Tone::Faint: code = "\033[2m"; break;
  }
  if (!colour || code == nullptr) {
    return std::string(text);
  }
  return code + std::string(text) + "\033[0m";
}

std::string age_text(double ms) {
  const double s = ms / 1000;
  if (ms < 0) {
    return "0 ms";
  }
  if (ms < 1000) {
    return printed("%.0f ms", ms);
  }
  if (s < 60) {
    return printed(s < 10 ? "%.1f s" : "%.0f s", s);
  }
  const double whole = std::floor(s);
  if (s < 3600) {
    return printed("%.0f min %.0f s", std::floor(whole / 60), std::fmod(whole, 60));
  }
  if (s < 86400) {
    return printed("%.0f h %.0f min", std::floor(whole / 3600),
                   std::floor(std::fmod(whole, 3600) / 60));
  }
  return printed("%.0f d %.0f h", std::floor(whole / 86400),
                 std::floor(std::fmod(whole, 86400) / 3600));
}

std::string us_text(double us) {
  if (us <= 0) {
    return "0 us";
  }
  if (us < 1) {
    return three_digits(us * 1000, "ns");
  }
  if (us < 1000) {
    return three_digits(us, "us");
  }
  return us < 1e6 ? three_digits(us / 1e3, "ms") : three_digits(us / 1e6, "s");
}

std::string clock_text() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  return printed("%02d:%02d:%02d.%03ld", local.tm_hour, local.tm_min, local.tm_sec,
                 now.tv_nsec / 1'000'000);
}

std::string wall_text(std::int64_t seconds_ago) {
  const time_t then = time(nullptr) - static_cast<time_t>(seconds_ago);
  tm utc{};
  gmtime_r(&then, &utc);
  return printed("%04d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                 utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace cb::cli
