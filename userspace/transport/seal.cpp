// SPDX-License-Identifier: Apache-2.0
#include "transport/seal.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "transport/noise.h"

namespace cb::transport {

namespace {

constexpr int kTagBytes = 16;

Key derive(const Key& secret, std::string_view label) {
  return hmac(secret.view(), {reinterpret_cast<const std::uint8_t*>(label.data()), label.size()});
}

const EVP_CIPHER* evp_of(Cipher cipher) {
  // Fetched once: looking a cipher up takes longer than sealing a packet.
  static const EVP_CIPHER* const kAes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static const EVP_CIPHER* const kChaCha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return cipher == Cipher::Aes256Gcm ? kAes : kChaCha;
}

int length_of(std::span<const std::uint8_t> bytes) { return static_cast<int>(bytes.size()); }

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

Aead::Aead(Cipher cipher, const Key& secret, bool seals) : context_(EVP_CIPHER_CTX_new()) {
  const EVP_CIPHER* evp = evp_of(cipher);
  CB_CHECK_MSG(context_ != nullptr && evp != nullptr, "OpenSSL lacks a cipher");
  const Key key = derive(secret, "crossbeat key");
  const Key iv = derive(secret, "crossbeat iv");
  std::copy_n(iv.data(), base_.size(), base_.begin());
  const int fine =
      EVP_CipherInit_ex(context_.get(), evp, nullptr, key.data(), nullptr, seals ? 1 : 0);
  CB_CHECK(fine == 1);
}

std::array<std::uint8_t, 12> Aead::nonce(std::uint64_t number) const {
  std::array<std::uint8_t, 12> nonce = base_;
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(nonce[4 + i] ^ (number >> (8 * i)));
  }
  return nonce;
}

void Aead::seal(std::uint64_t number, std::span<const std::uint8_t> header,
                std::span<const std::uint8_t> front, std::span<const std::uint8_t> data,
                std::uint8_t* out) {
  EVP_CIPHER_CTX* context = context_.get();
  const auto iv = nonce(number);
  int length = 0;
  bool fine = EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, iv.data()) == 1;
  fine &= EVP_EncryptUpdate(context, nullptr, &length, header.data(), length_of(header)) == 1;
  fine &= EVP_EncryptUpdate(context, out, &length, front.data(), length_of(front)) == 1;
  out += front.size();
  if (!data.empty()) {
    fine &= EVP_EncryptUpdate(context, out, &length, data.data(), length_of(data)) == 1;
    out += data.size();
  }
  fine &= EVP_EncryptFinal_ex(context, out, &length) == 1;
  fine &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out) == 1;
  CB_CHECK_MSG(fine, "OpenSSL does not seal");
}

bool Aead::open(std::uint64_t number, std::span<const std::uint8_t> header,
                std::span<const std::uint8_t> sealed, std::uint8_t* front, const Place& rest) {
  CB_CHECK(sealed.size() >= kTagBytes);
  EVP_CIPHER_CTX* context = context_.get();
  const auto iv = nonce(number);
  const auto body = sealed.first(sealed.size() - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag{};
  std::ranges::copy(sealed.last(kTagBytes), tag.begin());
  int length = 0;
  bool fine = EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, iv.data()) == 1;
  fine &= EVP_DecryptUpdate(context, nullptr, &length, header.data(), length_of(header)) == 1;
  const std::size_t first = std::min(body.size(), kFront);
  fine &= EVP_DecryptUpdate(context, front, &length, body.data(), static_cast<int>(first)) == 1;
  if (body.size() > first) {
    const auto others = body.subspan(first);
    fine &= EVP_DecryptUpdate(context, rest({front, first}), &length, others.data(),
                              length_of(others)) == 1;
  }
  fine &= EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1;
  CB_CHECK_MSG(fine, "OpenSSL does not open");
  std::uint8_t nothing = 0;
  return EVP_DecryptFinal_ex(context, &nothing, &length) == 1;
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
