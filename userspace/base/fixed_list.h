// SPDX-License-Identifier: Apache-2.0
//
// FixedList<T, N>: up to N values in place, in order, without allocation. Trivially copyable when T
// is, so that states and events can be compared, recorded and replayed as bytes of known size.
// Going past its capacity is a bug, since every bound is chosen by us.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "base/check.h"

namespace cb {

template <class T, std::size_t N>
class FixedList {
  static_assert(N > 0);

 public:
  using value_type = T;
  static constexpr std::size_t kCapacity = N;

  constexpr FixedList() = default;
  constexpr FixedList(std::initializer_list<T> items) {
    for (const T& item : items) {
      push(item);
    }
  }

  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr bool full() const noexcept { return size_ == N; }

  constexpr void push(const T& item) {
    CB_CHECK_MSG(size_ < N, "the list is full");
    items_[size_++] = item;
  }
  // For what comes from outside: false, and nothing stored, when it is full.
  [[nodiscard]] constexpr bool try_push(const T& item) {
    if (full()) {
      return false;
    }
    push(item);
    return true;
  }
  // Removes one and keeps the order of the others.
  constexpr void erase_at(std::size_t index) {
    CB_CHECK(index < size_);
    for (std::size_t i = index + 1; i < size_; ++i) {
      items_[i - 1] = items_[i];
    }
    items_[--size_] = T{};
  }
  // Vacated places are reset: a recording of a list holds nothing of its past.
  constexpr void clear() {
    while (size_ > 0) {
      items_[--size_] = T{};
    }
  }

  constexpr T& operator[](std::size_t index) {
    CB_CHECK(index < size_);
    return items_[index];
  }
  constexpr const T& operator[](std::size_t index) const {
    CB_CHECK(index < size_);
    return items_[index];
  }
  constexpr T& front() { return (*this)[0]; }
  constexpr const T& front() const { return (*this)[0]; }
  constexpr T& back() { return (*this)[size_ - 1]; }
  constexpr const T& back() const { return (*this)[size_ - 1]; }

  constexpr T* data() noexcept { return items_.data(); }
  constexpr const T* data() const noexcept { return items_.data(); }
  constexpr T* begin() noexcept { return items_.data(); }
  constexpr T* end() noexcept { return items_.data() + size_; }
  constexpr const T* begin() const noexcept { return items_.data(); }
  constexpr const T* end() const noexcept { return items_.data() + size_; }

  constexpr bool contains(const T& item) const {
    for (const T& held : *this) {
      if (held == item) {
        return true;
      }
    }
    return false;
  }

  constexpr bool operator==(const FixedList& other) const {
    if (size_ != other.size_) {
      return false;
    }
    for (std::size_t i = 0; i < size_; ++i) {
      if (!(items_[i] == other.items_[i])) {
        return false;
      }
    }
    return true;
  }

 private:
  std::array<T, N> items_{};
  std::size_t size_ = 0;
};

}  // namespace cb
