// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace cb {
namespace {

std::atomic<CheckHook> g_hook{nullptr};
std::atomic_flag g_failing = ATOMIC_FLAG_INIT;

}  // namespace

CheckHook set_check_hook(CheckHook hook) noexcept { return g_hook.exchange(hook); }

void check_failed(const char* file, int line, const char* expression,
                  const char* message) noexcept {
  char text[1024];
  int length = std::snprintf(text, sizeof text, "check failed: %s:%d: %s%s%s%s\n", file, line,
                             expression, message != nullptr ? " (" : "",
                             message != nullptr ? message : "", message != nullptr ? ")" : "");
  if (length > static_cast<int>(sizeof text) - 1) {
    length = static_cast<int>(sizeof text) - 1;
  }
  if (length > 0) {
    // ignored: there is nobody left to tell.
    [[maybe_unused]] const ssize_t written =
        ::write(STDERR_FILENO, text, static_cast<size_t>(length));
  }
  // A check that fails inside the hook must not call the hook again.
  if (!g_failing.test_and_set()) {
    if (CheckHook hook = g_hook.load()) {
      hook(text);
    }
  }
  std::abort();
}

}  // namespace cb
