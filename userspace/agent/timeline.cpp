// SPDX-License-Identifier: Apache-2.0
#include "agent/timeline.h"

#include <time.h>

#include <cstdio>

#include "base/clock.h"

namespace cb::agent {
namespace {

double ms_between(Instant from, Instant to) {
  return static_cast<double>((to - from).as_ns()) / 1e6;
}

void add(std::string& text, const char* what, Instant& from, Instant to) {
  if (to.as_ns() == 0) {
    return;
  }
  char part[64];
  snprintf(part, sizeof part, "%s%s %.2f ms", text.empty() ? "" : ", ", what, ms_between(from, to));
  text += part;
  from = to;
}

}  // namespace

std::string text_of(const Timeline& t) {
  std::string text;
  Instant at = t.peer_heard.as_ns() != 0 ? t.peer_heard : t.began;
  const Instant start = at;
  if (t.peer_heard.as_ns() != 0) {
    add(text, "silence proved after", at, t.began);
  }
  add(text, "arbitrated", at, t.arbitrated > at ? t.arbitrated : Instant{});
  add(text, "old lease over", at, t.lease_closed);
  add(text, "address up", at, t.address_up);
  add(text, "announced", at, t.announced);
  char total[64];
  snprintf(total, sizeof total, ": %.2f ms in all", ms_between(start, at));
  return text + total;
}

std::string wall_at(Instant at) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t ns = at.as_ns() + wall_offset_ns();
  const time_t seconds = ns / kSecond;
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + n, sizeof text - n, ".%03ldZ", ns % kSecond / 1'000'000);
  return text;
}

std::string wall_now() { return wall_at(boottime_now()); }

}  // namespace cb::agent
