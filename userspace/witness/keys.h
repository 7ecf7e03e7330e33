// SPDX-License-Identifier: Apache-2.0
//
// The keys between a pairing and its witness. The witness key comes from the pairing key
// (pairing/keys.h) and is all that the witness is told: who has it can ask and answer as a witness,
// but can neither speak as a node to a node nor read any data.
//
//   witness key  BLAKE2b-256 keyed, over a label and the fields named:
//     node key      "crossbeat witness node 1", node, direction
//     session key   of a node key: "crossbeat witness session 1", both nonces
//
// The enrolment line carries the witness key to the witness: "cbw1-" and hexadecimal: pairing id 8,
// witness key 32, the first 4 bytes of BLAKE2b-256 over both. Whoever reads it is a witness: it
// travels as a file or through a pipe, never over somebody's shoulder.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/volume/types.h"

namespace cb::witness {

using Key = std::array<std::uint8_t, 32>;
using Nonce = std::array<std::uint8_t, 16>;

enum class Direction : std::uint8_t { Request = 1, Answer = 2 };

// Makes libsodium ready; safe to repeat.
Result<> crypto_ready();

Key node_key(const Key& witness_key, core::volume::Node node, Direction direction);
Key session_key(const Key& node_key, const Nonce& client, const Nonce& server);
void draw(std::uint8_t* bytes, std::size_t count);
void wipe(Key& key) noexcept;

struct Enrolment {
  std::uint64_t pairing = 0;
  Key key{};
};
std::string enrolment_line(const Enrolment& enrolment);
std::optional<Enrolment> parse_enrolment(std::string_view line);

}  // namespace cb::witness
