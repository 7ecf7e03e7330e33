// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value, or the Error that prevented it. The member names are std::expected's, so that
// it can become an alias when the compilers have it. Ignoring one is a compiler error; asking for
// the value of a failure is a bug (CB_CHECK).
//
//   Result<Ledger> Ledger::open(const Path& path) {
//     CB_TRY(bytes, read_all(path, kLedgerBytesMax));
//     return decode(bytes);
//   }
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace cb {

struct Error {
  int code = 0;      // an errno, or 0 when no system call was at fault
  std::string what;  // what we were trying to do, for a person: "open /etc/crossbeat.toml"

  bool operator==(const Error&) const = default;
};

// The value of a Result that has nothing to say but success.
struct Done {
  bool operator==(const Done&) const = default;
};

template <class T = Done>
class [[nodiscard]] Result {
  static_assert(!std::is_same_v<T, Error> && !std::is_reference_v<T>);

 public:
  using value_type = T;

  Result() requires std::is_default_constructible_v<T> : held_(std::in_place_index<0>) {}
  // Implicit on purpose: a function returns a T or an Error.
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & { return value_of(held_); }
  const T& operator*() const& { return value_of(held_); }
  T&& operator*() && { return std::move(value_of(held_)); }
  T* operator->() { return &value_of(held_); }
  const T* operator->() const { return &value_of(held_); }

  const Error& error() const& { return error_of(held_); }
  Error&& error() && { return std::move(error_of(held_)); }

  template <class U>
  T value_or(U&& otherwise) const& {
    return has_value() ? **this : static_cast<T>(std::forward<U>(otherwise));
  }
  template <class U>
  T value_or(U&& otherwise) && {
    return has_value() ? std::move(**this) : static_cast<T>(std::forward<U>(otherwise));
  }

 private:
  template <class Held>
  static auto& value_of(Held& held) {
    auto* value = std::get_if<0>(&held);
    CB_CHECK_MSG(value != nullptr, "the value of a Result that holds an error");
    return *value;
  }
  template <class Held>
  static auto& error_of(Held& held) {
    auto* error = std::get_if<1>(&held);
    CB_CHECK_MSG(error != nullptr, "the error of a Result that holds a value");
    return *error;
  }

  std::variant<T, Error> held_;
};

// return fail(errno, "open " + path);
inline Error fail(int code, std::string what) { return Error{code, std::move(what)}; }

// Adds what we were doing outside: in("read the ledger", {ENOENT, "open /x"}) says
// "read the ledger: open /x".
inline Error in(std::string doing, Error error) {
  error.what = std::move(doing) + ": " + error.what;
  return error;
}

// For a person: "open /x: No such file or directory".
std::string to_text(const Error& error);

}  // namespace cb

// CB_TRY(name, expression): declares name with the value of the Result, or returns its error.
#define CB_TRY(name, expression)             \
  auto name##_result = (expression);         \
  if (!name##_result) {                      \
    return std::move(name##_result).error(); \
  }                                          \
  auto name = *std::move(name##_result)

// CB_TRY_DO(expression): the same when the value does not matter.
#define CB_TRY_DO(expression)                                \
  do {                                                       \
    if (auto cb_try_result = (expression); !cb_try_result) { \
      return std::move(cb_try_result).error();               \
    }                                                        \
  } while (false)
