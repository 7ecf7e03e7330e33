// SPDX-License-Identifier: Apache-2.0
#include "core/transport/frames.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/prng.h"

namespace cb::core::transport {
namespace {

std::vector<uint8_t> encoded(const Frames& frames, std::size_t data) {
  std::vector<uint8_t> body(kFrontMax + frames.pad_to + data, 0xAB);
  const std::size_t front = encode(frames, body);
  body.resize(front + data);
  return body;
}

Frames everything() {
  Frames f;
  f.has_ack = f.has_ping = f.has_pong = f.has_close = f.has_stream = true;
  f.ack.delay_us = 77;
  f.ack.credit[0] = 1;
  f.ack.credit[2] = UINT64_MAX;
  f.ack.count = 3;
  f.ack.ranges[0] = {900, 1000};
  f.ack.ranges[1] = {500, 500};
  f.ack.ranges[2] = {0, 498};
  f.ping = 5;
  f.pong = 0x80000001;
  f.pong_size = 1400;
  f.klass = 2;
  f.offset = 1'000'000'007;
  f.length = 9;
  return f;
}

TEST(Frames, ComeBackAsTheyWere) {
  const Frames f = everything();
  const std::vector<uint8_t> body = encoded(f, f.length);
  auto out = std::make_unique<Frames>();
  ASSERT_TRUE(decode(body, *out));
  EXPECT_TRUE(out->has_ack && out->has_ping && out->has_pong && out->has_close && out->has_stream);
  EXPECT_EQ(out->ack.count, 3);
  EXPECT_EQ(out->ack.delay_us, 77u);
  EXPECT_EQ(out->ack.credit[2], UINT64_MAX);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(out->ack.ranges[i].first, f.ack.ranges[i].first);
    EXPECT_EQ(out->ack.ranges[i].last, f.ack.ranges[i].last);
  }
  EXPECT_EQ(out->ping, 5u);
  EXPECT_EQ(out->pong, 0x80000001u);
  EXPECT_EQ(out->pong_size, 1400u);
  EXPECT_EQ(out->klass, 2);
  EXPECT_EQ(out->offset, 1'000'000'007u);
  EXPECT_EQ(out->length, 9u);
  EXPECT_EQ(body[out->data_at], 0xAB);
}

TEST(Frames, EveryShorterLengthIsMalformedOrSomethingElseThatIsWhole) {
  const Frames f = everything();
  const std::vector<uint8_t> body = encoded(f, 1);
  auto out = std::make_unique<Frames>();
  for (std::size_t length = 0; length < body.size(); ++length) {
    const bool whole = length == ack_frame(3) || length == ack_frame(3) + kPongFrame ||
                       length == ack_frame(3) + kPongFrame + kPingFrame ||
                       length == ack_frame(3) + kPongFrame + kPingFrame + kCloseFrame;
    EXPECT_EQ(decode(ConstBytes(body).first(length), *out), whole) << length;
  }
}

TEST(Frames, PaddingIsZeroAndNotAlone) {
  Frames f;
  f.has_ping = true;
  f.pad_to = 600;
  std::vector<uint8_t> body = encoded(f, 0);
  ASSERT_EQ(body.size(), 600u);
  auto out = std::make_unique<Frames>();
  EXPECT_TRUE(decode(body, *out));
  body[599] = 1;
  EXPECT_FALSE(decode(body, *out));
  const std::vector<uint8_t> nothing(100, 0);
  EXPECT_FALSE(decode(nothing, *out));
}

TEST(Frames, OneFrameTwiceIsMalformed) {
  Frames f;
  f.has_ping = true;
  std::vector<uint8_t> body = encoded(f, 0);
  const std::vector<uint8_t> once = body;
  body.insert(body.end(), once.begin(), once.end());
  auto out = std::make_unique<Frames>();
  EXPECT_TRUE(decode(once, *out));
  EXPECT_FALSE(decode(body, *out));
}

// Whatever bytes come: what is accepted is in its range, and encodes to the same bytes.
TEST(Frames, NonsenseIsRefusedOrMeansWhatItSays) {
  Prng prng(3);
  auto out = std::make_unique<Frames>();
  const std::vector<uint8_t> good = encoded(everything(), 20);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> body = good;
    for (uint64_t i = prng.below(4); i < 4; ++i) {
      body[prng.below(body.size())] = static_cast<uint8_t>(prng.next());
    }
    if (!decode(body, *out)) {
      continue;
    }
    ++accepted;
    if (out->has_ack) {
      for (int i = 0; i < out->ack.count; ++i) {
        const AckRange& range = out->ack.ranges[static_cast<std::size_t>(i)];
        ASSERT_LE(range.first, range.last);
        ASSERT_TRUE(i == 0 ||
                    range.last + 1 < out->ack.ranges[static_cast<std::size_t>(i) - 1].first);
      }
    }
    if (out->has_stream) {
      ASSERT_LT(out->klass, kClasses);
      ASSERT_EQ(out->data_at + out->length, body.size());
    }
    std::vector<uint8_t> again(body.size());
    out->pad_to = 0;
    const std::size_t front = encode(*out, again);
    ASSERT_TRUE(std::equal(again.begin(), again.begin() + static_cast<std::ptrdiff_t>(front),
                           body.begin()));
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace cb::core::transport
