// SPDX-License-Identifier: Apache-2.0
//
// CPace (draft-irtf-cfrg-cpace-21), suite CPACE-RISTR255-SHA512 in the initiator-responder setting:
// two parties that know the same short code agree on a strong key. Who only listens learns nothing
// to test guesses on; who takes part tests one guess a run. Pure: bytes in, bytes out. One run is
// two scalar multiplications and one map to the group on each side, about 0.15 ms.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pairing/secret.h"

namespace cb::pairing {

inline constexpr std::size_t kShareBytes = 32;
inline constexpr std::size_t kProofBytes = 64;  // HMAC-SHA-512
using PakeShare = std::array<std::uint8_t, kShareBytes>;
using PakeProof = std::array<std::uint8_t, kProofBytes>;

// LEB128 length, then the bytes (draft, section 6.3). Appends to out.
void append_with_length(std::string& out, std::string_view bytes);

enum class Side : std::uint8_t { Initiator, Responder };

struct PakeInput {
  Side side = Side::Initiator;
  std::string_view channel;     // CI: the same on both sides
  std::string_view session_id;  // sid: unique a run, the same on both sides
  std::string_view own_data;    // AD of this side: authenticated, not secret
  std::string_view peer_data;   // AD of the other side, as received
};

class Pake {
 public:
  // Makes the secret scalar and the share to send. The code is not kept.
  static Pake start(const PakeInput& input, std::span<const std::uint8_t> code);
  // With a given scalar: for the draft's test vectors only.
  static Pake start_with_scalar(const PakeInput& input, std::span<const std::uint8_t> code,
                                std::span<const std::uint8_t, 32> scalar);

  const PakeShare& share() const { return share_; }

  // The peer's share. False: not a group element, or one that would make the key known; the run is
  // over.
  [[nodiscard]] bool finish(const PakeShare& peer_share);

  // After finish(): the proof to send, and whether the peer's proof is right. A wrong proof means
  // another code or altered messages; it cannot be told which.
  PakeProof proof() const;
  [[nodiscard]] bool verify(const PakeProof& peer_proof) const;

  // After verify(): ISK, 64 bytes, to derive keys from (keys.h).
  const Secret<64>& key() const;

 private:
  Pake() = default;
  PakeProof proof_over(const PakeShare& share, std::string_view data) const;

  Side side_ = Side::Initiator;
  std::string session_id_;
  std::string own_data_;
  std::string peer_data_;
  Secret<32> scalar_;
  Secret<64> key_;
  Secret<64> mac_key_;
  PakeShare share_{};
  PakeShare peer_share_{};
  bool finished_ = false;
};

}  // namespace cb::pairing
