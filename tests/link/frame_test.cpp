// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/frame.h"

#include <gtest/gtest.h>

#include <vector>

namespace cb::link {
namespace {

constexpr Mac kTo{{2, 0, 0, 0, 0, 2}};
constexpr Mac kFrom{{2, 0, 0, 0, 0, 1}};
constexpr std::uint16_t kChannel = 0x1234;

std::vector<std::uint8_t> plain(std::size_t length, FrameKind kind = FrameKind::Packet) {
  std::vector<std::uint8_t> frame(kPlainHeader + length, 0x5a);
  write_plain(std::span(frame).first<kPlainHeader>(), kTo, kFrom, kind, kChannel, length);
  return frame;
}

std::vector<std::uint8_t> super(std::size_t length, std::uint32_t number = 7,
                                FrameKind kind = FrameKind::Packet) {
  std::vector<std::uint8_t> frame(kSuperHeader + length, 0x5a);
  write_super(std::span(frame).first<kSuperHeader>(), kTo, kFrom, kind, kChannel, number, length);
  return frame;
}

TEST(Frame, APlainFrameIsReadAsItWasWritten) {
  const auto frame = plain(100);
  const auto read = read_frame(frame, kChannel);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, FrameKind::Packet);
  EXPECT_EQ(read->source, kFrom);
  EXPECT_EQ(read->bytes.data(), frame.data() + kPlainHeader);
  EXPECT_EQ(read->bytes.size(), 100u);
  EXPECT_TRUE(read->whole());
}

TEST(Frame, ThePaddingOfAShortFrameIsNotPartOfThePacket) {
  auto frame = plain(5);
  frame.resize(60);
  const auto read = read_frame(frame, kChannel);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes.size(), 5u);
}

TEST(Frame, ASuperframeIsReadAsItWasWritten) {
  const auto frame = super(kSuperMax, 0xfedcba98);
  const auto read = read_frame(frame, kChannel);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 0xfedcba98u);
  EXPECT_EQ(read->total, kSuperMax);
  EXPECT_EQ(read->at, 0u);
  EXPECT_EQ(read->bytes.size(), kSuperMax);
  EXPECT_TRUE(read->whole());
}

TEST(Frame, TheInternetHeaderOfASuperframeSumsUp) {
  const auto frame = super(30'000);
  std::uint32_t sum = 0;
  for (std::size_t i = kEthernetBytes; i < kEthernetBytes + 20; i += 2) {
    sum += static_cast<std::uint32_t>(frame[i] << 8 | frame[i + 1]);
  }
  sum = (sum & 0xffff) + (sum >> 16);
  EXPECT_EQ((sum & 0xffff) + (sum >> 16), 0xffffu);
}

// What a card makes of a superframe: the sequence number grows, everything else stays.
TEST(Frame, APieceSaysWhereItBelongs) {
  auto frame = super(4000);
  frame[kEthernetBytes + 2] = (1460 + kTcpIpBytes) >> 8;
  frame[kEthernetBytes + 3] = (1460 + kTcpIpBytes) & 0xff;
  frame.resize(kSuperHeader + 1460);
  frame[kEthernetBytes + 26] = 1460 >> 8;
  frame[kEthernetBytes + 27] = 1460 & 0xff;
  const auto read = read_frame(frame, kChannel);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->whole());
  EXPECT_EQ(read->at, 1460u);
  EXPECT_EQ(read->total, 4000u);
}

TEST(Frame, WhatIsOfAnotherChannelIsForeign) {
  EXPECT_FALSE(read_frame(plain(10), kChannel + 1));
  EXPECT_FALSE(read_frame(super(10), kChannel + 1));
}

TEST(Frame, EveryTruncationIsRefused) {
  for (const auto& frame : {plain(30), super(30)}) {
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_FALSE(read_frame(ConstBytes(frame).first(size), kChannel)) << size;
    }
  }
}

TEST(Frame, ALengthThatContradictsTheOthersIsRefused) {
  auto frame = super(4000);
  frame[kEthernetBytes + 26] = 1;  // it would begin at 256 and end behind the packet
  EXPECT_FALSE(read_frame(frame, kChannel));
  frame = super(4000);
  frame[kEthernetBytes + 24] = 0xff;  // longer than any packet
  EXPECT_FALSE(read_frame(frame, kChannel));
  frame = plain(30);
  frame[18] = 0;
  frame[19] = 0;
  EXPECT_FALSE(read_frame(frame, kChannel));
  EXPECT_FALSE(read_frame(plain(10, FrameKind::Probe), kChannel));
  EXPECT_FALSE(read_frame(super(10, 1, FrameKind::Greeting), kChannel));
}

TEST(Frame, NobodySendsFromAGroupAddress) {
  auto frame = plain(30);
  frame[6] |= 1;
  EXPECT_FALSE(read_frame(frame, kChannel));
}

// Whatever one byte says, what is read lies inside the frame.
TEST(Frame, NoByteLeadsOutOfTheFrame) {
  for (const auto& good : {plain(300), super(3000)}) {
    for (std::size_t at = 0; at < kSuperHeader; ++at) {
      for (unsigned value = 0; value < 256; ++value) {
        auto frame = good;
        frame[at] = static_cast<std::uint8_t>(value);
        if (const auto read = read_frame(frame, kChannel)) {
          ASSERT_FALSE(read->bytes.empty());
          ASSERT_GE(read->bytes.data(), frame.data());
          ASSERT_LE(read->bytes.data() + read->bytes.size(), frame.data() + frame.size());
          ASSERT_LE(read->total, kSuperMax);
          ASSERT_TRUE(read->total == 0 || read->at + read->bytes.size() <= read->total);
        }
      }
    }
  }
}

TEST(Frame, ASuperframeIsFullFramesOnly) {
  EXPECT_EQ(super_max(1500), 44u * 1460);
  EXPECT_EQ(super_max(9000), 7u * 8960);
  EXPECT_EQ(super_max(1279), 0u);
  EXPECT_LE(super_max(65'535), kSuperMax);
  EXPECT_GT(super_max(65'535), 0u);
}

TEST(Greeting, IsReadAsItWasWritten) {
  for (const bool answer : {false, true}) {
    for (const bool reach : {false, true}) {
      const auto read = read_greeting(write_greeting({answer, reach}));
      ASSERT_TRUE(read);
      EXPECT_EQ(read->answer, answer);
      EXPECT_EQ(read->superframes_reach, reach);
    }
  }
  const auto bytes = write_greeting({});
  EXPECT_FALSE(read_greeting(ConstBytes(bytes).first(kGreetingBytes - 1)));
}

}  // namespace
}  // namespace cb::link
