// SPDX-License-Identifier: Apache-2.0
//
// Both engines are the same cipher: what one seals the other opens, whatever the pieces, and a bit
// that changed is noticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/prng.h"
#include "transport/aead_engine.h"
#include "transport/seal.h"

namespace cb::test {
namespace {

using transport::Cipher;
using transport::Key;
using transport::kTagBytes;
using Bytes = std::vector<std::uint8_t>;
using Maker = decltype(&transport::openssl_engine);

constexpr std::array<std::uint8_t, transport::kNonceBytes> kNonce = {9, 8, 7, 6, 5, 4, 3, 2, 1};

Bytes drawn(Prng& prng, std::size_t length) {
  Bytes bytes(length);
  std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(prng.next()); });
  return bytes;
}

Key key_of(Prng& prng) {
  const Bytes bytes = drawn(prng, 32);
  return Key(std::span<const std::uint8_t, 32>(bytes.data(), 32));
}

// In two pieces, cut at `cut`; the tag behind.
Bytes seal(Maker make, Cipher cipher, const Key& key, const Bytes& header, const Bytes& text,
           std::size_t cut) {
  const auto engine = make(cipher, key, true);
  Bytes out(text.size() + kTagBytes);
  engine->begin(kNonce, header);
  engine->update(out.data(), std::span(text).first(cut));
  engine->update(out.data() + cut, std::span(text).subspan(cut));
  engine->tag(std::span(out).last<kTagBytes>());
  return out;
}

bool open(Maker make, Cipher cipher, const Key& key, const Bytes& header, const Bytes& sealed,
          Bytes& text) {
  const auto engine = make(cipher, key, false);
  text.assign(sealed.size() - kTagBytes, 0);
  engine->begin(kNonce, header);
  engine->update(text.data(), std::span(sealed).first(text.size()));
  return engine->matches(std::span(sealed).last<kTagBytes>());
}

TEST(Aead, AesOfThisBuildIsTheWideOneOnAmd64) {
#ifdef CB_HAS_IPSEC_MB
  const bool has_aes =
      (transport::own_ciphers() & static_cast<std::uint8_t>(Cipher::Aes256Gcm)) != 0;
  Prng prng(1);
  EXPECT_EQ(transport::wide_engine(Cipher::Aes256Gcm, key_of(prng), true) != nullptr, has_aes);
  EXPECT_EQ(transport::wide_engine(Cipher::ChaCha20Poly1305, key_of(prng), true), nullptr);
#else
  Prng prng(1);
  EXPECT_EQ(transport::wide_engine(Cipher::Aes256Gcm, key_of(prng), true), nullptr);
#endif
}

// NIST's test case 16 of the GCM specification (McGrew and Viega): AES-256, 60 bytes, 20 of header.
TEST(Aead, SealsThePublishedVector) {
  const std::array<std::uint8_t, 32> key = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                            0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
                                            0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                            0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
  const std::array<std::uint8_t, 12> nonce = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                              0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
  const Bytes header = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                        0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
  const Bytes text = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                      0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
                      0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
                      0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
                      0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
  const std::array<std::uint8_t, 16> tag = {0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68,
                                            0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};
  for (const Maker make : {&transport::openssl_engine, &transport::best_engine}) {
    const auto engine = make(Cipher::Aes256Gcm, Key(key), true);
    Bytes out(text.size());
    std::array<std::uint8_t, 16> seen{};
    engine->begin(nonce, header);
    engine->update(out.data(), text);
    engine->tag(seen);
    EXPECT_EQ(seen, tag);
  }
}

TEST(Aead, WhatOneEngineSealsTheOtherOpensWhateverThePieces) {
  Prng prng(20260807);
  for (const Cipher cipher : {Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305}) {
    for (std::size_t round = 0; round < 400; ++round) {
      const std::size_t length = round < 200 ? round : prng.next() % 70'000;
      const Key key = key_of(prng);
      const Bytes header = drawn(prng, prng.next() % 40);
      const Bytes text = drawn(prng, length);
      const std::size_t cut = length == 0 ? 0 : prng.next() % (length + 1);
      const Bytes one = seal(&transport::openssl_engine, cipher, key, header, text, cut);
      const Bytes other = seal(&transport::best_engine, cipher, key, header, text, length - cut);
      ASSERT_EQ(one, other) << "of " << length << " bytes";
      Bytes opened;
      EXPECT_TRUE(open(&transport::openssl_engine, cipher, key, header, other, opened));
      EXPECT_EQ(opened, text);
      EXPECT_TRUE(open(&transport::best_engine, cipher, key, header, one, opened));
      EXPECT_EQ(opened, text);
    }
  }
}

TEST(Aead, AChangedBitIsNoticedByBoth) {
  Prng prng(7);
  for (const Maker make : {&transport::openssl_engine, &transport::best_engine}) {
    for (int round = 0; round < 200; ++round) {
      const Key key = key_of(prng);
      Bytes header = drawn(prng, 12);
      Bytes sealed = seal(make, Cipher::Aes256Gcm, key, header, drawn(prng, 100), 16);
      Bytes& changed = round % 4 == 0 ? header : sealed;
      const std::size_t bit = prng.next() % (changed.size() * 8);
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << (bit % 8)));
      Bytes opened;
      EXPECT_FALSE(open(make, Cipher::Aes256Gcm, key, header, sealed, opened));
    }
  }
}

}  // namespace
}  // namespace cb::test
