// SPDX-License-Identifier: Apache-2.0
//
// Sessions and what they carry.
#include "tests/transport/bed.h"

namespace cb::transport::test {
namespace {

using Session = Bed;

TEST_F(Session, BeginsAndCarriesMessagesBothWays) {
  start_both();
  ASSERT_TRUE(a.send(Priority::Log, pattern(5000, 1)));
  ASSERT_TRUE(b.send(Priority::Control, pattern(3, 2)));
  ASSERT_TRUE(a.send(Priority::Control, {}));
  ASSERT_TRUE(until([this] { return b.messages.size() == 2 && a.messages.size() == 1; }));
  EXPECT_EQ(a.messages[0].bytes, pattern(3, 2));
  EXPECT_EQ(a.messages[0].priority, Priority::Control);
  EXPECT_EQ(b.messages[0].bytes, Packet{});  // Control goes first
  EXPECT_EQ(b.messages[1].bytes, pattern(5000, 1));
  EXPECT_EQ(a.ups, 1);
  EXPECT_EQ(b.ups, 1);
  EXPECT_EQ(a.transport->facts().session, b.transport->facts().session);
  EXPECT_EQ(a.transport->facts().cipher, b.transport->facts().cipher);
}

TEST_F(Session, CarriesTheLongestMessage) {
  start_both();
  const Packet longest = pattern(kMessageMax, 9);
  for (const Priority priority : {Priority::Control, Priority::Log, Priority::Resync}) {
    ASSERT_GE(a.transport->room(priority), kMessageMax);
    ASSERT_TRUE(a.send(priority, longest));
  }
  ASSERT_TRUE(until([this] { return b.messages.size() == 3; }));
  for (const Message& message : b.messages) {
    EXPECT_EQ(message.bytes, longest);
  }
}

TEST_F(Session, KeepsTheOrderUnderLossAndTellsWhenThereIsRoom) {
  int count = 0;
  prepare = [&](int, int, FakeLink& link) {
    link.passes = [&count](Packet& packet) { return packet[0] != 0x14 || ++count % 13 != 0; };
  };
  start_both();
  constexpr std::uint32_t kMessages = 400;
  std::uint32_t next = 0;
  ASSERT_TRUE(until([&] {
    while (next < kMessages && a.transport->room(Priority::Log) > 0) {
      a.send(Priority::Log, pattern(40'000, static_cast<std::uint8_t>(next)));
      ++next;
    }
    return b.messages.size() == kMessages;
  }));
  for (std::uint32_t i = 0; i < kMessages; ++i) {
    ASSERT_EQ(b.messages[i].bytes, pattern(40'000, static_cast<std::uint8_t>(i))) << i;
  }
  EXPECT_GT(a.rooms, 0);
  EXPECT_GT(a.transport->facts().bytes_sent_again, 0u);
  EXPECT_EQ(a.transport->facts().dropped, 0u);
}

TEST_F(Session, WhatIsGivenWithoutOneIsDroppedAndCounted) {
  start(0);
  EXPECT_EQ(a.transport->room(Priority::Log), 0u);
  const ConstBytes nothing;
  a.transport->send(Priority::Log, std::span(&nothing, 1));
  EXPECT_EQ(a.transport->facts().dropped, 1u);
}

TEST_F(Session, ANewProcessGetsANewOne) {
  start_both();
  ASSERT_TRUE(a.send(Priority::Log, pattern(100, 1)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
  const std::uint64_t first = a.transport->facts().session;
  kill(1);
  start(1);
  ASSERT_TRUE(until([this] { return b.ups == 2 && a.ups == 2; }));
  EXPECT_EQ(a.downs, 1);
  EXPECT_NE(a.transport->facts().session, first);
  ASSERT_TRUE(a.send(Priority::Log, pattern(200, 2)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 2; }));
  EXPECT_EQ(b.messages[1].bytes, pattern(200, 2));
  kill(0);
  start(0);
  ASSERT_TRUE(until([this] { return b.ups == 3 && a.ups == 3; }));
}

TEST_F(Session, EndsAtOnceWhenThePeerSaysGoodbye) {
  start_both();
  const Instant before = boottime_now();
  stop(1);
  ASSERT_TRUE(until([this] { return a.downs == 1; }));
  EXPECT_LT(boottime_now() - before, Duration::from_s(1));
}

TEST_F(Session, EndsWhenNobodyAnswersAndComesBack) {
  Options options;
  options.settings.silence = Duration::from_ms(400);
  start(0, std::move(options));
  start(1);
  ASSERT_TRUE(until([this] { return up(); }));
  bool cut = true;
  for (Node& node : nodes) {
    node.links[0]->passes = [&cut](Packet&) { return !cut; };
  }
  ASSERT_TRUE(until([this] { return a.downs == 1; }));
  cut = false;
  ASSERT_TRUE(until([this] { return a.ups == 2 && b.ups == 2 && up(); }));
}

TEST_F(Session, GoesOnWhenALinkTakesLittleAtATime) {
  start_both();
  a.links[0]->room = 3;
  ASSERT_TRUE(a.send(Priority::Log, pattern(300'000, 4)));
  std::uint64_t refused = 0;
  ASSERT_TRUE(until([&] {
    if (a.links[0]->refused_ != refused) {
      refused = a.links[0]->refused_;
      a.links[0]->writable();
    }
    return b.messages.size() == 1;
  }));
  EXPECT_GT(refused, 10u);
  EXPECT_EQ(b.messages[0].bytes, pattern(300'000, 4));
}

TEST_F(Session, FindsWhatThePathCarries) {
  packet_max = 8900;
  prepare = [](int, int, FakeLink& link) { link.path_max = 4000; };
  start_both();
  ASSERT_TRUE(until([this] { return a.transport->facts().paths[0].packet_max > 3900; }));
  EXPECT_LE(a.transport->facts().paths[0].packet_max, 4000u);
  ASSERT_TRUE(a.send(Priority::Log, pattern(100'000, 4)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
}

TEST_F(Session, UsesWholeSuperframes) {
  packet_max = 64000;
  start_both();
  ASSERT_TRUE(until([this] { return a.transport->facts().paths[0].packet_max == 64000; }));
  ASSERT_TRUE(a.send(Priority::Log, pattern(1'000'000, 4)));
  ASSERT_TRUE(until([this] { return b.messages.size() == 1; }));
  EXPECT_EQ(b.messages[0].bytes, pattern(1'000'000, 4));
}

TEST_F(Session, MovesToTheOtherLinkAndBackWithoutLosingOrder) {
  cables = 2;
  Options fast;
  fast.settings.return_after = Duration::from_ms(100);
  Options also = {};
  also.settings.return_after = Duration::from_ms(100);
  start(0, std::move(fast));
  start(1, std::move(also));
  ASSERT_TRUE(until([this] { return up(); }));
  std::uint32_t next = 0;
  const auto feed = [&] {
    while (a.transport->room(Priority::Log) > 0 && next - b.messages.size() < 20) {
      a.send(Priority::Log, pattern(10'000, static_cast<std::uint8_t>(next)));
      ++next;
    }
  };
  const auto in_use = [this](std::size_t path) { return a.transport->facts().paths[path].in_use; };
  const auto at_least = [&](std::uint32_t more) {
    const std::size_t target = b.messages.size() + more;
    return until([&, target] {
      feed();
      return b.messages.size() >= target;
    });
  };
  ASSERT_TRUE(at_least(50));
  EXPECT_TRUE(in_use(0));
  // Cut in silence: nobody is told.
  a.links[0]->passes = b.links[0]->passes = [](Packet&) { return false; };
  ASSERT_TRUE(at_least(50));
  EXPECT_TRUE(in_use(1));
  a.links[0]->passes = b.links[0]->passes = nullptr;
  ASSERT_TRUE(until([&] {
    feed();
    return in_use(0);
  }));
  ASSERT_TRUE(at_least(50));
  // Pulled out: both see it.
  a.links[0]->set_carrier(false);
  b.links[0]->set_carrier(false);
  EXPECT_TRUE(in_use(1));
  ASSERT_TRUE(at_least(50));
  for (std::size_t i = 0; i < b.messages.size(); ++i) {
    ASSERT_EQ(b.messages[i].bytes, pattern(10'000, static_cast<std::uint8_t>(i))) << i;
  }
  EXPECT_EQ(a.downs + b.downs, 0);
}

}  // namespace
}  // namespace cb::transport::test
