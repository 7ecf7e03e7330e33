// SPDX-License-Identifier: Apache-2.0
//
// The two messages that carry a secret or a configuration. Each is sealed with a key that is used
// once: it comes from the run's, or from the call's nonces; so the nonce of the cipher is zero.
#include <sodium.h>

#include <algorithm>
#include <array>

#include "pairing/bytes.h"
#include "pairing/message.h"

namespace cb::pairing {
namespace {

constexpr std::string_view kRestoreLabel{"crossbeat restore 1\0", 20};
constexpr std::string_view kKeepLabel{"crossbeat keep 1\0", 17};
constexpr std::array<unsigned char, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES> kNonce{};
constexpr std::size_t kPairMax = 4096;  // of a pairing's file

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Secret<32> key_for(std::string_view label, std::string_view run, const Secret<32>& key) {
  Secret<32> derived;
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), derived.size());
  crypto_generichash_update(&state, bytes_of(label), label.size());
  crypto_generichash_update(&state, bytes_of(run), run.size());
  crypto_generichash_final(&state, derived.data(), derived.size());
  sodium_memzero(&state, sizeof state);
  return derived;
}

std::string seal(std::string_view plain, const Secret<32>& key) {
  std::string sealed(plain.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(sealed.data()),
                                             nullptr, bytes_of(plain), plain.size(), nullptr, 0,
                                             nullptr, kNonce.data(), key.data());
  return sealed;
}

std::optional<std::string> open_sealed(std::string_view sealed, const Secret<32>& key) {
  if (sealed.size() < crypto_aead_xchacha20poly1305_ietf_ABYTES) {
    return std::nullopt;
  }
  std::string plain(sealed.size() - crypto_aead_xchacha20poly1305_ietf_ABYTES, '\0');
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(plain.data()),
                                                 nullptr, nullptr, bytes_of(sealed), sealed.size(),
                                                 nullptr, 0, kNonce.data(), key.data()) != 0) {
    return std::nullopt;
  }
  return plain;
}

std::string call_of(const CallContext& context) {
  Writer out;
  out.u64(context.pairing);
  out.bytes(context.caller);
  out.bytes(context.listener);
  return out.take();
}

}  // namespace

std::optional<std::string> encode_restored(const Restored& restored, std::string_view session_id,
                                           const Secret<32>& commit_key) {
  const std::string pair = config::pair_to_toml(restored.pair);
  if (pair.size() > kPairMax || restored.node.size() > kKeptMax) {
    return std::nullopt;
  }
  Writer out;
  out.u16(static_cast<std::uint16_t>(pair.size()));
  out.raw(pair);
  out.bytes(restored.pair.key);
  out.u64(restored.term);
  out.raw(restored.node);
  std::string plain = out.take();
  std::string sealed = seal(plain, key_for(kRestoreLabel, session_id, commit_key));
  sodium_memzero(plain.data(), plain.size());
  return sealed;
}

std::optional<Restored> decode_restored(std::string_view body, std::string_view session_id,
                                        const Secret<32>& commit_key) {
  auto plain = open_sealed(body, key_for(kRestoreLabel, session_id, commit_key));
  if (!plain) {
    return std::nullopt;
  }
  Reader in(*plain);
  Restored restored;
  const auto length = in.u16();
  const auto text = length ? in.raw(*length) : std::nullopt;
  const auto pair = text ? config::parse_pair(*text, "pairing") : config::Parsed<config::Pair>{};
  const bool whole = text && pair.ok() && in.bytes(restored.pair.key);
  const auto term = in.u64();
  restored.node = std::string(in.rest());
  if (!whole || !term || restored.node.size() > kKeptMax) {
    return std::nullopt;
  }
  const auto key = restored.pair.key;
  restored.pair = pair.value;
  restored.pair.key = key;
  restored.term = *term;
  sodium_memzero(plain->data(), plain->size());
  return restored;
}

std::optional<std::string> encode_keep(std::string_view text, const CallContext& context,
                                       const Secret<32>& request_key) {
  if (text.size() > kKeptMax) {
    return std::nullopt;
  }
  return seal(text, key_for(kKeepLabel, call_of(context), request_key));
}

std::optional<std::string> decode_keep(std::string_view body, const CallContext& context,
                                       const Secret<32>& request_key) {
  auto text = open_sealed(body, key_for(kKeepLabel, call_of(context), request_key));
  return text && text->size() <= kKeptMax ? text : std::nullopt;
}

}  // namespace cb::pairing
