// SPDX-License-Identifier: Apache-2.0
//
// cb_sleeper: what it costs on this machine only to wake up as often as a probe thread does. A
// real-time thread sleeps until the next moment, and does nothing else.
#include <sched.h>

#include <cstdio>
#include <ctime>

#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_sleeper [options]: sleep, wake up, sleep

  --interval-us N   between wake-ups (default 200)
  --seconds N       for so long (default 5)

Prints JSON: cpu_percent of one processor, and how often it woke up.
)";

int64_t processor_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

int run(int argc, char** argv) {
  const Options options(argc, argv, kUsage, {"interval-us", "seconds"});
  const int64_t interval = options.number("interval-us", 200) * 1000;
  const int64_t length = options.number("seconds", 5) * 1'000'000'000;
  const sched_param priority{.sched_priority = 60};
  if (interval <= 0 || sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
    options.usage_error("the interval is too short, or this is not root");
  }
  const int64_t begin = boottime_ns();
  const int64_t before = processor_ns();
  int64_t wakeups = 0;
  for (int64_t due = begin + interval; due < begin + length; due += interval, ++wakeups) {
    const timespec at{.tv_sec = due / 1'000'000'000, .tv_nsec = due % 1'000'000'000};
    // tidy-allow: sleep it is what is measured
    clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, nullptr);
  }
  const auto span = static_cast<double>(boottime_ns() - begin);
  printf("{\"cpu_percent\":%.3f,\"wakeups\":%lld}\n",
         100.0 * static_cast<double>(processor_ns() - before) / span,
         static_cast<long long>(wakeups));
  return 0;
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) { return cb::lab::run(argc, argv); }
