// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "transport/aead_engine.h"

namespace cb::transport {
namespace {

const EVP_CIPHER* evp_of(Cipher cipher) {
  // Fetched once: looking a cipher up takes longer than sealing a packet.
  static const EVP_CIPHER* const kAes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static const EVP_CIPHER* const kChaCha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return cipher == Cipher::Aes256Gcm ? kAes : kChaCha;
}

int length_of(std::span<const std::uint8_t> bytes) { return static_cast<int>(bytes.size()); }

class OpenSsl final : public AeadEngine {
 public:
  OpenSsl(Cipher cipher, const Key& key, bool seals) : context_(EVP_CIPHER_CTX_new()) {
    const EVP_CIPHER* evp = evp_of(cipher);
    CB_CHECK_MSG(context_ != nullptr && evp != nullptr, "OpenSSL lacks a cipher");
    CB_CHECK(EVP_CipherInit_ex(context_.get(), evp, nullptr, key.data(), nullptr, seals ? 1 : 0) ==
             1);
  }

  void begin(std::span<const std::uint8_t, kNonceBytes> nonce,
             std::span<const std::uint8_t> header) override {
    must(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), -1));
    update(nullptr, header);
  }

  void update(std::uint8_t* out, std::span<const std::uint8_t> in) override {
    if (!in.empty()) {
      int length = 0;
      must(EVP_CipherUpdate(context_.get(), out, &length, in.data(), length_of(in)));
    }
  }

  void tag(std::span<std::uint8_t, kTagBytes> out) override {
    int length = 0;
    must(EVP_CipherFinal_ex(context_.get(), out.data(), &length));
    must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out.data()));
  }

  bool matches(std::span<const std::uint8_t, kTagBytes> tag) override {
    std::array<std::uint8_t, kTagBytes> copy;
    std::copy(tag.begin(), tag.end(), copy.begin());
    must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, copy.data()));
    int length = 0;
    std::uint8_t nothing = 0;
    return EVP_CipherFinal_ex(context_.get(), &nothing, &length) == 1;
  }

 private:
  static void must(int result) { CB_CHECK_MSG(result == 1, "OpenSSL does not seal"); }

  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

}  // namespace

std::unique_ptr<AeadEngine> openssl_engine(Cipher cipher, const Key& key, bool seals) {
  return std::make_unique<OpenSsl>(cipher, key, seals);
}

std::unique_ptr<AeadEngine> best_engine(Cipher cipher, const Key& key, bool seals) {
  auto wide = wide_engine(cipher, key, seals);
  return wide != nullptr ? std::move(wide) : openssl_engine(cipher, key, seals);
}

}  // namespace cb::transport
