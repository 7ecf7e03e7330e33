// SPDX-License-Identifier: Apache-2.0
//
// CB_CHECK(condition): a fact that only a bug can break. It is on in every build: a stopped monitor
// is a failover, a wrong one is two nodes serving. For what the world, a user or an enemy can
// cause, return a Result in its place.
#pragma once

namespace cb {

// Called once with the failed check's text, just before abort(), to save what helps to understand
// it (the recorder). It must not allocate and must not take a lock that the failing thread may
// hold.
using CheckHook = void (*)(const char* text);

// Installs the hook (nullptr: none) and returns the former one. May be called from any thread.
CheckHook set_check_hook(CheckHook hook) noexcept;

// Prints "check failed: FILE:LINE: EXPRESSION (MESSAGE)" to stderr, calls the hook, aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const char* message) noexcept;

}  // namespace cb

#define CB_CHECK(condition) CB_CHECK_MSG(condition, nullptr)

// message: what follows from the failure, a plain string.
#define CB_CHECK_MSG(condition, message)                             \
  do {                                                               \
    if (!(condition)) [[unlikely]] {                                 \
      ::cb::check_failed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                \
  } while (false)
