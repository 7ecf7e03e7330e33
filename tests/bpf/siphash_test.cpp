// SPDX-License-Identifier: Apache-2.0
#include "bpf/siphash.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>
#include <cstring>

#include "base/prng.h"

namespace cb::test {
namespace {

// crypto_shorthash is libsodium's SipHash-2-4.
uint64_t theirs(const uint64_t key[2], const void* message, size_t size) {
  uint64_t tag = 0;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&tag),
                   static_cast<const unsigned char*>(message), size,
                   reinterpret_cast<const unsigned char*>(key));
  return tag;
}

TEST(SipHash, GivesTheTagsOfItsAuthors) {
  // Key 00 01 .. 0f, message 00 01 02 ..: vectors_sip64 of the authors' reference code, whole
  // words.
  std::array<unsigned char, 16> key_bytes{};
  std::array<unsigned char, 16> message_bytes{};
  for (unsigned char i = 0; i < 16; ++i) {
    key_bytes[i] = message_bytes[i] = i;
  }
  std::array<__u64, 2> key{};
  std::array<__u64, 2> message{};
  std::memcpy(key.data(), key_bytes.data(), 16);
  std::memcpy(message.data(), message_bytes.data(), 16);
  EXPECT_EQ(cb_siphash(key.data(), message.data(), 0), 0x726fdb47dd0e0e31ull);
  EXPECT_EQ(cb_siphash(key.data(), message.data(), 1), 0x93f5f5799a932462ull);
  EXPECT_EQ(cb_siphash(key.data(), message.data(), 2), 0x3f2acc7f57c29bdbull);
}

TEST(SipHash, IsWhatLibsodiumComputes) {
  // Libsodium in turn gives the paper's own example, appendix A: fifteen bytes.
  const unsigned char key_bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  uint64_t key[2];
  std::memcpy(key, key_bytes, 16);
  ASSERT_EQ(theirs(key, key_bytes, 15), 0xa129ca6149be45e5ull);

  Prng random(1);
  for (int i = 0; i < 10'000; ++i) {
    std::array<__u64, 15> message{};
    std::array<__u64, 2> our_key{random.next(), random.next()};
    for (__u64& word : message) {
      word = random.next();
    }
    std::memcpy(key, our_key.data(), 16);
    ASSERT_EQ(cb_siphash(our_key.data(), message.data(), 15),
              theirs(key, message.data(), sizeof message));
  }
}

}  // namespace
}  // namespace cb::test
