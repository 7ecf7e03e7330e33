// SPDX-License-Identifier: Apache-2.0
//
// The messages of pairing as bytes. Big-endian, no padding, every length bounded, exactly one
// encoding of every message (a later version's optional fields and reasons apart). Whatever does
// not fit is refused whole. Pure.
//
//   frame:  'X' 'B' 'P' 'R' | version 1 | kind | length of the body, 2 bytes | body
//
// docs/protocol-pairing.md shows who sends what when.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "bpf/crossbeat_wire.h"
#include "config/ir.h"
#include "config/platform.h"
#include "core/types.h"
#include "pairing/keys.h"
#include "pairing/pake.h"
#include "pairing/refusal.h"

namespace cb::pairing {

inline constexpr std::size_t kHeaderBytes = 8;
inline constexpr std::size_t kBodyMax = 16384;
inline constexpr std::size_t kTellMax = kBodyMax - 64;  // what a Tell may carry
inline constexpr std::size_t kKeptMax = 40'960;         // of a configuration that the peer keeps
inline constexpr std::size_t kBigBodyMax = 49'152;      // of the two messages that carry one
inline constexpr std::uint8_t kFrameVersion = 1;        // of the frame; never changes without need
inline constexpr std::uint8_t kProtocolMin = 1;         // what this software speaks
inline constexpr std::uint8_t kProtocolMax = 1;
inline constexpr std::size_t kNameMax = 64;
inline constexpr std::size_t kVersionMax = 32;
inline constexpr std::size_t kUdiMax = 128;
inline constexpr std::size_t kNetworksMax = 16;
inline constexpr std::size_t kVirtualMax = 16;
inline constexpr std::size_t kLicenceMax = 512;
inline constexpr std::int64_t kFailoverWaitMaxMs = 86'400'000;  // a day

enum class Kind : std::uint8_t {
  Hello = 1,      // both: identity and what the pairing would be
  Share = 2,      // both: of the key exchange
  Proof = 3,      // both: of the key exchange
  Commit = 4,     // primary: save it            MAC
  Committed = 5,  // secondary: saved            MAC
  Finish = 6,     // primary: done, or undo      MAC
  Refuse = 7,     // either: a Refusal; ends the conversation
  Ask = 8,        // a call: pairing id and a nonce
  Challenge = 9,  // a nonce
  Request = 10,   // what is wanted              MAC
  Reply = 11,     // how it went                 MAC
  Restore = 12,   // primary: give me back what I was     MAC
  Restored = 13,  // secondary                            sealed
  Keep = 14,      // a call: my configuration, for that   sealed
};

struct Frame {
  Kind kind = Kind::Refuse;
  std::string body;
};
std::string frame_bytes(Kind kind, std::string_view body);

// Cuts a stream into frames. Holds at most one frame's bytes: the protocol is strictly in turns.
class FrameReader {
 public:
  // False: this is not our protocol, or somebody talks out of turn; nothing more may be read.
  [[nodiscard]] bool feed(std::string_view bytes);
  std::optional<Frame> next();
  bool empty() const { return held_.empty(); }

