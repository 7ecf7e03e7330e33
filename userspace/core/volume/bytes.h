// SPDX-License-Identifier: Apache-2.0
//
// Fixed-width little-endian fields in a buffer of known size. Going past its end is a bug here,
// never a matter of input: sizes are checked before the first field is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"

namespace cb::core::volume {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

class Put {
 public:
  explicit Put(Bytes out) noexcept : out_(out) {}
  template <class T>
  Put& operator()(T value) {
    CB_CHECK(at_ + sizeof(T) <= out_.size());
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_[at_++] = static_cast<std::byte>(static_cast<uint64_t>(value) >> (8 * i));
    }
    return *this;
  }
  void skip_to(std::size_t offset) {
    CB_CHECK(offset >= at_ && offset <= out_.size());
    while (at_ < offset) {
      out_[at_++] = std::byte{0};
    }
  }
  std::size_t at() const noexcept { return at_; }

 private:
  Bytes out_;
  std::size_t at_ = 0;
};

class Get {
 public:
  explicit Get(ConstBytes in) noexcept : in_(in) {}
  template <class T>
  T take() {
    CB_CHECK(at_ + sizeof(T) <= in_.size());
    uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value |= static_cast<uint64_t>(in_[at_++]) << (8 * i);
    }
    return static_cast<T>(value);
  }
  void skip_to(std::size_t offset) {
    CB_CHECK(offset >= at_ && offset <= in_.size());
    at_ = offset;
  }
  // Reserved bytes are zero, or this was not written by us.
  bool zero_to(std::size_t offset) {
    CB_CHECK(offset >= at_ && offset <= in_.size());
    bool zero = true;
    while (at_ < offset) {
      zero &= in_[at_++] == std::byte{0};
    }
    return zero;
  }

 private:
  ConstBytes in_;
  std::size_t at_ = 0;
};

}  // namespace cb::core::volume
