// SPDX-License-Identifier: Apache-2.0
//
// The datagrams between a node and its witness (docs/protocol-witness.md). All have one size and
// one layout, so that nobody is worth being made to answer. Little-endian.
//
//   Hello      node     I am here; my nonce                                   node key
//   Challenge  witness  ... and this is mine                                  node key
//   Request    node     what is asked, with the next number of the session    session key
//   Answer     witness  to exactly this request                               session key
//   NoSession  witness  to exactly this request: I know no such session       node key
//   Stranger   witness  I have no such pairing; not authentic, a hint         none
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/witness/record.h"
#include "witness/keys.h"

namespace cb::witness {

inline constexpr std::size_t kMessageBytes = 256;
inline constexpr std::size_t kTagBytes = 32;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::uint16_t kPort = 7391;

enum class Type : std::uint8_t {
  Hello = 1,
  Challenge = 2,
  Request = 3,
  Answer = 4,
  NoSession = 5,
  Stranger = 6,
};

struct Message {
  Type type = Type::Hello;
  std::uint64_t pairing = 0;
  Nonce client{};
  Nonce server{};
  std::uint64_t sequence = 0;      // of the session, from 1
  core::witness::Request request;  // all: node. Answer: operation. Request: the rest
  core::witness::Result result{};  // Answer
  core::witness::Record record;    // Answer: as it is now
  bool operator==(const Message&) const = default;
};

using Datagram = std::array<std::byte, kMessageBytes>;

// key: nullptr for a Stranger.
Datagram encode(const Message& message, const Key* key);
// Everything but the tag: nothing if a byte is not as encode() would have written it.
std::optional<Message> decode(std::span<const std::byte> bytes);
// In constant time.
bool is_authentic(std::span<const std::byte> bytes, const Key& key);

}  // namespace cb::witness
