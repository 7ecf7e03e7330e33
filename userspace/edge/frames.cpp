// SPDX-License-Identifier: Apache-2.0
#include "edge/frames.h"

#include <algorithm>

namespace cb::edge {

namespace {

constexpr std::size_t kEthernet = 14;

// Writes fields one after another.
class Writer {
 public:
  explicit Writer(std::span<std::uint8_t> into) : into_(into) {}
  Writer& u8(std::uint8_t value) {
    into_[at_++] = value;
    return *this;
  }
  Writer& u16(std::uint16_t value) {
    return u8(static_cast<std::uint8_t>(value >> 8)).u8(static_cast<std::uint8_t>(value & 0xff));
  }
  Writer& bytes(std::span<const std::uint8_t> from) {
    std::copy(from.begin(), from.end(), into_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ += from.size();
    return *this;
  }

 private:
  std::span<std::uint8_t> into_;
  std::size_t at_ = 0;
};

std::uint16_t u16_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

template <class Address>
Address address_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  Address address;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), address.bytes.size(),
              address.bytes.begin());
  return address;
}

// Internet checksum over 16-bit words (RFC 1071), without the final inversion.
std::uint32_t sum_of(std::span<const std::uint8_t> bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += u16_at(bytes, i);
  }
  return sum;
}

}  // namespace

ArpFrame to_frame(const Arp& arp) noexcept {
  ArpFrame frame{};
  Writer(frame)
      .bytes(arp.frame_target.bytes)
      .bytes(arp.frame_source.bytes)
      .u16(kEtherTypeArp)
      .u16(1)       // Ethernet
      .u16(0x0800)  // IPv4
      .u8(6)
      .u8(4)
      .u16(static_cast<std::uint16_t>(arp.operation))
      .bytes(arp.sender_mac.bytes)
      .bytes(arp.sender.bytes)
      .bytes(arp.target_mac.bytes)
      .bytes(arp.target.bytes);
  return frame;
}

std::optional<Arp> parse_arp(std::span<const std::uint8_t> frame) noexcept {
  if (frame.size() < kArpFrameBytes || u16_at(frame, 12) != kEtherTypeArp ||
      u16_at(frame, kEthernet) != 1 || u16_at(frame, kEthernet + 2) != 0x0800 ||
      frame[kEthernet + 4] != 6 || frame[kEthernet + 5] != 4) {
    return std::nullopt;
  }
  const std::uint16_t operation = u16_at(frame, kEthernet + 6);
  if (operation != 1 && operation != 2) {
    return std::nullopt;
  }
  Arp arp;
  arp.operation = static_cast<ArpOperation>(operation);
  arp.frame_target = address_at<Mac>(frame, 0);
  arp.frame_source = address_at<Mac>(frame, 6);
  arp.sender_mac = address_at<Mac>(frame, kEthernet + 8);
  arp.sender = address_at<Ipv4>(frame, kEthernet + 14);
  arp.target_mac = address_at<Mac>(frame, kEthernet + 18);
  arp.target = address_at<Ipv4>(frame, kEthernet + 24);
  if (arp.sender_mac.is_group() || arp.sender_mac.is_zero() || arp.frame_source.is_group()) {
    return std::nullopt;
  }
  return arp;
}

Arp arp_request(const Mac& self_mac, const Ipv4& self, const Ipv4& target, const Mac& to) noexcept {
  return {ArpOperation::Request, self_mac, to, self_mac, self, Mac{}, target};
}

Arp arp_probe(const Mac& self_mac, const Ipv4& target) noexcept {
  return arp_request(self_mac, Ipv4{}, target);
}

Arp gratuitous_request(const Mac& self_mac, const Ipv4& address) noexcept {
  return arp_request(self_mac, address, address);
}

Arp gratuitous_reply(const Mac& self_mac, const Ipv4& address) noexcept {
  return {ArpOperation::Reply, self_mac, kBroadcast, self_mac, address, self_mac, address};
}

NaFrame unsolicited_na(const Mac& self_mac, const Ipv6& address) noexcept {
  constexpr Mac kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
  constexpr Ipv6 kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  constexpr std::uint8_t kIcmpv6 = 58;
  constexpr std::uint8_t kOverride = 0x20;
  constexpr std::size_t kPayload = 32;  // advertisement and option
  NaFrame frame{};
  Writer(frame)
      .bytes(kAllNodesMac.bytes)
      .bytes(self_mac.bytes)
      .u16(kEtherTypeIpv6)
      .u8(0x60)  // version 6
      .u8(0)
      .u16(0)
      .u16(kPayload)
      .u8(kIcmpv6)
      .u8(255)  // a router would have lowered it: proof of the local link
      .bytes(address.bytes)
      .bytes(kAllNodes.bytes)
      .u8(136)  // neighbour advertisement
      .u8(0)
      .u16(0)  // checksum, below
      .u8(kOverride)
      .u8(0)
      .u16(0)
      .bytes(address.bytes)
      .u8(2)  // target link-layer address
      .u8(1)  // in units of 8 bytes
      .bytes(self_mac.bytes);
  // The pseudo-header: both addresses, the length, the protocol.
  const std::span<const std::uint8_t> all(frame);
  std::uint32_t sum = sum_of(all.subspan(kEthernet + 8, 32), kPayload + kIcmpv6);
  sum = sum_of(all.subspan(kEthernet + 40), sum);
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  const auto checksum = static_cast<std::uint16_t>(~sum);
  frame[kEthernet + 42] = static_cast<std::uint8_t>(checksum >> 8);
  frame[kEthernet + 43] = static_cast<std::uint8_t>(checksum & 0xff);
  return frame;
}

}  // namespace cb::edge
