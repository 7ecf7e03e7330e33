// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/frame.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace cb::link {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kTcpAck = 0x10;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTtl = 1;
constexpr std::uint16_t kDoNotFragment = 0x4000;

// Where things are in a superframe.
constexpr std::size_t kIp = kEthernetBytes;
constexpr std::size_t kTcpAt = kIp + 20;

std::uint16_t get16(ConstBytes from, std::size_t at) noexcept {
  return static_cast<std::uint16_t>((from[at] << 8) | from[at + 1]);
}

std::uint32_t get32(ConstBytes from, std::size_t at) noexcept {
  return (std::uint32_t{get16(from, at)} << 16) | get16(from, at + 2);
}

void put16(Bytes to, std::size_t at, std::size_t value) noexcept {
  to[at] = static_cast<std::uint8_t>(value >> 8);
  to[at + 1] = static_cast<std::uint8_t>(value);
}

void put32(Bytes to, std::size_t at, std::uint32_t value) noexcept {
  put16(to, at, value >> 16);
  put16(to, at + 2, value & 0xffff);
}

void put_ethernet(Bytes to, const Mac& destination, const Mac& source, std::uint16_t type) {
  std::ranges::copy(destination.bytes, to.begin());
  std::ranges::copy(source.bytes, to.begin() + 6);
  put16(to, 12, type);
}

// Ones' complement over whole words.
std::uint16_t folded_sum(ConstBytes words, std::uint32_t start) noexcept {
  std::uint32_t sum = start;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    sum += get16(words, i);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

std::optional<Frame> read_plain(ConstBytes frame, std::uint16_t channel) noexcept {
  if (frame.size() < kPlainHeader || frame[14] != kVersion || get16(frame, 16) != channel) {
    return std::nullopt;
  }
  const std::uint8_t kind = frame[15];
  const std::size_t length = get16(frame, 18);
  if ((kind != static_cast<std::uint8_t>(FrameKind::Packet) &&
       kind != static_cast<std::uint8_t>(FrameKind::Greeting)) ||
      length == 0 || length > frame.size() - kPlainHeader) {
    return std::nullopt;
  }
  Frame read;
  read.kind = static_cast<FrameKind>(kind);
  read.bytes = frame.subspan(kPlainHeader, length);
  return read;
}

std::optional<Frame> read_super(ConstBytes frame, std::uint16_t channel) noexcept {
  if (frame.size() <= kSuperHeader || frame[kIp] != 0x45 || frame[kIp + 9] != kTcp ||
      (get16(frame, kIp + 6) & 0x3fff) != 0 ||
      !std::ranges::equal(frame.subspan(kIp + 16, 4), kNowhere.bytes) ||
      get16(frame, kTcpAt) != channel || get16(frame, kTcpAt + 2) != kSuperPort ||
      frame[kTcpAt + 12] != 0x50) {
    return std::nullopt;
  }
  const std::size_t with_headers = get16(frame, kIp + 2);
  const std::size_t kind = get16(frame, kTcpAt + 14);  // the window's place
  if (with_headers <= kTcpIpBytes || with_headers > frame.size() - kEthernetBytes ||
      (kind != static_cast<std::size_t>(FrameKind::Packet) &&
       kind != static_cast<std::size_t>(FrameKind::Probe))) {
    return std::nullopt;
  }
  Frame read;
  read.kind = static_cast<FrameKind>(kind);
  read.bytes = frame.subspan(kSuperHeader, with_headers - kTcpIpBytes);
  read.total = get16(frame, kTcpAt + 4);
  read.at = get16(frame, kTcpAt + 6);
  read.number = get32(frame, kTcpAt + 8);
  if (read.total == 0 || read.total > kSuperMax || read.at + read.bytes.size() > read.total) {
    return std::nullopt;
  }
  return read;
}

}  // namespace

void write_plain(std::span<std::uint8_t, kPlainHeader> to, const Mac& destination,
                 const Mac& source, FrameKind kind, std::uint16_t channel, std::size_t length) {
  CB_CHECK(length > 0 && length <= 0xffff);
  put_ethernet(to, destination, source, kEtherType);
  to[14] = kVersion;
  to[15] = static_cast<std::uint8_t>(kind);
  put16(to, 16, channel);
  put16(to, 18, length);
  put16(to, 20, 0);
}

void write_super(std::span<std::uint8_t, kSuperHeader> to, const Mac& destination,
                 const Mac& source, FrameKind kind, std::uint16_t channel, std::uint32_t number,
                 std::size_t length) {
  CB_CHECK(length > 0 && length <= kSuperMax);
  put_ethernet(to, destination, source, kEtherTypeIpv4);
  const Bytes all(to);
  const Bytes ip = all.subspan(kIp, 20);
  ip[0] = 0x45;
  ip[1] = 0;
  put16(ip, 2, kTcpIpBytes + length);
  put16(ip, 4, 0);
  put16(ip, 6, kDoNotFragment);
  ip[8] = kTtl;
  ip[9] = kTcp;
  put16(ip, 10, 0);
  std::ranges::copy(kFromGroup.bytes, ip.begin() + 12);
  std::ranges::copy(kNowhere.bytes, ip.begin() + 16);
  put16(ip, 10, static_cast<std::uint16_t>(~folded_sum(ip, 0)));
  const Bytes tcp = all.subspan(kTcpAt, 20);
  put16(tcp, 0, channel);
  put16(tcp, 2, kSuperPort);
  put32(tcp, 4, static_cast<std::uint32_t>(length << 16));
  put32(tcp, 8, number);
  tcp[12] = 0x50;
  tcp[13] = kTcpAck | kTcpPush;  // push: the last piece ends the merging at once
  put16(tcp, 14, static_cast<std::size_t>(kind));
  // The sum of the pseudo-header: whoever sums up the rest begins from it.
  put16(tcp, 16, folded_sum(ip.subspan(12, 8), static_cast<std::uint32_t>(kTcp + 20 + length)));
  put16(tcp, 18, 0);
}

std::size_t super_max(std::size_t mtu) noexcept {
  if (mtu < kSuperMtuMin) {
    return 0;
  }
  const std::size_t in_a_frame = mtu - kTcpIpBytes;
  return in_a_frame >= kSuperMax ? kSuperMax : kSuperMax / in_a_frame * in_a_frame;
}

std::optional<Frame> read_frame(ConstBytes frame, std::uint16_t channel) noexcept {
  if (frame.size() < kEthernetBytes) {
    return std::nullopt;
  }
  std::optional<Frame> read;
  switch (get16(frame, 12)) {
    case kEtherType: read = read_plain(frame, channel); break;
    case kEtherTypeIpv4: read = read_super(frame, channel); break;
    default: break;
  }
  if (read) {
    std::ranges::copy(frame.subspan(6, 6), read->source.bytes.begin());
    if (read->source.is_group() || read->source.is_zero()) {
      return std::nullopt;
    }
  }
  return read;
}

std::array<std::uint8_t, kGreetingBytes> write_greeting(const Greeting& greeting) noexcept {
  std::array<std::uint8_t, kGreetingBytes> bytes{};
  bytes[0] =
      static_cast<std::uint8_t>((greeting.answer ? 1 : 0) | (greeting.superframes_reach ? 2 : 0));
  return bytes;
}

// Longer ones and further flags are of later versions.
std::optional<Greeting> read_greeting(ConstBytes bytes) noexcept {
  if (bytes.size() < kGreetingBytes) {
    return std::nullopt;
  }
  return Greeting{(bytes[0] & 1) != 0, (bytes[0] & 2) != 0};
}

}  // namespace cb::link
