// SPDX-License-Identifier: Apache-2.0
//
// Two ways to the same AEAD. OpenSSL's is there on every machine and for every cipher;
// libipsec-mb's AES-256-GCM uses the wide AES instructions of amd64, which OpenSSL 3.0 does not,
// and takes a third of the time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "transport/secret.h"

namespace cb::transport {

enum class Cipher : std::uint8_t { Aes256Gcm = 1, ChaCha20Poly1305 = 2 };

inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kNonceBytes = 12;

// One key in one direction. A packet is begin, any number of updates, and an end.
class AeadEngine {
 public:
  virtual ~AeadEngine() = default;
  AeadEngine() = default;
  AeadEngine(const AeadEngine&) = delete;
  AeadEngine& operator=(const AeadEngine&) = delete;

  // header: authenticated, and not sealed.
  virtual void begin(std::span<const std::uint8_t, kNonceBytes> nonce,
                     std::span<const std::uint8_t> header) = 0;
  // As many bytes to out as come in.
  virtual void update(std::uint8_t* out, std::span<const std::uint8_t> in) = 0;
  // Of one that seals.
  virtual void tag(std::span<std::uint8_t, kTagBytes> out) = 0;
  // Of one that opens, in constant time.
  [[nodiscard]] virtual bool matches(std::span<const std::uint8_t, kTagBytes> tag) = 0;
};

std::unique_ptr<AeadEngine> openssl_engine(Cipher cipher, const Key& key, bool seals);
// Null: this machine or this build has none, or not for this cipher.
std::unique_ptr<AeadEngine> wide_engine(Cipher cipher, const Key& key, bool seals);
// The better of the two.
std::unique_ptr<AeadEngine> best_engine(Cipher cipher, const Key& key, bool seals);

}  // namespace cb::transport
