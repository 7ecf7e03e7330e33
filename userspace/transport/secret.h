// SPDX-License-Identifier: Apache-2.0
//
// 32 bytes that nobody may see: wiped when they go, never copied by accident.
#pragma once

#include <string.h>

#include <array>
#include <cstdint>
#include <span>

namespace cb::transport {

class Key {
 public:
  Key() = default;
  explicit Key(std::span<const std::uint8_t, 32> from) { memcpy(bytes_.data(), from.data(), 32); }
  Key(Key&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Key& operator=(Key&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key() { wipe(); }

  Key copy() const { return Key(view()); }
  std::uint8_t* data() noexcept { return bytes_.data(); }
  const std::uint8_t* data() const noexcept { return bytes_.data(); }
  std::span<const std::uint8_t, 32> view() const noexcept { return bytes_; }
  void wipe() noexcept { explicit_bzero(bytes_.data(), bytes_.size()); }

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace cb::transport
