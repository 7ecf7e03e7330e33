// SPDX-License-Identifier: Apache-2.0
#include "witness/message.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"
#include "tests/witness/client.h"

namespace cb::witness {
namespace {

using core::volume::Kind;
using core::witness::Holder;
using core::witness::Operation;
using core::witness::Result;

class WitnessMessage : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto_ready());
    key_.fill(9);
  }
  static std::vector<Message> all() {
    Message m;
    m.pairing = 77;
    m.request.node = 1;
    m.client.fill(3);
    std::vector<Message> out{m};
    m.type = Type::Challenge;
    m.server.fill(4);
    out.push_back(m);
    m.type = Type::NoSession;
    m.sequence = 5;
    out.push_back(m);
    m.type = Type::Request;
    m.request = {Operation::Swap,
                 1,
                 12,
                 true,
                 {1, {2, 3}, Kind::Together, 1},
                 {4, {5, 6}, Kind::Alone, 0},
                 {7, {8, 9}, Kind::Alone, 1}};
    out.push_back(m);
    m.type = Type::Answer;
    m.request = {};
    m.request.operation = Operation::Grant;
    m.request.node = 1;
    m.result = Result::Refused;
    m.record = {9, Holder::Secondary, 14, 3, {7, {8, 9}, Kind::Together, 1}};
    out.push_back(m);
    return out;
  }
  Key key_{};
};

TEST_F(WitnessMessage, IsReadAsItWasWritten) {
  for (const Message& m : all()) {
    const Datagram bytes = encode(m, &key_);
    EXPECT_TRUE(is_authentic(bytes, key_));
    const auto read = decode(bytes);
    ASSERT_TRUE(read) << static_cast<int>(m.type);
    EXPECT_EQ(*read, m) << static_cast<int>(m.type);
  }
  Message stranger;
  stranger.type = Type::Stranger;
  stranger.pairing = 5;
  EXPECT_EQ(decode(encode(stranger, nullptr)), stranger);
}

TEST_F(WitnessMessage, AnyBentBitIsNotAuthentic) {
  for (const Message& m : all()) {
    const Datagram bytes = encode(m, &key_);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      Datagram bent = bytes;
      bent[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      EXPECT_FALSE(is_authentic(bent, key_)) << bit;
    }
  }
}

// Under a valid tag too, nothing is taken that would not be written the same again.
TEST_F(WitnessMessage, WhatIsTakenWouldBeWrittenTheSame) {
  Prng prng(4711);
  std::size_t taken = 0;
  for (const Message& m : all()) {
    const Datagram bytes = encode(m, &key_);
    for (std::size_t at = 0; at < kMessageBytes - kTagBytes; ++at) {
      for (int i = 0; i < 8; ++i) {
        Datagram bent = bytes;
        bent[at] = static_cast<std::byte>(i == 0 ? 0xff : prng.below(256));
        const auto read = decode(bent);
        if (!read || read->type == Type::Stranger) {
          continue;
        }
        ++taken;
        const Datagram again = encode(*read, &key_);
        EXPECT_TRUE(std::equal(bent.begin(), bent.end() - kTagBytes, again.begin())) << at;
      }
    }
  }
  EXPECT_GT(taken, 1000u);
}

TEST_F(WitnessMessage, AnyOtherLengthIsRefused) {
  std::vector<std::byte> bytes(2 * kMessageBytes);
  const Datagram whole = encode(all()[3], &key_);
  std::copy(whole.begin(), whole.end(), bytes.begin());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(decode(std::span(bytes).first(length)).has_value(), length == kMessageBytes);
  }
}

TEST_F(WitnessMessage, KeysDifferByNodeDirectionAndSession) {
  Nonce one{};
  Nonce two{};
  two[15] = 1;
  const std::vector<Key> keys = {key_,
                                 node_key(key_, 0, Direction::Request),
                                 node_key(key_, 0, Direction::Answer),
                                 node_key(key_, 1, Direction::Request),
                                 node_key(key_, 1, Direction::Answer),
                                 session_key(key_, one, one),
                                 session_key(key_, one, two),
                                 session_key(key_, two, one)};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_NE(keys[i], keys[j]) << i << " " << j;
    }
  }
}

TEST_F(WitnessMessage, AnEnrolmentLineIsReadBackAndNothingElseIs) {
  const Enrolment enrolment = test_enrolment();
  const std::string line = enrolment_line(enrolment);
  const auto read = parse_enrolment(" " + line + "\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pairing, enrolment.pairing);
  EXPECT_EQ(read->key, enrolment.key);
  for (std::size_t at = 0; at < line.size(); ++at) {
    std::string bent = line;
    bent[at] = bent[at] == '0' ? '1' : '0';
    EXPECT_FALSE(parse_enrolment(bent)) << at;
    EXPECT_FALSE(parse_enrolment(line.substr(0, at)));
  }
}

}  // namespace
}  // namespace cb::witness
