// SPDX-License-Identifier: Apache-2.0
//
// Big-endian fields, written and read one after another. A Reader never reads past the end: it
// answers nullopt.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace cb::pairing {

class Writer {
 public:
  void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(std::uint16_t value) { number(value, 2); }
  void u32(std::uint32_t value) { number(value, 4); }
  void u64(std::uint64_t value) { number(value, 8); }
  void raw(std::string_view bytes) { out_.append(bytes); }
  void bytes(std::span<const std::uint8_t> bytes) {
    out_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string take() { return std::exchange(out_, {}); }
  std::size_t size() const { return out_.size(); }

 private:
  void number(std::uint64_t value, unsigned octets) {
    for (unsigned i = octets; i > 0; --i) {
      out_.push_back(static_cast<char>((value >> (8 * (i - 1))) & 0xff));
    }
  }
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  std::optional<std::uint8_t> u8() { return number<std::uint8_t>(); }
  std::optional<std::uint16_t> u16() { return number<std::uint16_t>(); }
  std::optional<std::uint32_t> u32() { return number<std::uint32_t>(); }
  std::optional<std::uint64_t> u64() { return number<std::uint64_t>(); }
  std::optional<std::string_view> raw(std::size_t count) {
    if (in_.size() < count) {
      return std::nullopt;
    }
    const std::string_view part = in_.substr(0, count);
    in_.remove_prefix(count);
    return part;
  }
  template <std::size_t N>
  [[nodiscard]] bool bytes(std::array<std::uint8_t, N>& out) {
    const auto part = raw(N);
    if (!part) {
      return false;
    }
    for (std::size_t i = 0; i < N; ++i) {
      out[i] = static_cast<std::uint8_t>((*part)[i]);
    }
    return true;
  }
  std::string_view rest() { return std::exchange(in_, {}); }
  bool at_end() const { return in_.empty(); }

 private:
  template <class T>
  std::optional<T> number() {
    const auto part = raw(sizeof(T));
    if (!part) {
      return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char octet : *part) {
      value = (value << 8) | static_cast<std::uint8_t>(octet);
    }
    return static_cast<T>(value);
  }
  std::string_view in_;
};

}  // namespace cb::pairing
