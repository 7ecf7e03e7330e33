// SPDX-License-Identifier: Apache-2.0
//
// Somebody else on the cable. Whatever is sent there, the link stays whole and says so.
#include "base/prng.h"
#include "drivers/link/frame.h"
#include "tests/link/ends.h"

namespace cb::test {
namespace {

const Mac kNear{{2, 0, 0, 0, 0, 1}};
const Mac kFar{{2, 0, 0, 0, 0, 2}};
const Mac kStranger{{2, 0, 0, 0, 0, 9}};

Bytes plain_frame(std::size_t length, Mac from = kFar,
                  link::FrameKind kind = link::FrameKind::Packet) {
  Bytes frame(link::kPlainHeader + length, 0x5a);
  link::write_plain(std::span(frame).first<link::kPlainHeader>(), kNear, from, kind, 0, length);
  return frame;
}

// A piece of a packet, as a card would cut it.
Bytes piece(std::uint32_t number, std::size_t total, std::size_t at, std::size_t length) {
  Bytes frame(link::kSuperHeader + length, 0x5a);
  link::write_super(std::span(frame).first<link::kSuperHeader>(), kNear, kFar,
                    link::FrameKind::Packet, 0, number, total);
  const std::size_t bytes = link::kTcpIpBytes + length;
  frame[16] = static_cast<std::uint8_t>(bytes >> 8);
  frame[17] = static_cast<std::uint8_t>(bytes);
  frame[40] = static_cast<std::uint8_t>(at >> 8);
  frame[41] = static_cast<std::uint8_t>(at);
  return frame;
}

class Hostile : public testing::Test {
 protected:
  Hostile() : wire(pair.bed.in_peer([] { return std::make_unique<Wire>("edg1"); })) {}
  void SetUp() override { ASSERT_TRUE(pair.wait_for_superframes()); }
  void send(const Bytes& frame) {
    wire->send(frame);
    if (++sent % 256 == 0) {  // or the rings are too short, which is another test
      ASSERT_TRUE(pair.loop->turn(boottime_now()));
    }
  }
  void expect_alive() {
    pair.near->keeps = true;
    // Sent behind all the rest, and what arrives is taken in order.
    const Bytes last = packet(333, 9);
    pair.far->send({last});
    ASSERT_TRUE(turn_until(*pair.loop, [&] {
      return std::ranges::find(pair.near->arrived, last) != pair.near->arrived.end();
    }));
    ASSERT_TRUE(turn_until(*pair.loop, [&] { return Pair::large(*pair.near); }));
    ASSERT_TRUE(turn_until(*pair.loop, [&] { return Pair::large(*pair.far); }));
    expect_carried(*pair.loop, *pair.far, *pair.near, {packet(50'000, 1), packet(100, 2)});
    expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, 1), packet(100, 2)});
  }

  Pair pair;
  std::unique_ptr<Wire> wire;
  std::size_t sent = 0;
};

TEST_F(Hostile, TruncatedFramesAreCounted) {
  const Bytes whole = plain_frame(1000);
  const Bytes large = piece(1, 2000, 0, 1000);
  for (std::size_t size = 60; size < 1000; size += 20) {
    send(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    send(Bytes(large.begin(), large.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().foreign >= 94; }));
  EXPECT_EQ(pair.near->received(), 0u);
  expect_alive();
}

TEST_F(Hostile, BentFramesHarmNobody) {
  Prng prng(3);
  pair.near->keeps = false;
  for (int i = 0; i < 20'000; ++i) {
    Bytes frame = prng.chance(1, 2)
                      ? plain_frame(100 + prng.below(1300))
                      : piece(static_cast<std::uint32_t>(prng.below(40)), 1 + prng.below(60'000),
                              prng.below(60'000), 1 + prng.below(1400));
    const std::size_t bends = prng.below(4);
    for (std::size_t b = 0; b < bends; ++b) {
      frame[12 + prng.below(44)] = static_cast<std::uint8_t>(prng.next());
    }
    send(frame);
  }
  EXPECT_GT(pair.near->facts().foreign, 1000u);
  expect_alive();
}

TEST_F(Hostile, AFloodOfFirstPiecesIsBounded) {
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    send(piece(1'000'000 + i, 3000, 0, 1400));
  }
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().incomplete > 19'900; }));
  EXPECT_EQ(pair.near->received(), 0u);
  expect_alive();
}

TEST_F(Hostile, AStrangerIsNotHeard) {
  for (int i = 0; i < 1000; ++i) {
    send(plain_frame(500, kStranger));
  }
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().foreign >= 1000; }));
  EXPECT_EQ(pair.near->received(), 0u);
  expect_alive();
}

// Unauthenticated as they are: they do not displace a peer that is heard, and what they say in its
// name is put right by its next one.
TEST_F(Hostile, ForgedGreetingsDoNotLast) {
  const Bytes stranger = plain_frame(link::kGreetingBytes, kStranger, link::FrameKind::Greeting);
  for (int i = 0; i < 1000; ++i) {
    send(stranger);
  }
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return pair.near->facts().foreign == 1000; }));
  EXPECT_TRUE(Pair::large(*pair.near));
  Bytes forged = plain_frame(link::kGreetingBytes, kFar, link::FrameKind::Greeting);
  std::ranges::fill(std::span(forged).subspan(link::kPlainHeader), 0);
  send(forged);
  ASSERT_TRUE(turn_until(*pair.loop, [&] { return !Pair::large(*pair.near); }));
  expect_alive();
}

TEST_F(Hostile, WhatIsNotOursNeverReachesTheRings) {
  Bytes other = plain_frame(500);
  other[12] = 0x88;
  other[13] = 0xb5;
  Bytes channel = plain_frame(500);
  channel[17] = 3;
  Bytes elsewhere = plain_frame(500);
  elsewhere[5] = 0x44;  // a card in promiscuous mode brings it up
  const std::uint64_t before = pair.near->facts().foreign;
  for (int i = 0; i < 500; ++i) {
    send(other);
    send(channel);
    send(elsewhere);
  }
  expect_alive();
  EXPECT_EQ(pair.near->facts().foreign, before);
}

// The stack behind the rings must neither answer nor forward what looks like TCP.
TEST_F(Hostile, TheStackBehindDropsSuperframesInSilence) {
  pair.bed.in_peer([] {
    Bed::write_setting("ipv4/ip_forward", "1");
    return 0;
  });
  pair.bed.peer_run("ip route add default via 10.99.0.1 dev edg1");
  Wire listener("edg0", link::kEtherTypeIpv4);
  listener.listen(*pair.loop);
  for (std::size_t i = 0; i < 50; ++i) {
    expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, i)});
  }
  for (const Bytes& frame : listener.frames) {
    const auto read = link::read_frame(frame, 0);
    EXPECT_TRUE(read && read->kind == link::FrameKind::Probe)
        << "an answer of the stack: " << to_hex(frame);
  }
}

}  // namespace
}  // namespace cb::test
