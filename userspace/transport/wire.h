// SPDX-License-Identifier: Apache-2.0
//
// What is in clear: the header of every packet, and the three packets of the handshake
// (docs/protocol-transport.md sections 2 and 3). Little-endian, fixed width.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/transport/types.h"

namespace cb::transport {

using ConstBytes = std::span<const std::uint8_t>;

// Version 1 in the upper half.
enum class Kind : std::uint8_t { Open = 0x11, Accept = 0x12, Retry = 0x13, Data = 0x14 };

inline constexpr std::size_t kHeaderBytes = core::transport::kHeader;

struct Header {
  Kind kind = Kind::Data;
  std::uint8_t detail = 0;       // Data: low byte of the key phase; else the sender's node number
  std::uint32_t connection = 0;  // as the receiver chose it; Open: 0
  std::uint64_t number = 0;      // Data: of the packet; else the instance
};
using HeaderBytes = std::array<std::uint8_t, kHeaderBytes>;
HeaderBytes encode(const Header& header);
std::optional<Header> decode(ConstBytes packet);  // nullopt: too short, or not ours

// What each side says of itself, sealed in the handshake.
struct Offer {
  std::uint32_t connection = 0;  // what packets to this side carry; never 0
  std::uint8_t ciphers = 0;      // Open: all it has, a bit each; Accept: the one chosen
  std::uint64_t room[core::transport::kClasses] = {};  // what it can hold of each class
};
inline constexpr std::size_t kOfferBytes = 36;
using OfferBytes = std::array<std::uint8_t, kOfferBytes>;
OfferBytes encode(const Offer& offer);
std::optional<Offer> decode_offer(ConstBytes bytes);

inline constexpr std::size_t kMacBytes = 16;
inline constexpr std::size_t kCookieBytes = 16;
inline constexpr std::size_t kNoiseBytes = 32 + kOfferBytes + 16;
// Header, Noise message, cookie, MAC; the Accept without the cookie, so that nobody is made to send
// more than he is sent.
inline constexpr std::size_t kOpenBytes = kHeaderBytes + kNoiseBytes + kCookieBytes + kMacBytes;
inline constexpr std::size_t kAcceptBytes = kHeaderBytes + kNoiseBytes + kMacBytes;
// Header, the first half of the ephemeral key that it answers, cookie, MAC.
inline constexpr std::size_t kRetryBytes = kHeaderBytes + 16 + kCookieBytes + kMacBytes;

}  // namespace cb::transport
