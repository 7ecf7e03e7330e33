// SPDX-License-Identifier: Apache-2.0
//
// The rules of docs/protocol-transport.md, one by one, on one core whose peer is the test.
#include "core/transport/step.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace cb::core::transport {
namespace {

class Core : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open(int paths = 1, uint32_t packet_max = 1200, uint64_t credit = 1 << 20) {
    *s = State{};
    for (int path = 0; path < paths; ++path) {
      link(path, true, packet_max);
    }
    begin(*s, settings, {credit, credit, credit}, 0, now);
    numbers_ = 0;
    for (int path = 0; path < paths; ++path) {
      answer_pings(path);
    }
  }
  Outcome link(int path, bool carrier, uint32_t packet_max = 1200) {
    return step(*s,
                {.kind = EventKind::PathChanged,
                 .path = path,
                 .carrier = carrier,
                 .packet_max = packet_max},
                now);
  }
  void give(int klass, uint64_t bytes) {
    given_[klass] += bytes;
    step(*s,
         {.kind = EventKind::Given,
          .klass = klass,
          .offset = s->out[static_cast<std::size_t>(klass)].end + bytes},
         now);
  }
  std::vector<Packet> pull(int path = 0) {
    std::vector<Packet> packets;
    auto packet = std::make_unique<Packet>();
    while (next_packet(*s, path, now, *packet)) {
      packets.push_back(*packet);
    }
    return packets;
  }
  Outcome tick() { return step(*s, {.kind = EventKind::Tick}, now); }
  Outcome arrive(const Frames& frames, int path = 0, uint64_t number = UINT64_MAX) {
    return step(*s,
                {.kind = EventKind::Arrived,
                 .path = path,
                 .size = 100,
                 .number = number == UINT64_MAX ? numbers_++ : number,
                 .frames = &frames},
                now);
  }
  Frames ack(std::vector<AckRange> ranges, uint64_t credit = 1 << 20) {
    Frames f;
    f.has_ack = true;
    f.ack.count = static_cast<int>(ranges.size());
    std::copy(ranges.begin(), ranges.end(), f.ack.ranges.begin());
    for (uint64_t& c : f.ack.credit) {
      c = credit;
    }
    return f;
  }
  Frames stream(int klass, uint64_t offset, uint32_t length) {
    Frames f;
    f.has_stream = true;
    f.klass = static_cast<uint8_t>(klass);
    f.offset = offset;
    f.length = length;
    return f;
  }
  void answer_pings(int path) {
    for (const Packet& packet : pull(path)) {
      all_.push_back(packet);
      if (packet.frames.has_ping) {
        now += Duration::from_us(100);
        Frames f;
        f.has_pong = true;
        f.pong = packet.frames.ping;
        f.pong_size = packet.size;
        arrive(f, path);
      }
    }
  }
  // Lets the time pass, ticking at each deadline; path i answers its pings if answering[i].
  void pass(Duration span, std::vector<bool> answering = {}) {
    const Instant end = now + span;
    while (next_deadline(*s) <= end && s->alive) {
      now = std::max(now, next_deadline(*s));
      tick();
      for (int path = 0; path < kPathsMax; ++path) {
        if (path < static_cast<int>(answering.size()) &&
            answering[static_cast<std::size_t>(path)]) {
          answer_pings(path);
        } else {
          for (const Packet& packet : pull(path)) {
            all_.push_back(packet);
          }
        }
      }
      now += Duration::from_us(1);
    }
    now = std::max(now, end);
  }

  Settings settings;
  std::unique_ptr<State> s = std::make_unique<State>();
  Instant now = Instant::from_ns(1'000'000'000'000);
  std::array<uint64_t, kClasses> given_{};
  std::vector<Packet> all_;
  uint64_t numbers_ = 0;
};

