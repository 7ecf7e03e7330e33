// SPDX-License-Identifier: Apache-2.0
#include "pairing/keys.h"

#include <string_view>

namespace cb::pairing {
namespace {

constexpr std::string_view kRunLabel = "crossbeat pairing run 1";

static_assert(crypto_kdf_KEYBYTES == 32 && crypto_kdf_CONTEXTBYTES == 8);

using Label = const char[crypto_kdf_CONTEXTBYTES + 1];
constexpr Label kPairing = "cbpair01";
constexpr Label kHeartbeat = "cbbeat01";
constexpr Label kCall = "cbcall01";
constexpr Label kMark = "cbmark01";
constexpr Label kData = "cbdata01";
constexpr Label kWitness = "cbwitn01";

template <std::size_t N>
void derive(std::span<std::uint8_t, N> out, PairingKey master, const Label& label,
            std::uint64_t number) {
  static_assert(N >= crypto_kdf_BYTES_MIN && N <= crypto_kdf_BYTES_MAX);
  const int failed = crypto_kdf_derive_from_key(out.data(), N, number, label, master.data());
  CB_CHECK(failed == 0);
}

template <std::size_t N>
void derive(Secret<N>& out, PairingKey master, const Label& label, std::uint64_t number) {
  derive(std::span<std::uint8_t, N>(out.data(), N), master, label, number);
}

std::uint64_t little_endian(const std::uint8_t* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = (value << 8) | bytes[i];
  }
  return value;
}

// direction 0: primary to secondary, 1: secondary to primary.
void heartbeat_key(__u64 (&out)[2], PairingKey key, unsigned direction, unsigned link) {
  Secret<16> subkey;
  derive(subkey, key, kHeartbeat, 1 + 2 * direction + link);
  out[0] = little_endian(subkey.data());
  out[1] = little_endian(subkey.data() + 8);
}

}  // namespace

PairingSecrets pairing_secrets(std::span<const std::uint8_t, 64> isk) {
  Secret<32> run;
  crypto_generichash(run.data(), run.size(), isk.data(), isk.size(),
                     reinterpret_cast<const unsigned char*>(kRunLabel.data()), kRunLabel.size());
  PairingSecrets secrets;
  derive(secrets.key, run.view(), kPairing, 1);
  Secret<16> id;
  derive(id, run.view(), kPairing, 2);
  secrets.id = little_endian(id.data());
  if (secrets.id == 0) {
    secrets.id = 1;  // 0 means "no pairing" in the maps
  }
  derive(secrets.commit_key, run.view(), kPairing, 3);
  return secrets;
}

cb_keys heartbeat_keys(PairingKey key, core::Role self) {
  cb_keys keys{};
  const unsigned own = self == core::Role::Primary ? 0 : 1;
  for (unsigned link = 0; link < CB_LINKS; ++link) {
    heartbeat_key(keys.transmit[link], key, own, link);
    heartbeat_key(keys.receive[link], key, 1 - own, link);
  }
  return keys;
}

CallKeys call_keys(PairingKey key, core::Role caller) {
  const std::uint64_t first = caller == core::Role::Primary ? 1 : 3;
  CallKeys keys;
  derive(keys.request, key, kCall, first);
  derive(keys.answer, key, kCall, first + 1);
  return keys;
}

Secret<32> replication_key(PairingKey key) {
  Secret<32> out;
  derive(out, key, kData, 1);
  return out;
}

std::array<std::uint8_t, 32> witness_key(PairingKey key) {
  std::array<std::uint8_t, 32> out{};
  derive(std::span<std::uint8_t, 32>(out), key, kWitness, 1);
  return out;
}

KeyMark key_mark(PairingKey key) {
  KeyMark mark{};
  derive(std::span<std::uint8_t, 16>(mark), key, kMark, 1);
  return mark;
}

}  // namespace cb::pairing
