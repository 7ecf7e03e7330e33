// SPDX-License-Identifier: Apache-2.0
//
// What may be paired. Both sides check the same rules over the same two hellos, so both come to the
// same answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/ir.h"
#include "pairing/identity.h"
#include "pairing/message.h"
#include "pairing/refusal.h"

namespace cb::pairing {

struct Finding {
  Refusal refusal = Refusal::None;
  std::string detail;  // "10.0.1.11/24 is not in 10.0.0.0/24", made of checked values
  explicit operator bool() const { return refusal != Refusal::None; }
};

// The first rule that does not hold, or nothing. primary started the pairing; secondary answered.
Finding check_rules(const Hello& primary, const Hello& secondary, const RuleBook& book);

// A primary that lost its pairing and asks for it: who they are and where.
Finding check_recovery(const Hello& primary, const Hello& secondary);

// Every rule in words, for an operator, whether it holds or not.
struct RuleLine {
  std::string rule;
  bool holds = true;
  std::string text;
};
std::vector<RuleLine> explain_rules(const Hello& primary, const Hello& secondary,
                                    const RuleBook& book);

// What an operator knows as the version of a node.
const std::string& shown_version(const Hello& hello);

// "activated", "not required", or what is wrong with the node's licence.
std::string activation_text(const Hello& node, const RuleBook& book);

// What only the secondary can know: room for one more, virtual addresses not in use by another
// pairing.
Finding check_room(const LocalIdentity& secondary, const Hello& primary);

// The number of the primary's instance among those of this secondary: the one that the primary has
// in its configuration, or when another pairing has that, the first free one from 3 on.
std::uint32_t instance_number_for(const LocalIdentity& secondary, const Hello& primary);

// Whether the address lies in one of these networks.
bool is_in_any(const config::Address& address, const std::vector<config::Prefix>& networks);

// The highest protocol version that both speak. Only after check_rules.
std::uint8_t agreed_protocol(const Hello& a, const Hello& b);

// The pairing that this node would hold, without id and key: both come from the key exchange.
config::Pair pair_from(core::Role self, const Hello& primary, const Hello& secondary);

// The pairing that this node holds with the peer: by the primary's address on a secondary, by the
// secondary's on a primary.
const config::Pair* held_with(const LocalIdentity& self, const config::Address& peer);

// This node's hello to this peer. The nonce is fresh random.
Hello make_hello(const LocalIdentity& self, const config::Address& peer);

// Both hold the same pairing, so a new run keeps its id and key and renews the rest.
bool is_renewal(const Hello& a, const Hello& b);

}  // namespace cb::pairing
