// SPDX-License-Identifier: Apache-2.0
//
// The golden values were computed with Python's hashlib.blake2b (key, salt = number as 8
// little-endian bytes, person = label), not with this code. A changed value means that running
// pairings lose their peer.
#include "pairing/keys.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/text.h"

namespace cb::pairing {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> counting() {
  std::array<std::uint8_t, N> bytes{};
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(Keys, OfARunAreTheGoldenOnes) {
  ASSERT_TRUE(crypto_ready());
  const PairingSecrets secrets = pairing_secrets(counting<64>());
  EXPECT_EQ(to_hex(secrets.key.view()),
            "04dc2c586686c755dfb82a24a94277eb1998d55506dcecf572e6bcfdcad14e97");
  EXPECT_EQ(secrets.id, 0xad6640c26e918293u);
  EXPECT_EQ(to_hex(secrets.commit_key.view()),
            "79532ef62d664162472d873233a918776f34305a188cbbcf3e2a164cf9d85a28");
}

TEST(Keys, OfHeartbeatsAreTheGoldenOnes) {
  const auto key = counting<32>();
  const cb_keys primary = heartbeat_keys(key, core::Role::Primary);
  EXPECT_EQ(primary.transmit[CB_LINK_DIRECT][0], 0x82c86baa1efe0eeeu);
  EXPECT_EQ(primary.transmit[CB_LINK_DIRECT][1], 0xa43d76cd495c3433u);
  EXPECT_EQ(primary.transmit[CB_LINK_NETWORK][0], 0x7561d6b09be1ecdcu);
  EXPECT_EQ(primary.transmit[CB_LINK_NETWORK][1], 0x9af419dc8dd8a0e7u);
  EXPECT_EQ(primary.receive[CB_LINK_DIRECT][0], 0x5b05a4d462bf09c3u);
  EXPECT_EQ(primary.receive[CB_LINK_DIRECT][1], 0x6c771f47e17d50a9u);
  EXPECT_EQ(primary.receive[CB_LINK_NETWORK][0], 0x47b796b72087e520u);
  EXPECT_EQ(primary.receive[CB_LINK_NETWORK][1], 0x8692165edc1b41ecu);
}

TEST(Keys, OneNodeSendsWithWhatTheOtherReceivesWith) {
  const auto key = counting<32>();
  const cb_keys primary = heartbeat_keys(key, core::Role::Primary);
  const cb_keys secondary = heartbeat_keys(key, core::Role::Secondary);
  std::set<std::uint64_t> words;
  for (int link = 0; link < CB_LINKS; ++link) {
    for (int word = 0; word < 2; ++word) {
      EXPECT_EQ(primary.transmit[link][word], secondary.receive[link][word]);
      EXPECT_EQ(primary.receive[link][word], secondary.transmit[link][word]);
      words.insert(primary.transmit[link][word]);
      words.insert(primary.receive[link][word]);
    }
  }
  EXPECT_EQ(words.size(), 8u);  // each direction and link has its own
}

TEST(Keys, OfCallsAreTheGoldenOnesAndDependOnWhoCalls) {
  const auto key = counting<32>();
  const CallKeys primary = call_keys(key, core::Role::Primary);
  const CallKeys secondary = call_keys(key, core::Role::Secondary);
  EXPECT_EQ(to_hex(primary.request.view()),
            "75a3b96d8f2b72cb3d241e9d0f22e1312b9e50254639785319825a659dc222e3");
  EXPECT_EQ(to_hex(primary.answer.view()),
            "5f9509f6936b4a0eb7d873b13d62c1ba6e99aa3e394db1f29c49269cb70ff5d2");
  EXPECT_EQ(to_hex(secondary.request.view()),
            "266d997a5242531b868aa90143cd0d523351e3e0e20015573c4bb1b69bc45c6e");
  EXPECT_EQ(to_hex(secondary.answer.view()),
            "4379c261b8376a71930710b45711e5294b266587f9c8614b7e4c1cd5815b2e46");
}

TEST(Keys, OfReplicationIsTheGoldenOne) {
  EXPECT_EQ(to_hex(replication_key(counting<32>()).view()),
            "24067694ea5610f0fbd45ae3d5755ee47374eb71c907501399c256c60e0fe6e4");
}

TEST(Keys, OfAWitnessIsTheGoldenOne) {
  EXPECT_EQ(to_hex(witness_key(counting<32>())),
            "4d08c9c5593d7abb391158edb1d44b0fcfa4775b0583363b74570bd2f86ae50f");
}

TEST(Keys, TheMarkTellsKeysApart) {
  auto key = counting<32>();
  EXPECT_EQ(to_hex(key_mark(key)), "702d433b30b6390640a8aa7507d4d9cf");
  key[31] ^= 1;
  EXPECT_NE(to_hex(key_mark(key)), "702d433b30b6390640a8aa7507d4d9cf");
}

TEST(Secrets, AreMovedNotCopied) {
  Secret<4> first;
  first.data()[0] = 7;
  const Secret<4> second(std::move(first));
  EXPECT_EQ(second.data()[0], 7);
  static_assert(!std::is_copy_constructible_v<Secret<4>>);
  static_assert(!std::is_copy_assignable_v<Secret<4>>);
}

}  // namespace
}  // namespace cb::pairing
