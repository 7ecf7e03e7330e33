// SPDX-License-Identifier: Apache-2.0
//
// Every key of a pairing and where it comes from. crypto_kdf is BLAKE2b keyed with the master key,
// the label as personalisation and the number as salt; two keys with another label or number know
// nothing of each other. Other rooms that need a key from the pairing key take a label of their own
// and add it here:
//
//   master           label       number                                              gives
//   run key          "cbpair01"  1 pairing key, 2 pairing id, 3 commit MAC key pairing_secrets
//   pairing key      "cbbeat01"  1 + 2 * direction + link (0 direct, 1 network);     heartbeat_keys
//                                direction 0: primary to secondary, 1: back
//   pairing key      "cbcall01"  1 + 2 * (caller is the secondary) + (0 request,     call_keys
//                                1 answer)
//   pairing key      "cbmark01"  1                                                   key_mark
//   pairing key      "cbdata01"  1                                          replication_key
//   pairing key      "cbwitn01"  1                                          witness_key
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bpf/crossbeat_wire.h"
#include "core/types.h"
#include "pairing/secret.h"

namespace cb::pairing {

using PairingKey = std::span<const std::uint8_t, 32>;

struct PairingSecrets {
  Secret<32> key;         // the pairing key
  std::uint64_t id = 0;   // of the frames; public; never 0
  Secret<32> commit_key;  // MACs of the messages after the key exchange
};
// isk: what the key exchange gave (64 bytes). The run key is BLAKE2b-256 of it, keyed with
// "crossbeat pairing run 1".
PairingSecrets pairing_secrets(std::span<const std::uint8_t, 64> isk);

// The SipHash keys for the pinned map cb_keys: transmit and receive by this node's role, each link
// its own. The two words are the subkey's 16 bytes read as little-endian, as SipHash takes its key.
cb_keys heartbeat_keys(PairingKey key, core::Role self);

// MAC keys of calls between paired nodes (call.h). They depend on who calls, so that a call sent
// back to its caller does not verify.
struct CallKeys {
  Secret<32> request;
  Secret<32> answer;
};
CallKeys call_keys(PairingKey key, core::Role caller);

// The pre-shared key of the replication transport (docs/protocol-transport.md section 3).
Secret<32> replication_key(PairingKey key);

// All that a witness is told (witness/keys.h): enough to answer as the witness of this pairing, and
// for nothing else.
std::array<std::uint8_t, 32> witness_key(PairingKey key);

// Tells whether two nodes hold the same key, without telling the key. Public.
using KeyMark = std::array<std::uint8_t, 16>;
KeyMark key_mark(PairingKey key);

}  // namespace cb::pairing
