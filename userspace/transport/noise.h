// SPDX-License-Identifier: Apache-2.0
//
// One side of Noise_NNpsk0_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34): two messages,
// each an ephemeral key and a sealed payload. Whoever lacks the pre-shared key can neither make nor
// read either; whoever learns it later reads no session of before.
#pragma once

#include <cstdint>
#include <span>

#include "transport/secret.h"

namespace cb::transport {

inline constexpr std::size_t kDhBytes = 32;
inline constexpr std::size_t kSealBytes = 16;

class Noise {
 public:
  // ephemeral: the private key of this run, random; it is given so that tests can repeat a run.
  Noise(std::span<const std::uint8_t, 32> psk, std::span<const std::uint8_t> prologue,
        Key ephemeral);
  Noise(Noise&&) = default;
  Noise& operator=(Noise&&) = default;
  Noise copy() const;

  // The opener writes the first message and reads the second, the other the reverse. out: the
  // public key, then the payload sealed: kDhBytes + payload + kSealBytes.
  void write_first(std::span<const std::uint8_t> payload, std::span<std::uint8_t> out);
  // False: not made with our key. The state is of no use any more then.
  [[nodiscard]] bool read_first(std::span<const std::uint8_t> message,
                                std::span<std::uint8_t> payload);
  [[nodiscard]] bool write_second(std::span<const std::uint8_t> payload,
                                  std::span<std::uint8_t> out);
  [[nodiscard]] bool read_second(std::span<const std::uint8_t> message,
                                 std::span<std::uint8_t> payload);

  // After the second message: the secrets of both directions, and the hash of all that was said.
  struct Split {
    Key opener;     // of what the opener sends
    Key responder;  // of what the other sends
  };
  Split split();
  std::span<const std::uint8_t, 32> hash() const noexcept { return hash_; }

 private:
  Noise() = default;
  void mix_hash(std::span<const std::uint8_t> data);
  void mix_key(std::span<const std::uint8_t> input);
  void mix_key_and_hash(std::span<const std::uint8_t> input);
  void take_ephemeral(std::span<const std::uint8_t> key);
  bool mix_dh(std::span<const std::uint8_t, 32> other);
  void seal(std::span<const std::uint8_t> payload, std::uint8_t* out);
  bool unseal(std::span<const std::uint8_t> sealed, std::uint8_t* out);

  std::array<std::uint8_t, 32> hash_{};
  Key chain_;
  Key key_;
  std::uint64_t nonce_ = 0;
  Key psk_;
  Key ephemeral_;
  std::array<std::uint8_t, 32> own_public_{};
  std::array<std::uint8_t, 32> other_public_{};
};

// HMAC-SHA-256.
Key hmac(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t> data);

}  // namespace cb::transport
