// SPDX-License-Identifier: Apache-2.0
#include "transport/seal.h"

#include <sodium.h>

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "transport/noise.h"

namespace cb::transport {

namespace {

Key derive(const Key& secret, std::string_view label) {
  return hmac(secret.view(), {reinterpret_cast<const std::uint8_t*>(label.data()), label.size()});
}

}  // namespace

const char* name_of(Cipher cipher) {
  return cipher == Cipher::Aes256Gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
}

std::uint8_t own_ciphers() {
  if (sodium_init() < 0) {  // it looks at the CPU; repeating it costs nothing
    return static_cast<std::uint8_t>(Cipher::ChaCha20Poly1305);
  }
  const bool aes = sodium_runtime_has_aesni() != 0 && sodium_runtime_has_pclmul() != 0;
  const auto chacha = static_cast<std::uint8_t>(Cipher::ChaCha20Poly1305);
  return aes ? static_cast<std::uint8_t>(chacha | static_cast<std::uint8_t>(Cipher::Aes256Gcm))
             : chacha;
}

std::uint8_t choose_cipher(std::uint8_t ours, std::uint8_t theirs) {
  const std::uint8_t both = ours & theirs;
  for (const Cipher cipher : {Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305}) {
    if ((both & static_cast<std::uint8_t>(cipher)) != 0) {
      return static_cast<std::uint8_t>(cipher);
    }
  }
  return 0;
}

Aead::Aead(Cipher cipher, const Key& secret, bool seals)
    : engine_(best_engine(cipher, derive(secret, "crossbeat key"), seals)) {
  const Key iv = derive(secret, "crossbeat iv");
  std::copy_n(iv.data(), base_.size(), base_.begin());
}

std::array<std::uint8_t, kNonceBytes> Aead::nonce(std::uint64_t number) const {
  std::array<std::uint8_t, kNonceBytes> nonce = base_;
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(nonce[4 + i] ^ (number >> (8 * i)));
  }
  return nonce;
}

void Aead::seal(std::uint64_t number, std::span<const std::uint8_t> header,
                std::span<const std::uint8_t> front, std::span<const std::uint8_t> data,
                std::uint8_t* out) {
  engine_->begin(nonce(number), header);
  engine_->update(out, front);
  engine_->update(out + front.size(), data);
  engine_->tag(std::span<std::uint8_t, kTagBytes>(out + front.size() + data.size(), kTagBytes));
}

bool Aead::open(std::uint64_t number, std::span<const std::uint8_t> header,
                std::span<const std::uint8_t> sealed, std::uint8_t* front, const Place& rest) {
  CB_CHECK(sealed.size() >= kTagBytes);
  const auto body = sealed.first(sealed.size() - kTagBytes);
  const std::size_t first = std::min(body.size(), kFront);
  engine_->begin(nonce(number), header);
  engine_->update(front, body.first(first));
  if (body.size() > first) {
    engine_->update(rest({front, first}), body.subspan(first));
  }
  return engine_->matches(sealed.last<kTagBytes>());
}

Sealer::Sealer(Cipher cipher, Key secret)
    : cipher_(cipher), secret_(std::move(secret)), aead_(cipher, secret_, true) {}

void Sealer::seal(std::uint32_t phase, std::uint64_t number, std::span<const std::uint8_t> header,
                  std::span<const std::uint8_t> front, std::span<const std::uint8_t> data,
                  std::uint8_t* out) {
  if (phase != phase_) {
    CB_CHECK(phase == phase_ + 1);
    secret_ = derive(secret_, "crossbeat next");
    aead_ = Aead(cipher_, secret_, true);
    phase_ = phase;
  }
  aead_.seal(number, header, front, data, out);
}

Opener::Opener(Cipher cipher, Key secret)
    : cipher_(cipher), secret_(std::move(secret)), present_(cipher, secret_, false) {}

bool Opener::open(std::uint8_t phase, std::uint64_t number, std::span<const std::uint8_t> header,
                  std::span<const std::uint8_t> sealed, std::uint8_t* front, const Place& rest) {
  if (phase == static_cast<std::uint8_t>(phase_)) {
    return present_.open(number, header, sealed, front, rest);
  }
  if (phase == static_cast<std::uint8_t>(phase_ - 1) && former_ != nullptr) {
    return former_->open(number, header, sealed, front, rest);
  }
  if (phase != static_cast<std::uint8_t>(phase_ + 1)) {
    return false;
  }
  if (next_ == nullptr) {
    next_ = std::make_unique<Aead>(cipher_, derive(secret_, "crossbeat next"), false);
  }
  if (!next_->open(number, header, sealed, front, rest)) {
    return false;
  }
  secret_ = derive(secret_, "crossbeat next");
  former_ = std::make_unique<Aead>(std::move(present_));
  present_ = std::move(*next_);
  next_.reset();
  ++phase_;
  return true;
}

}  // namespace cb::transport
