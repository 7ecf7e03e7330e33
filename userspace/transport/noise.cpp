// SPDX-License-Identifier: Apache-2.0
#include "transport/noise.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.h"

namespace cb::transport {

namespace {

constexpr std::string_view kName = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";

using Nonce = std::array<std::uint8_t, 12>;

Nonce nonce_of(std::uint64_t number) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return nonce;
}

// HMAC over data and one more byte, as HKDF wants it.
Key hmac_with(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t> data,
              std::uint8_t last) {
  crypto_auth_hmacsha256_state state;
  Key out;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, data.data(), data.size());
  crypto_auth_hmacsha256_update(&state, &last, 1);
  crypto_auth_hmacsha256_final(&state, out.data());
  explicit_bzero(&state, sizeof(state));
  return out;
}

}  // namespace

Key hmac(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t> data) {
  crypto_auth_hmacsha256_state state;
  Key out;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, data.data(), data.size());
  crypto_auth_hmacsha256_final(&state, out.data());
  explicit_bzero(&state, sizeof(state));
  return out;
}

Noise::Noise(std::span<const std::uint8_t, 32> psk, std::span<const std::uint8_t> prologue,
             Key ephemeral)
    : psk_(psk), ephemeral_(std::move(ephemeral)) {
  crypto_hash_sha256(hash_.data(), reinterpret_cast<const std::uint8_t*>(kName.data()),
                     kName.size());
  chain_ = Key(hash_);
  mix_hash(prologue);
  crypto_scalarmult_curve25519_base(own_public_.data(), ephemeral_.data());
}

Noise Noise::copy() const {
  Noise copy;
  copy.hash_ = hash_;
  copy.chain_ = chain_.copy();
  copy.key_ = key_.copy();
  copy.nonce_ = nonce_;
  copy.psk_ = psk_.copy();
  copy.ephemeral_ = ephemeral_.copy();
  copy.own_public_ = own_public_;
  copy.other_public_ = other_public_;
  return copy;
}

void Noise::mix_hash(std::span<const std::uint8_t> data) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, hash_.data(), hash_.size());
  crypto_hash_sha256_update(&state, data.data(), data.size());
  crypto_hash_sha256_final(&state, hash_.data());
}

void Noise::mix_key(std::span<const std::uint8_t> input) {
  const Key temp = hmac(chain_.view(), input);
  chain_ = hmac_with(temp.view(), {}, 1);
  key_ = hmac_with(temp.view(), chain_.view(), 2);
  nonce_ = 0;
}

void Noise::mix_key_and_hash(std::span<const std::uint8_t> input) {
  const Key temp = hmac(chain_.view(), input);
  chain_ = hmac_with(temp.view(), {}, 1);
  const Key hash = hmac_with(temp.view(), chain_.view(), 2);
  key_ = hmac_with(temp.view(), hash.view(), 3);
  mix_hash(hash.view());
  nonce_ = 0;
}

// An ephemeral key is mixed into the key as well where a pre-shared key is used.
void Noise::take_ephemeral(std::span<const std::uint8_t> key) {
  mix_hash(key);
  mix_key(key);
}

bool Noise::mix_dh(std::span<const std::uint8_t, 32> other) {
  Key shared;
  const bool fine =
      crypto_scalarmult_curve25519(shared.data(), ephemeral_.data(), other.data()) == 0;
  mix_key(shared.view());
  return fine;
}

void Noise::seal(std::span<const std::uint8_t> payload, std::uint8_t* out) {
  unsigned long long length = 0;
  crypto_aead_chacha20poly1305_ietf_encrypt(out, &length, payload.data(), payload.size(),
                                            hash_.data(), hash_.size(), nullptr,
                                            nonce_of(nonce_++).data(), key_.data());
  mix_hash({out, static_cast<std::size_t>(length)});
}

bool Noise::unseal(std::span<const std::uint8_t> sealed, std::uint8_t* out) {
  const bool fine = crypto_aead_chacha20poly1305_ietf_decrypt(
                        out, nullptr, nullptr, sealed.data(), sealed.size(), hash_.data(),
                        hash_.size(), nonce_of(nonce_++).data(), key_.data()) == 0;
  mix_hash(sealed);
  return fine;
}

void Noise::write_first(std::span<const std::uint8_t> payload, std::span<std::uint8_t> out) {
  CB_CHECK(out.size() == kDhBytes + payload.size() + kSealBytes);
  mix_key_and_hash(psk_.view());
  std::ranges::copy(own_public_, out.begin());
  take_ephemeral(own_public_);
  seal(payload, out.data() + kDhBytes);
}

bool Noise::read_first(std::span<const std::uint8_t> message, std::span<std::uint8_t> payload) {
  CB_CHECK(message.size() == kDhBytes + payload.size() + kSealBytes);
  mix_key_and_hash(psk_.view());
  std::ranges::copy(message.first(kDhBytes), other_public_.begin());
  take_ephemeral(other_public_);
  return unseal(message.subspan(kDhBytes), payload.data());
}

bool Noise::write_second(std::span<const std::uint8_t> payload, std::span<std::uint8_t> out) {
  CB_CHECK(out.size() == kDhBytes + payload.size() + kSealBytes);
  std::ranges::copy(own_public_, out.begin());
  take_ephemeral(own_public_);
  const bool fine = mix_dh(other_public_);
  seal(payload, out.data() + kDhBytes);
  return fine;
}

bool Noise::read_second(std::span<const std::uint8_t> message, std::span<std::uint8_t> payload) {
  CB_CHECK(message.size() == kDhBytes + payload.size() + kSealBytes);
  std::ranges::copy(message.first(kDhBytes), other_public_.begin());
  take_ephemeral(other_public_);
  const bool fine = mix_dh(other_public_);
  return unseal(message.subspan(kDhBytes), payload.data()) && fine;
}

Noise::Split Noise::split() {
  const Key temp = hmac(chain_.view(), {});
  Split split;
  split.opener = hmac_with(temp.view(), {}, 1);
  split.responder = hmac_with(temp.view(), split.opener.view(), 2);
  return split;
}

}  // namespace cb::transport