TEST_F(Core, NumbersGrowAndAreNeverUsedAgain) {
  give(kLog, 20'000);
  uint64_t last = s->next_number - 1;
  for (int round = 0; round < 20; ++round) {
    for (const Packet& packet : pull()) {
      EXPECT_EQ(packet.number, last + 1);
      last = packet.number;
    }
    now += Duration::from_ms(300);
    tick();
  }
}

TEST_F(Core, WhatIsLostGoesOutAgainUnderANewNumber) {
  give(kLog, 10'000);
  const auto first = pull();
  ASSERT_GE(first.size(), 8u);
  // Everything but the second arrives.
  arrive(ack({{first[2].number, first.back().number}, {first[0].number, first[0].number}}));
  const auto again = pull();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_GT(again[0].number, first.back().number);
  EXPECT_EQ(again[0].frames.offset, first[1].frames.offset);
  EXPECT_EQ(again[0].frames.length, first[1].frames.length);
  EXPECT_EQ(s->out[kLog].acked, first[1].frames.offset);
  const Outcome outcome = arrive(ack({{again[0].number, again[0].number}}));
  EXPECT_EQ(outcome.freed, 1 << kLog);
  EXPECT_EQ(s->out[kLog].acked, 10'000u);
}

TEST_F(Core, TwoLaterPacketsAreNoLossAndThreeAre) {
  give(kLog, 10'000);
  const auto first = pull();
  arrive(ack({{first[1].number, first[2].number}}));
  EXPECT_TRUE(pull().empty());
  arrive(ack({{first[1].number, first[3].number}}));
  const auto again = pull();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].frames.offset, first[0].frames.offset);
}

TEST_F(Core, NineEighthsOfTheRoundTripAreLossToo) {
  give(kLog, 3'000);
  const auto first = pull();
  ASSERT_EQ(first.size(), 3u);
  now += Duration::from_us(200);
  arrive(ack({{first[1].number, first[2].number}}));
  EXPECT_TRUE(pull().empty());
  now += Duration::from_ms(1);  // 9/8 of the least that counts as a round trip, less the 200 us
  tick();
  EXPECT_EQ(pull().size(), 1u);
}

TEST_F(Core, SilenceIsProbedWithTheOldestDataAndEverMoreRarely) {
  give(kLog, 2'000);
  const auto first = pull();
  ASSERT_EQ(first.size(), 2u);
  std::vector<Instant> probes;
  const Instant begun = now;
  while (now - begun < Duration::from_s(2)) {
    now = next_deadline(*s);
    tick();
    for (const Packet& packet : pull()) {
      if (packet.frames.has_stream && (probes.empty() || probes.back() != now)) {
        probes.push_back(now);
        EXPECT_EQ(packet.frames.offset, 0u);
      }
    }
  }
  ASSERT_GE(probes.size(), 8u);
  EXPECT_GE(probes[0] - begun, Duration::from_ms(2));
  EXPECT_LE(probes[0] - begun, Duration::from_ms(4));
  for (std::size_t i = 2; i < probes.size(); ++i) {
    EXPECT_GE(probes[i] - probes[i - 1], probes[i - 1] - probes[i - 2] - Duration::from_us(10));
    EXPECT_LE(probes[i] - probes[i - 1], Duration::from_ms(201));
  }
}

TEST_F(Core, CarrierThatComesBackIsAskedAtOnce) {
  give(kLog, 2'000);
  pull();
  pass(Duration::from_ms(500));
  link(0, false);
  link(0, true);
  bool data = false;
  bool ping = false;
  for (const Packet& packet : pull()) {
    data |= packet.frames.has_stream;
    ping |= packet.frames.has_ping;
  }
  EXPECT_TRUE(data && ping);
}

TEST_F(Core, NothingGoesBeyondTheCredit) {
  open(1, 1200, 5'000);
  give(kLog, 20'000);
  uint64_t end = 0;
  for (const Packet& packet : pull()) {
    end = std::max(end, packet.frames.offset + packet.frames.length);
  }
  EXPECT_EQ(end, 5'000u);
  arrive(ack({{s->next_number - 1, s->next_number - 1}}, 7'000));
  for (const Packet& packet : pull()) {
    end = std::max(end, packet.frames.offset + packet.frames.length);
  }
  EXPECT_EQ(end, 7'000u);
  arrive(
      ack({{s->next_number - 1, s->next_number - 1}}, 6'000));  // an older word takes nothing back
  EXPECT_EQ(s->out[kLog].credit, 7'000u);
}

TEST_F(Core, APeerThatGoesBeyondOurRoomIsRefused) {
  settings.receive_room[kLog] = 4'096;
  open();
  EXPECT_FALSE(arrive(stream(kLog, 0, 1'000)).refused);
  EXPECT_FALSE(arrive(stream(kLog, 3'096, 1'000)).refused);
  EXPECT_TRUE(arrive(stream(kLog, 3'097, 1'000)).refused);
}

TEST_F(Core, StreamsAreWholeInOrderAndOnce) {
  EXPECT_EQ(arrive(stream(kLog, 1'000, 500)).grown, 0);
  EXPECT_EQ(arrive(stream(kControl, 0, 10)).grown, 1 << kControl);
  const Outcome filled = arrive(stream(kLog, 0, 1'000));
  EXPECT_EQ(filled.grown, 1 << kLog);
  EXPECT_EQ(s->in[kLog].whole, 1'500u);
  const Outcome twice = arrive(stream(kLog, 500, 700));
  EXPECT_EQ(twice.grown, 0);
  EXPECT_EQ(twice.keep_length, 0u);
  const Outcome partly = arrive(stream(kLog, 1'400, 200));
  EXPECT_EQ(partly.keep_from, 1'500u);
  EXPECT_EQ(partly.keep_length, 100u);
}

TEST_F(Core, ANumberIsTakenOnceAndNotWhenItIsTooOld) {
  numbers_ = 10;
  arrive(stream(kLog, 0, 10));
  EXPECT_FALSE(fresh(*s, 10));
  EXPECT_TRUE(fresh(*s, 9));
  EXPECT_TRUE(fresh(*s, 11));
  arrive(stream(kLog, 10, 10), 0, 10 + kSeenMax);
  EXPECT_FALSE(fresh(*s, 10));
  EXPECT_TRUE(fresh(*s, 11));
  arrive(stream(kLog, 20, 10), 0, 11 + 3 * kSeenMax);
  EXPECT_FALSE(fresh(*s, 11 + 2 * kSeenMax - 1));
  EXPECT_TRUE(fresh(*s, 11 + 3 * kSeenMax - 1));
  EXPECT_TRUE(fresh(*s, 12 + 2 * kSeenMax));
}

TEST_F(Core, AcksNameExactlyWhatCame) {
  for (const uint64_t number : {0, 1, 2, 5, 6, 9}) {
    arrive(stream(kLog, number * 10, 10), 0, 100 + number);
  }
  for (const Packet& packet : pull()) {
    ASSERT_TRUE(packet.frames.has_ack);
    const Ack& a = packet.frames.ack;
    ASSERT_GE(a.count, 3);
    EXPECT_EQ(a.ranges[0].last, 109u);
    EXPECT_EQ(a.ranges[0].first, 109u);
    EXPECT_EQ(a.ranges[1].last, 106u);
    EXPECT_EQ(a.ranges[1].first, 105u);
    EXPECT_EQ(a.ranges[2].last, 102u);
    EXPECT_EQ(a.ranges[2].first, 100u);
  }
}

TEST_F(Core, AnAckRidesOnDataAndWaitsALittleForIt) {
  arrive(stream(kControl, 0, 100));
  EXPECT_TRUE(pull().empty());
  give(kControl, 50);
  auto packets = pull();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_TRUE(packets[0].frames.has_ack && packets[0].frames.has_stream);
  arrive(stream(kControl, 100, 100));
  EXPECT_TRUE(pull().empty());
  EXPECT_LE(next_deadline(*s), now + settings.ack_delay);
  now += settings.ack_delay;
  tick();
  packets = pull();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_TRUE(packets[0].frames.has_ack);
  EXPECT_FALSE(packets[0].frames.has_stream);
  EXPECT_TRUE(pull().empty()) << "once";
}

TEST_F(Core, BulkIsAcknowledgedAtOnceAndSoIsWhatComesBehindAGap) {
  for (uint64_t sent = 0; sent < settings.ack_bytes; sent += 1024) {
    EXPECT_TRUE(pull().empty()) << sent;
    arrive(stream(kLog, sent, 1024));
  }
  ASSERT_EQ(pull().size(), 1u);
  arrive(stream(kControl, 0, 10));
  EXPECT_TRUE(pull().empty());
  ++numbers_;  // one is missing
  arrive(stream(kControl, 20, 10));
  EXPECT_EQ(pull().size(), 1u);
}

TEST_F(Core, AcksAndPongsAreNotAcknowledged) {
  Frames f;
  f.has_ping = true;
  f.ping = 1;
  arrive(f);
  const auto answer = pull();
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_TRUE(answer[0].frames.has_pong && answer[0].frames.has_ack);
  arrive(ack({{answer[0].number, answer[0].number}}));
  EXPECT_TRUE(pull().empty());
}

TEST_F(Core, AnAckOfWhatWasNeverSentIsRefused) {
  EXPECT_TRUE(arrive(ack({{s->next_number, s->next_number}})).refused);
}

TEST_F(Core, ControlGoesFirstAndBeyondTheWindow) {
  open(1, 1200, 16 << 20);
  give(kResync, 4 << 20);
  give(kLog, 4 << 20);
  pull();
  EXPECT_GT(s->paths[0].in_flight, s->paths[0].window - 1200);
  give(kControl, 500);
  const auto packets = pull();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].frames.klass, kControl);
}

TEST_F(Core, ResyncKeepsToASmallerWindow) {
  open(1, 1200, 16 << 20);
  give(kResync, 4 << 20);
  pull();
  const uint64_t resync = s->paths[0].in_flight;
  give(kLog, 4 << 20);
  pull();
  EXPECT_LT(resync, s->paths[0].in_flight);
  EXPECT_LE(resync, s->paths[0].resync_window);
}

TEST_F(Core, ALossCutsTheWindowOnceARoundTrip) {
  open(1, 1200, 16 << 20);
  give(kLog, 4 << 20);
  const auto packets = pull();
  const uint64_t before = s->paths[0].window;
  now += Duration::from_us(100);
  arrive(ack({{packets[10].number, packets[20].number}}));
  const uint64_t after = s->paths[0].window;
  EXPECT_LT(after, before);
  arrive(ack({{packets[40].number, packets[50].number}, {packets[10].number, packets[20].number}}));
  EXPECT_GE(s->paths[0].window, after);
}

TEST_F(Core, ASilentPathIsLeftForOneThatAnswersAndReturnedToLater) {
  open(2);
  give(kLog, 2'000);
  pull(0);
  const Instant cut = now;
  while (s->active == 0 && now - cut < Duration::from_s(1)) {
    now = next_deadline(*s);
    tick();
    pull(0);
    answer_pings(1);
  }
  EXPECT_EQ(s->active, 1);
  EXPECT_LT(now - cut, Duration::from_ms(60));
  EXPECT_EQ(s->paths[0].open_count, 0u);
  bool data = false;
  pass(Duration::from_us(10), {false, true});
  for (const Packet& packet : all_) {
    data |= packet.frames.has_stream && packet.frames.offset == 0;
  }
  EXPECT_TRUE(data);
  arrive(ack({{s->next_number - 1, s->next_number - 1}}), 1);
  // The cable answers again, but not for long enough yet.
  pass(Duration::from_ms(250), {true, true});
  const Duration first = settings.return_after;
  EXPECT_EQ(s->active, 1);
  pass(first + Duration::from_ms(300), {true, true});
  EXPECT_EQ(s->active, 0);
}

TEST_F(Core, APathThatFailsSoonAfterTheReturnMustProveItselfLonger) {
  open(2);
  Duration last{};
  for (int round = 0; round < 4; ++round) {
    link(0, false);
    tick();
    ASSERT_EQ(s->active, 1) << round;
    link(0, true);
    const Instant mended = now;
    answer_pings(0);
    while (s->active == 1 && now - mended < Duration::from_s(20)) {
      pass(Duration::from_ms(10), {true, true});
    }
    ASSERT_EQ(s->active, 0) << round;
    const Duration took = now - mended;
    EXPECT_GE(took, settings.return_after);
    if (round > 0) {
      EXPECT_GT(took, last);
    }
    last = took;
  }
}

TEST_F(Core, LostCarrierMovesAtOnce) {
  open(2);
  give(kLog, 2'000);
  pull(0);
  link(0, false);
  EXPECT_EQ(s->active, 1);
  std::size_t data = 0;
  for (const Packet& packet : pull(1)) {
    data += packet.frames.has_stream ? packet.frames.length : 0;
  }
  EXPECT_EQ(data, 2'000u);
}

TEST_F(Core, NobodyAnsweringEndsTheSession) {
  pass(settings.silence - Duration::from_ms(100));
  EXPECT_TRUE(s->alive);
  pass(Duration::from_ms(200));
  EXPECT_FALSE(s->alive);
  EXPECT_TRUE(pull().empty());
}

TEST_F(Core, ASizeIsProbedBeforeItIsUsed) {
  open(1, 9000);
  give(kLog, 100'000);
  const auto packets = pull();
  const Packet* probe = nullptr;
  for (const Packet& packet : packets) {
    if (packet.frames.has_stream) {
      EXPECT_LE(packet.size, kSizeBase);
    } else if (packet.frames.pad_to > 0) {
      probe = &packet;
    }
  }
  ASSERT_NE(probe, nullptr);
  EXPECT_EQ(probe->size, 9000u);
  Frames f;
  f.has_pong = true;
  f.pong = probe->frames.ping;
  f.pong_size = 9000;
  arrive(f);
  EXPECT_EQ(s->paths[0].size, 9000u);
}

TEST_F(Core, ASizeIsProbedWhateverTheFirstAnswerIs) {
  *s = State{};
  link(0, true, 9000);
  begin(*s, settings, {1 << 20, 1 << 20, 1 << 20}, 0, now);
  numbers_ = 0;
  give(kControl, 100);
  const auto packets = pull();
  arrive(ack({{packets.front().number, packets.back().number}}));  // before any pong
  uint32_t probed = 0;
  for (const Packet& packet : pull()) {
    probed = std::max(probed, packet.frames.pad_to > 0 ? packet.size : 0);
  }
  EXPECT_EQ(probed, 9000u);
}

TEST_F(Core, KeysChangeByCountButNotBeforeThePresentOnesAreKnown) {
  settings.phase_packets = 10;
  open();
  give(kLog, 40'000);
  const auto packets = pull();
  EXPECT_EQ(packets.back().phase, s->phase_confirmed ? 1u : 0u);
  arrive(ack({{packets.front().number, packets.back().number}}));
  give(kLog, 40'000);
  const auto next = pull();
  EXPECT_EQ(next.front().phase, packets.back().phase + 1);
  EXPECT_EQ(next.back().phase, next.front().phase);  // not acknowledged yet
}

TEST_F(Core, KeysChangeByTime) {
  settings.phase_span = Duration::from_ms(50);
  open();
  give(kLog, 100);
  auto packets = pull();
  arrive(ack({{packets.back().number, packets.back().number}}));
  now += Duration::from_ms(60);
  give(kLog, 100);
  EXPECT_EQ(pull().back().phase, 1u);
}

TEST_F(Core, GoodbyeIsSaidAndHeard) {
  step(*s, {.kind = EventKind::Goodbye}, now);
  const auto packets = pull();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_TRUE(packets[0].frames.has_close);
  Frames f;
  f.has_close = true;
  EXPECT_TRUE(arrive(f).closed);
}

}  // namespace
}  // namespace cb::core::transport
