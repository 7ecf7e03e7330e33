// SPDX-License-Identifier: Apache-2.0
#include "edge/frames.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"
#include "base/text.h"

namespace cb::edge {
namespace {

const Mac kSelf = *parse_mac("02:00:00:00:00:0a");
const Mac kOther = *parse_mac("02:00:00:00:00:0b");
const Ipv4 kVirtual = *parse_ipv4("10.99.0.11");
const Ipv4 kNode = *parse_ipv4("10.99.0.1");

std::string hex(std::span<const std::uint8_t> bytes) { return to_hex(bytes); }

TEST(Frames, GratuitousRequestIsByteExact) {
  EXPECT_EQ(hex(to_frame(gratuitous_request(kSelf, kVirtual))),
            "ffffffffffff02000000000a0806"  // broadcast, from us, ARP
            "0001080006040001"              // Ethernet, IPv4, request
            "02000000000a0a63000b"          // we have 10.99.0.11
            "0000000000000a63000b");        // who has 10.99.0.11?
}

// With any other target MAC Linux ignores it for a second after the last change.
TEST(Frames, GratuitousReplyCarriesOurMacTwice) {
  EXPECT_EQ(hex(to_frame(gratuitous_reply(kSelf, kVirtual))),
            "ffffffffffff02000000000a0806"
            "0001080006040002"
            "02000000000a0a63000b"
            "02000000000a0a63000b");
}

TEST(Frames, AProbeClaimsNothing) {
  EXPECT_EQ(hex(to_frame(arp_probe(kSelf, kVirtual))),
            "ffffffffffff02000000000a0806"
            "0001080006040001"
            "02000000000a00000000"
            "0000000000000a63000b");
}

// The checksum was computed apart from this program.
TEST(Frames, UnsolicitedAdvertisementIsByteExact) {
  EXPECT_EQ(hex(unsolicited_na(kSelf, *parse_ipv6("fd00:99::11"))),
            "33330000000102000000000a86dd"
            "6000000000203aff"
            "fd000099000000000000000000000011"
            "ff020000000000000000000000000001"
            "88005940"
            "20000000"
            "fd000099000000000000000000000011"
            "020102000000000a");
}

TEST(Frames, WhatIsWrittenIsReadBack) {
  for (const Arp& arp : {arp_request(kSelf, kNode, kVirtual),
                         arp_request(kSelf, kNode, kVirtual, kOther), arp_probe(kSelf, kVirtual),
                         gratuitous_request(kSelf, kVirtual), gratuitous_reply(kSelf, kVirtual)}) {
    EXPECT_EQ(parse_arp(to_frame(arp)), arp);
  }
}

TEST(Frames, PaddingOfShortFramesDoesNotMatter) {
  const ArpFrame frame = to_frame(gratuitous_request(kSelf, kVirtual));
  std::vector<std::uint8_t> padded(frame.begin(), frame.end());
  padded.resize(60, 0xee);
  EXPECT_EQ(parse_arp(padded), gratuitous_request(kSelf, kVirtual));
}

TEST(Frames, EveryTruncationIsRefused) {
  const ArpFrame frame = to_frame(gratuitous_request(kSelf, kVirtual));
  for (std::size_t length = 0; length < frame.size(); ++length) {
    EXPECT_FALSE(parse_arp(std::span(frame).first(length))) << length;
  }
}

struct Row {
  const char* what;
  std::size_t at;
  std::uint8_t value;
};

TEST(Frames, WhatIsNotArpOfEthernetAndIpv4IsRefused) {
  for (const Row& row :
       {Row{"another EtherType", 13, 0x00}, Row{"another hardware", 15, 6},
        Row{"another protocol", 16, 0x86}, Row{"hardware address of 8 bytes", 18, 8},
        Row{"protocol address of 16 bytes", 19, 16}, Row{"operation 0", 21, 0}, Row{"RARP", 21, 3},
        Row{"operation 256 + 1", 20, 1}, Row{"a group address as the sender", 22, 0x03},
        Row{"a group address as the frame's source", 6, 0x01}}) {
    ArpFrame frame = to_frame(gratuitous_request(kSelf, kVirtual));
    frame[row.at] = row.value;
    EXPECT_FALSE(parse_arp(frame)) << row.what;
  }
  ArpFrame nobody = to_frame(gratuitous_request(Mac{}, kVirtual));
  EXPECT_FALSE(parse_arp(nobody)) << "an all-zero sender";
}

TEST(Frames, RandomBytesNeverLeadAstray) {
  constexpr std::uint64_t kSeed = 20260131;
  Prng prng(kSeed);
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  for (int i = 0; i < 200'000; ++i) {
    std::vector<std::uint8_t> bytes(prng.below(80));
    for (std::uint8_t& byte : bytes) {
      byte = static_cast<std::uint8_t>(prng.next());
    }
    // Half of them almost right, so that they get past the first checks.
    if (prng.chance(1, 2) && bytes.size() >= 22) {
      const ArpFrame frame = to_frame(gratuitous_request(kSelf, kVirtual));
      std::copy(frame.begin() + 12, frame.begin() + 21, bytes.begin() + 12);
    }
    if (const auto arp = parse_arp(bytes)) {
      EXPECT_GE(bytes.size(), kArpFrameBytes);
      EXPECT_FALSE(arp->sender_mac.is_group());
      EXPECT_EQ(parse_arp(to_frame(*arp)), arp);
    }
  }
}

}  // namespace
}  // namespace cb::edge