 private:
  std::string held_;
};

using Nonce = std::array<std::uint8_t, 16>;

struct HeldPairing {  // the pairing that a node has with this peer now
  std::uint64_t id = 0;
  KeyMark mark{};
  bool operator==(const HeldPairing&) const = default;
};

struct WireRange {
  std::uint8_t lowest = CB_VERSION;
  std::uint8_t highest = CB_VERSION;
  bool operator==(const WireRange&) const = default;
};

struct Hello {
  std::uint8_t protocol_min = kProtocolMin;
  std::uint8_t protocol_max = kProtocolMax;
  core::Role role = core::Role::Primary;
  bool direct = false;  // has a direct link that no other pairing uses
  bool automatic_failover = false;
  bool automatic_failback = false;
  std::string name;
  std::string version;
  std::string product_version;  // optional; empty: the product has the software's version
  std::string udi;
  config::Address hm_address;
  config::Address target;  // the address that is talked to, as the sender sees it
  std::vector<config::Prefix> networks;
  std::vector<config::Prefix> virtual_addresses;
  Duration failover_wait{};  // whole milliseconds
  std::uint32_t instance_number = 0;
  std::optional<HeldPairing> held;
  std::optional<config::PairVolume> volume;  // optional: the primary's
  Nonce nonce{};
  // From here on optional: a peer of an older version sends none of it, and passes over ours.
  config::Platform platform;
  WireRange heartbeat;  // versions of the heartbeat that it speaks
  using Others = std::vector<std::string>;
  std::optional<Others> others;     // secondary: models of its other primaries
  std::string licence;              // the text of its licence file; empty: none
  bool recover = false;             // primary: has lost its pairing, and wants it back
  Refusal verdict = Refusal::None;  // secondary: what its own rules say of this pairing
  bool operator==(const Hello&) const = default;
};
inline constexpr std::size_t body_max(Kind kind) {
  return kind == Kind::Restored || kind == Kind::Keep ? kBigBodyMax : kBodyMax;
}

// A hello that cannot be encoded (too long a name, too many addresses) is the local node's fault:
// nullopt.
std::optional<std::string> encode_hello(const Hello& hello);
std::optional<Hello> decode_hello(std::string_view body);

using Mac = std::array<std::uint8_t, 32>;  // keyed BLAKE2b-256

std::string encode_share(const PakeShare& share);
std::optional<PakeShare> decode_share(std::string_view body);
std::string encode_proof(const PakeProof& proof);
std::optional<PakeProof> decode_proof(std::string_view body);
std::string encode_refuse(Refusal refusal);
std::optional<Refusal> decode_refuse(std::string_view body);  // an unknown number: NotNow

// Commit, Committed, Finish. The MAC covers kind, choice and the session id of the run.
enum class Choice : std::uint8_t { Go = 1, Undo = 2 };  // Undo: only in Finish
std::string encode_commit(Kind kind, Choice choice, std::string_view session_id,
                          const Secret<32>& key);
// Nullopt: not of this form, or the MAC is wrong.
std::optional<Choice> decode_commit(Kind kind, std::string_view body, std::string_view session_id,
                                    const Secret<32>& key);

struct Ask {
  std::uint64_t pairing = 0;
  Nonce nonce{};
};
std::string encode_ask(const Ask& ask);
std::optional<Ask> decode_ask(std::string_view body);
std::string encode_challenge(const Nonce& nonce);
std::optional<Nonce> decode_challenge(std::string_view body);

enum class Verb : std::uint8_t {
  Unpair = 1,
  PeerInfo = 2,
  Tell = 3,  // the caller hands over bytes that mean something to the called node's owner
  UnpairAndDelete = 4,  // the called node's licence goes too
  Keep = 5,             // its request is a message of its own kind: Kind::Keep
};
struct CallContext {  // what every MAC of a call covers besides the message
  std::uint64_t pairing = 0;
  Nonce caller{};
  Nonce listener{};
};
struct Request {
  Verb verb = Verb::PeerInfo;
  std::string told{};  // Tell: at least one byte, at most kTellMax; else empty
  bool operator==(const Request&) const = default;
};
std::string encode_request(const Request& request, const CallContext& context,
                           const Secret<32>& key);
std::optional<Request> decode_request(std::string_view body, const CallContext& context,
                                      const Secret<32>& key);
struct Reply {
  Verb verb = Verb::PeerInfo;
  Refusal refusal = Refusal::None;
  std::string hello;  // PeerInfo: an encoded hello
};
std::string encode_reply(const Reply& reply, const CallContext& context, const Secret<32>& key);
std::optional<Reply> decode_reply(std::string_view body, const CallContext& context,
                                  const Secret<32>& key);

// What a secondary gives back to a primary that lost it.
struct Restored {
  config::Pair pair;       // as the primary held it, with its key
  std::uint64_t term = 0;  // newest that the secondary knows; nothing may begin below it
  std::string node;        // its configuration, as it was given to keep; may be empty
};
// Sealed (XChaCha20-Poly1305) with a key of this run alone. Nullopt: not of this form, or bent.
std::optional<std::string> encode_restored(const Restored& restored, std::string_view session_id,
                                           const Secret<32>& commit_key);
std::optional<Restored> decode_restored(std::string_view body, std::string_view session_id,
                                        const Secret<32>& commit_key);
std::optional<std::string> encode_keep(std::string_view text, const CallContext& context,
                                       const Secret<32>& request_key);
std::optional<std::string> decode_keep(std::string_view body, const CallContext& context,
                                       const Secret<32>& request_key);

}  // namespace cb::pairing
