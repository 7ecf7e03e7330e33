// SPDX-License-Identifier: Apache-2.0
//
// Bytes that nobody may see. Move-only, so that no second copy is made by accident, and wiped when
// they go. Secret<N> lies where it is declared (the monitor locks all its memory). LockedSecret<N>,
// for what stays for minutes, has pages of its own, locked, with guard pages around them; making
// one costs several system calls.
#pragma once

#include <sodium.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace cb::pairing {

// Makes libsodium ready; safe to repeat. Every open() and start() of this room calls it first.
Result<> crypto_ready();

template <std::size_t N>
class Secret {
 public:
  Secret() = default;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  std::uint8_t* data() noexcept { return bytes_.data(); }
  const std::uint8_t* data() const noexcept { return bytes_.data(); }
  static constexpr std::size_t size() noexcept { return N; }
  std::span<const std::uint8_t, N> view() const noexcept { return bytes_; }
  // In constant time.
  bool equals(const Secret& other) const noexcept {
    return sodium_memcmp(data(), other.data(), N) == 0;
  }
  void wipe() noexcept { sodium_memzero(data(), N); }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

template <std::size_t N>
class LockedSecret {
 public:
  explicit LockedSecret(const Secret<N>& from) : bytes_(sodium_malloc(N)) {
    CB_CHECK_MSG(bytes_ != nullptr, "no memory for a secret");
    std::memcpy(bytes_, from.data(), N);
  }
  LockedSecret(LockedSecret&& other) noexcept : bytes_(std::exchange(other.bytes_, nullptr)) {}
  LockedSecret& operator=(LockedSecret&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  LockedSecret(const LockedSecret&) = delete;
  LockedSecret& operator=(const LockedSecret&) = delete;
  ~LockedSecret() { sodium_free(bytes_); }  // wipes; nullptr is fine

  Secret<N> copy() const {
    Secret<N> result;
    std::memcpy(result.data(), bytes_, N);
    return result;
  }

 private:
  void* bytes_;
};

}  // namespace cb::pairing
