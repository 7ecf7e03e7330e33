// SPDX-License-Identifier: Apache-2.0
//
// What an attacker on the cable can do: nothing but hold packets back.
#include "base/prng.h"
#include "tests/transport/bed.h"

namespace cb::transport::test {
namespace {

constexpr std::uint8_t kOpenKind = 0x11;
constexpr std::uint8_t kAcceptKind = 0x12;
constexpr std::uint8_t kRetryKind = 0x13;
constexpr std::uint8_t kDataKind = 0x14;

class Hostile : public Bed {
 protected:
  // The packets of one kind that a node sent.
  static std::vector<Packet> of_kind(const std::vector<Packet>& packets, std::uint8_t kind) {
    std::vector<Packet> found;
    for (const Packet& packet : packets) {
      if (packet[0] == kind) {
        found.push_back(packet);
      }
    }
    return found;
  }
  void still_works() {
    const std::size_t before = b.messages.size();
    ASSERT_TRUE(a.send(Priority::Log, pattern(777, 3)));
    ASSERT_TRUE(until([&] { return b.messages.size() == before + 1; }));
    EXPECT_EQ(b.messages.back().bytes, pattern(777, 3));
    EXPECT_EQ(a.downs + b.downs, 0);
  }
};

TEST_F(Hostile, WithAnotherKeyThereIsNoSession) {
  psk[1].fill(8);
  start(0);
  start(1);
  pass(Duration::from_ms(150));
  EXPECT_EQ(a.ups + b.ups, 0);
  EXPECT_GT(a.transport->facts().refused + b.transport->facts().refused, 0u);
}

TEST_F(Hostile, EveryBentByteOfAnOpenIsRefused) {
  std::vector<Packet> sent;
  prepare = [&](int node, int, FakeLink& link) {
    if (node == 1) {
      link.record = &sent;
    }
  };
  start(1);
  ASSERT_TRUE(until([&] { return !sent.empty(); }));
  const Packet open = sent[0];
  ASSERT_EQ(open.size(), kOpenBytes);
  kill(1);
  sent.clear();
  prepare = nullptr;
  start(0);
  std::vector<Packet> answers;
  a.links[0]->record = &answers;
  for (std::size_t i = 0; i < open.size(); ++i) {
    for (const std::uint8_t bit : {0x01, 0x80}) {
      Packet bent = open;
      bent[i] ^= bit;
      a.links[0]->inject(bent);
    }
  }
  for (std::size_t length = 0; length < open.size(); ++length) {
    a.links[0]->inject(Packet(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  pass(Duration::from_ms(30));
  EXPECT_TRUE(of_kind(answers, kAcceptKind).empty());
  EXPECT_TRUE(of_kind(answers, kRetryKind).empty());
  EXPECT_EQ(a.ups, 0);
  EXPECT_GT(a.transport->facts().refused, 200u);
}

TEST_F(Hostile, EveryBentByteOfAnAcceptIsRefusedAndTheRightOneStillCounts) {
  int bent = 0;
  Packet right;
  prepare = [&](int node, int, FakeLink& link) {
    if (node != 1) {
      return;
    }
    link.passes = [&](Packet& packet) {
      if (packet[0] != kAcceptKind || bent > static_cast<int>(kAcceptBytes)) {
        return packet[0] != kOpenKind;
      }
      right = packet;
      return false;
    };
  };
  start(0);
  start(1);
  ASSERT_TRUE(until([&] { return !right.empty(); }));
  for (; bent < static_cast<int>(kAcceptBytes); ++bent) {
    Packet packet = right;
    packet[static_cast<std::size_t>(bent)] ^= 0x10;
    a.links[0]->inject(packet);
  }
  pass(Duration::from_ms(5));
  EXPECT_EQ(a.ups, 0);
  bent = 10'000;
  a.links[0]->inject(right);
  ASSERT_TRUE(until([this] { return up(); }));
}

TEST_F(Hostile, EveryBentByteOfADataPacketIsRefusedAndTheSessionGoesOn) {
  std::vector<Packet> sent;
  start_both();
  a.links[0]->record = &sent;
  bool hold = true;
  a.links[0]->passes = [&](Packet&) { return !hold; };
  ASSERT_TRUE(a.send(Priority::Log, pattern(200, 1)));
  ASSERT_TRUE(until([&] { return !sent.empty(); }));
  const Packet data = sent[0];
  ASSERT_EQ(data[0], kDataKind);
  const std::uint64_t refused = b.transport->facts().refused;
  for (std::size_t i = 0; i < data.size(); ++i) {
    Packet packet = data;
    packet[i] ^= 0x40;
    b.links[0]->inject(packet);
  }
  for (std::size_t length = 0; length < data.size(); ++length) {
    b.links[0]->inject(Packet(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  pass(Duration::from_ms(5));
  EXPECT_GE(b.transport->facts().refused - refused, data.size() - 32);
  EXPECT_TRUE(b.messages.empty());
  hold = false;
  ASSERT_TRUE(until([&] { return b.messages.size() == 1; }));
  a.links[0]->record = nullptr;
  a.links[0]->passes = nullptr;
  still_works();
}

TEST_F(Hostile, ReplayedPacketsChangeNothing) {
  std::vector<Packet> from_a;
  std::vector<Packet> from_b;
  prepare = [&](int node, int, FakeLink& link) { link.record = node == 0 ? &from_a : &from_b; };
  start_both();
  ASSERT_TRUE(a.send(Priority::Log, pattern(5000, 1)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
  const std::uint64_t session = a.transport->facts().session;
  const std::vector<Packet> old_a = from_a;
  const std::vector<Packet> old_b = from_b;
  for (int round = 0; round < 3; ++round) {
    for (const Packet& packet : old_a) {
      b.links[0]->inject(packet);
    }
    for (const Packet& packet : old_b) {
      a.links[0]->inject(packet);
    }
    pass(Duration::from_ms(5));
  }
  EXPECT_EQ(b.messages.size(), 1u);
  EXPECT_EQ(a.transport->facts().session, session);
  EXPECT_EQ(b.transport->facts().session, session);
  EXPECT_GT(b.transport->facts().replayed, 0u);
  still_works();
}

TEST_F(Hostile, PacketsOfAFormerSessionAreForeign) {
  std::vector<Packet> from_a;
  prepare = [&](int node, int, FakeLink& link) {
    if (node == 0) {
      link.record = &from_a;
    }
  };
  start_both();
  ASSERT_TRUE(a.send(Priority::Log, pattern(5000, 1)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
  const std::vector<Packet> old = of_kind(from_a, kDataKind);
  kill(1);
  start(1);
  ASSERT_TRUE(until([this] { return b.ups == 2 && a.ups == 2; }));
  const std::uint64_t foreign = b.transport->facts().foreign;
  for (const Packet& packet : old) {
    b.links[0]->inject(packet);
  }
  pass(Duration::from_ms(5));
  EXPECT_EQ(b.messages.size(), 1u);
  EXPECT_EQ(b.transport->facts().foreign - foreign, old.size());
}

// Whoever recorded many Opens of before plays them all: the computing is limited, and the one that
// comes back with a cookie gets in nevertheless.
TEST_F(Hostile, AFloodOfRecordedOpensDoesNotKeepThePeerOut) {
  std::vector<Packet> opens;
  prepare = [&](int node, int, FakeLink& link) {
    if (node == 1) {
      link.record = &opens;
    }
  };
  for (int i = 0; i < 60; ++i) {
    const std::size_t before = opens.size();
    start(1);
    ASSERT_TRUE(until([&] { return opens.size() > before; }));
    kill(1);
  }
  prepare = nullptr;
  start_both();
  kill(1);
  std::vector<Packet> answers;
  a.links[0]->record = &answers;
  for (const Packet& open : opens) {
    a.links[0]->inject(open);
  }
  pass(Duration::from_ms(2));
  EXPECT_LE(of_kind(answers, kAcceptKind).size(), 12u);
  EXPECT_GT(a.transport->facts().limited, 30u);
  EXPECT_EQ(a.downs, 0);  // nor did they end the session
  // Now the true peer, while the flood goes on.
  bool flood = true;
  std::size_t next = 0;
  start(1);
  ASSERT_TRUE(until([&] {
    if (flood) {
      a.links[0]->inject(opens[next++ % opens.size()]);
    }
    return b.ups == 2;
  }));
  flood = false;
  a.links[0]->record = nullptr;
  ASSERT_TRUE(until([this] { return up() && a.ups == 2; }));
}

TEST_F(Hostile, LostHandshakePacketsAreSentAgain) {
  Prng prng(5);
  prepare = [&](int, int, FakeLink& link) {
    link.passes = [&prng](Packet&) { return prng.chance(1, 3); };
  };
  start(0);
  start(1);
  ASSERT_TRUE(until([this] { return up(); }));
  for (Node& node : nodes) {
    node.links[0]->passes = nullptr;
  }
  ASSERT_TRUE(a.send(Priority::Log, pattern(100, 1)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
}

TEST_F(Hostile, DoubledHandshakePacketsMakeOneSession) {
  prepare = [&](int, int, FakeLink& link) {
    link.passes = [&link](Packet& packet) {
      if (packet[0] != kDataKind && link.other != nullptr) {
        link.other->inject(packet);
        link.other->inject(packet);
      }
      return true;
    };
  };
  start_both();
  pass(Duration::from_ms(50));
  EXPECT_EQ(a.ups, 1);
  EXPECT_EQ(b.ups, 1);
  still_works();
}

TEST_F(Hostile, TooManyForgeriesEndTheSession) {
  Options careful;
  careful.refused_max = 100;
  start(0, std::move(careful));
  start(1);
  ASSERT_TRUE(until([this] { return up(); }));
  std::vector<Packet> sent;
  b.links[0]->record = &sent;
  ASSERT_TRUE(b.send(Priority::Log, pattern(100, 1)));
  ASSERT_TRUE(until([&] { return !of_kind(sent, kDataKind).empty(); }));
  b.links[0]->record = nullptr;
  Packet forged = of_kind(sent, kDataKind)[0];
  for (int i = 0; i < 100; ++i) {
    forged[8] = static_cast<std::uint8_t>(i);
    forged[9] = 1;  // numbers that were not seen
    a.links[0]->inject(forged);
  }
  ASSERT_TRUE(until([this] { return a.downs == 1; }));
  ASSERT_TRUE(until([this] { return a.ups == 2 && up(); }));
}

TEST_F(Hostile, KeysChangeByCountAndNothingIsLost) {
  Options often;
  often.settings.phase_packets = 50;
  Options also;
  also.settings.phase_packets = 70;
  start(0, std::move(often));
  start(1, std::move(also));
  ASSERT_TRUE(until([this] { return up(); }));
  for (std::uint8_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(a.send(Priority::Log, pattern(100'000, i)));
    ASSERT_TRUE(b.send(Priority::Log, pattern(50'000, i)));
    ASSERT_TRUE(until([&] { return b.messages.size() == i + 1u && a.messages.size() == i + 1u; }));
    ASSERT_EQ(b.messages[i].bytes, pattern(100'000, i));
  }
  EXPECT_GT(a.transport->facts().phase, 20u);
  EXPECT_GT(b.transport->facts().phase, 5u);
  EXPECT_EQ(a.transport->facts().refused + b.transport->facts().refused, 0u);
}

TEST_F(Hostile, KeysChangeByTime) {
  Options often;
  often.settings.phase_span = Duration::from_ms(20);
  often.settings.ping_every = Duration::from_ms(5);
  start(0, std::move(often));
  start(1);
  ASSERT_TRUE(until([this] { return up(); }));
  ASSERT_TRUE(until([this] { return a.transport->facts().phase >= 3; }));
  still_works();
}

TEST_F(Hostile, ChaCha20CarriesAsWellWhereOneSideHasNoAes) {
  Options plain;
  plain.ciphers = static_cast<std::uint8_t>(Cipher::ChaCha20Poly1305);
  start(0, std::move(plain));
  start(1);
  ASSERT_TRUE(until([this] { return up(); }));
  EXPECT_EQ(a.transport->facts().cipher, "ChaCha20-Poly1305");
  still_works();
}

TEST_F(Hostile, WhatCannotBeOpenedSaysWhy) {
  Options none;
  EXPECT_FALSE(Transport::open(*loop, std::move(none)));
  Options wrong;
  wrong.links.push_back(std::make_unique<FakeLink>(*loop, "fake"));
  wrong.send_room[0] = 12345;
  const auto opened = Transport::open(*loop, std::move(wrong));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, EINVAL);
}

}  // namespace
}  // namespace cb::transport::test
