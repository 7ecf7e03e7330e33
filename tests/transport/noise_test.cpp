// SPDX-License-Identifier: Apache-2.0
//
// The handshake's cryptography against the published vector of the cacophony project for
// Noise_NNpsk0_25519_ChaChaPoly_SHA256.
#include "transport/noise.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <string_view>
#include <vector>

#include "base/text.h"

namespace cb::transport {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view hex) {
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  EXPECT_EQ(
      sodium_hex2bin(bytes.data(), bytes.size(), hex.data(), hex.size(), nullptr, nullptr, nullptr),
      0);
  return bytes;
}

Key key_of(std::string_view hex) {
  const std::vector<std::uint8_t> bytes = bytes_of(hex);
  return Key(std::span<const std::uint8_t, 32>(bytes));
}

constexpr std::string_view kPsk =
    "54686973206973206d7920417573747269616e20706572737065637469766521";
constexpr std::string_view kOpener =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
constexpr std::string_view kResponder =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
constexpr std::string_view kFirst =
    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794479b962b8aff8485742ac32f905ba45"
    "369e2465fb59e1"
    "38a93d67a0d1266b6a54";
constexpr std::string_view kSecond =
    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d6062704d5a9c422a8e834423f8c1f"
    "eada7e8d0d910a"
    "1a2cd030fb584221e3";

// The first message of each direction after the handshake, sealed by Noise itself.
std::string sealed_by(const Key& key, std::string_view payload_hex) {
  const std::vector<std::uint8_t> payload = bytes_of(payload_hex);
  std::vector<std::uint8_t> out(payload.size() + kSealBytes);
  const std::array<std::uint8_t, 12> nonce{};
  unsigned long long length = 0;
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), &length, payload.data(), payload.size(),
                                            nullptr, 0, nullptr, nonce.data(), key.data());
  return to_hex(out);
}

TEST(Noise, IsThatOfThePublishedVector) {
  ASSERT_GE(sodium_init(), 0);
  const std::vector<std::uint8_t> prologue = bytes_of("4a6f686e2047616c74");
  const Key psk = key_of(kPsk);
  Noise opener(psk.view(), prologue, key_of(kOpener));
  Noise responder(psk.view(), prologue, key_of(kResponder));

  const std::vector<std::uint8_t> hello = bytes_of("4c756477696720766f6e204d69736573");
  std::vector<std::uint8_t> first(kDhBytes + hello.size() + kSealBytes);
  opener.write_first(hello, first);
  EXPECT_EQ(to_hex(first), kFirst);
  std::vector<std::uint8_t> read(hello.size());
  ASSERT_TRUE(responder.read_first(first, read));
  EXPECT_EQ(read, hello);

  const std::vector<std::uint8_t> answer = bytes_of("4d757272617920526f746862617264");
  std::vector<std::uint8_t> second(kDhBytes + answer.size() + kSealBytes);
  ASSERT_TRUE(responder.write_second(answer, second));
  EXPECT_EQ(to_hex(second), kSecond);
  read.resize(answer.size());
  ASSERT_TRUE(opener.read_second(second, read));
  EXPECT_EQ(read, answer);

  // Computed apart, with Python's hashlib, from the vector's inputs and ciphertexts.
  EXPECT_EQ(to_hex(opener.hash()),
            "f4d03dc34495c95729ea6de9e1b59004b59733102488b3e24bc441e0be208eaf");
  EXPECT_EQ(to_hex(responder.hash()), to_hex(opener.hash()));
  const Noise::Split ours = opener.split();
  const Noise::Split theirs = responder.split();
  EXPECT_EQ(to_hex(ours.opener.view()), to_hex(theirs.opener.view()));
  EXPECT_EQ(sealed_by(ours.opener, "462e20412e20486179656b"),
            "e632c3763d7669067383433197a3baddf146e9e70ad4b4e9e59e0f");
  EXPECT_EQ(sealed_by(ours.responder, "4361726c204d656e676572"),
            "64c6bee32ea91c8474bb4c21d7a700109ad45af77b29764ba5eb1e");
}

TEST(Noise, AShareThatGivesEverybodyTheSameSecretIsRefused) {
  ASSERT_GE(sodium_init(), 0);
  const Key psk = key_of(kPsk);
  Noise opener(psk.view(), {}, key_of(kOpener));
  std::vector<std::uint8_t> first(kDhBytes + kSealBytes);
  opener.write_first({}, first);
  std::vector<std::uint8_t> second(kDhBytes + kSealBytes);  // the share is all zeros
  EXPECT_FALSE(opener.read_second(second, {}));
}

}  // namespace
}  // namespace cb::transport
