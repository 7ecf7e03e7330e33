// SPDX-License-Identifier: Apache-2.0
#include "pairing/pake.h"

#include <algorithm>

namespace cb::pairing {
namespace {

constexpr std::string_view kDsi = "CPaceRistretto255";
constexpr std::string_view kDsiIsk = "CPaceRistretto255_ISK";
constexpr std::string_view kMacLabel = "CPaceMac";
constexpr std::size_t kHashBlockBytes = 128;  // SHA-512's s_in_bytes

static_assert(kShareBytes == crypto_core_ristretto255_BYTES);
static_assert(crypto_core_ristretto255_SCALARBYTES == 32);
static_assert(crypto_core_ristretto255_HASHBYTES == crypto_hash_sha512_BYTES);
static_assert(kProofBytes == crypto_auth_hmacsha512_BYTES);

std::string length_prefix(std::size_t length) {
  std::string out;
  do {
    const auto low = static_cast<unsigned char>(length & 0x7f);
    length >>= 7;
    out.push_back(static_cast<char>(length == 0 ? low : low | 0x80));
  } while (length != 0);
  return out;
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// SHA-512 over fields with their lengths, fed one by one so that no buffer gathers secrets.
class FieldHash {
 public:
  FieldHash() { crypto_hash_sha512_init(&state_); }
  ~FieldHash() { sodium_memzero(&state_, sizeof state_); }
  FieldHash(const FieldHash&) = delete;
  FieldHash& operator=(const FieldHash&) = delete;

  FieldHash& plain(std::string_view bytes) {
    crypto_hash_sha512_update(&state_, octets(bytes), bytes.size());
    return *this;
  }
  FieldHash& field(std::string_view bytes) {
    return plain(length_prefix(bytes.size())).plain(bytes);
  }
  void finish(Secret<64>& out) { crypto_hash_sha512_final(&state_, out.data()); }

 private:
  crypto_hash_sha512_state state_;
};

// calculate_generator of section 8.3.
Secret<32> generator_of(const PakeInput& input, std::span<const std::uint8_t> code) {
  const std::size_t filled = 1 + length_prefix(code.size()).size() + code.size() +
                             length_prefix(kDsi.size()).size() + kDsi.size();
  const std::string padding(filled < kHashBlockBytes ? kHashBlockBytes - filled : 0, '\0');
  Secret<64> hash;
  FieldHash()
      .field(kDsi)
      .field(text_of(code))
      .field(padding)
      .field(input.channel)
      .field(input.session_id)
      .finish(hash);
  Secret<32> generator;
  crypto_core_ristretto255_from_hash(generator.data(), hash.data());
  return generator;
}

}  // namespace

void append_with_length(std::string& out, std::string_view bytes) {
  out += length_prefix(bytes.size());
  out += bytes;
}

Pake Pake::start(const PakeInput& input, std::span<const std::uint8_t> code) {
  Secret<32> scalar;
  crypto_core_ristretto255_scalar_random(scalar.data());
  return start_with_scalar(input, code, scalar.view());
}

Pake Pake::start_with_scalar(const PakeInput& input, std::span<const std::uint8_t> code,
                             std::span<const std::uint8_t, 32> scalar) {
  Pake run;
  run.side_ = input.side;
  run.session_id_ = input.session_id;
  run.own_data_ = input.own_data;
  run.peer_data_ = input.peer_data;
  std::copy(scalar.begin(), scalar.end(), run.scalar_.data());
  const Secret<32> generator = generator_of(input, code);
  // Fails only for the neutral element: a generator or a scalar of zero, each one in 2^252.
  const int failed =
      crypto_scalarmult_ristretto255(run.share_.data(), run.scalar_.data(), generator.data());
  CB_CHECK(failed == 0);
  return run;
}

bool Pake::finish(const PakeShare& peer_share) {
  CB_CHECK(!finished_);
  // Our own share sent back: a peer that only mirrors us.
  if (peer_share == share_) {
    return false;
  }
  Secret<32> point;
  // scalar_mult_vfy: refuses what is no encoding of an element, and the neutral element as result.
  if (crypto_scalarmult_ristretto255(point.data(), scalar_.data(), peer_share.data()) != 0) {
    return false;
  }
  scalar_.wipe();
  peer_share_ = peer_share;
  const bool initiator = side_ == Side::Initiator;
  FieldHash()
      .field(kDsiIsk)
      .field(session_id_)
      .field(text_of(point.view()))
      .field(text_of(initiator ? share_ : peer_share_))
      .field(initiator ? own_data_ : peer_data_)
      .field(text_of(initiator ? peer_share_ : share_))
      .field(initiator ? peer_data_ : own_data_)
      .finish(key_);
  FieldHash().plain(kMacLabel).plain(session_id_).plain(text_of(key_.view())).finish(mac_key_);
  finished_ = true;
  return true;
}

// Section 10.4: each party authenticates the message that it sent.
PakeProof Pake::proof_over(const PakeShare& share, std::string_view data) const {
  CB_CHECK(finished_);
  std::string message;
  append_with_length(message, text_of(share));
  append_with_length(message, data);
  PakeProof proof{};
  crypto_auth_hmacsha512_state state;
  crypto_auth_hmacsha512_init(&state, mac_key_.data(), mac_key_.size());
  crypto_auth_hmacsha512_update(&state, octets(message), message.size());
  crypto_auth_hmacsha512_final(&state, proof.data());
  sodium_memzero(&state, sizeof state);
  return proof;
}

PakeProof Pake::proof() const { return proof_over(share_, own_data_); }

bool Pake::verify(const PakeProof& peer_proof) const {
  const PakeProof expected = proof_over(peer_share_, peer_data_);
  return sodium_memcmp(expected.data(), peer_proof.data(), expected.size()) == 0;
}

const Secret<64>& Pake::key() const {
  CB_CHECK(finished_);
  return key_;
}

}  // namespace cb::pairing
