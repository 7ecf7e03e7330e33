// SPDX-License-Identifier: Apache-2.0
//
// ARP and neighbour advertisement frames as bytes: the only place in user space that knows their
// layout (RFC 826, RFC 5227, RFC 4861). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/net.h"

namespace cb::edge {

inline constexpr std::size_t kArpFrameBytes = 42;  // Ethernet 14, ARP 28; the driver pads
inline constexpr std::size_t kNaFrameBytes =
    86;  // Ethernet 14, IPv6 40, advertisement 24, option 8
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr Mac kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

using ArpFrame = std::array<std::uint8_t, kArpFrameBytes>;
using NaFrame = std::array<std::uint8_t, kNaFrameBytes>;

enum class ArpOperation : std::uint16_t { Request = 1, Reply = 2 };

struct Arp {
  ArpOperation operation = ArpOperation::Request;
  Mac frame_source;  // of the Ethernet header
  Mac frame_target;
  Mac sender_mac;
  Ipv4 sender;
  Mac target_mac;
  Ipv4 target;
  bool operator==(const Arp&) const = default;
};

ArpFrame to_frame(const Arp& arp) noexcept;

// Nothing for what is too short, is not ARP of Ethernet and IPv4, is neither request nor reply, or
// whose sender is a group address: such a sender is nobody.
std::optional<Arp> parse_arp(std::span<const std::uint8_t> frame) noexcept;

// "Who has `target`? Tell `self`." Broadcast unless the target's MAC is known.
Arp arp_request(const Mac& self_mac, const Ipv4& self, const Ipv4& target,
                const Mac& to = kBroadcast) noexcept;
// RFC 5227 section 2.1.1: a request with an all-zero sender, so that asking changes no one's cache.
Arp arp_probe(const Mac& self_mac, const Ipv4& target) noexcept;
// Gratuitous ARP. Linux takes the reply for gratuitous only if its target MAC is its sender's; else
// it ignores it for an entry that changed within the last second. So the reply carries our MAC
// twice.
Arp gratuitous_request(const Mac& self_mac, const Ipv4& address) noexcept;
Arp gratuitous_reply(const Mac& self_mac, const Ipv4& address) noexcept;

// Unsolicited neighbour advertisement to all nodes, with the override flag (RFC 4861
// section 7.2.6).
NaFrame unsolicited_na(const Mac& self_mac, const Ipv6& address) noexcept;

}  // namespace cb::edge
