// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/prng.h"

namespace cb {
namespace {

using namespace std::string_view_literals;

TEST(Text, TrimsBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("a,", ','), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
}

TEST(Number, TakesDecimalDigitsAndNothingElse) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_number("100", 100), 100u);
  for (const auto bad : {""sv, " 1"sv, "1 "sv, "+1"sv, "-1"sv, "01"sv, "0x1"sv, "1e3"sv,
                         "18446744073709551616"sv, "1\0"sv}) {
    EXPECT_EQ(parse_number(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_number("101", 100), std::nullopt);
}

TEST(Address, Ipv4GoesThereAndBack) {
  const auto address = parse_ipv4("10.1.2.254");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->bytes, (std::array<std::uint8_t, 4>{10, 1, 2, 254}));
  EXPECT_EQ(to_text(*address), "10.1.2.254");
}

TEST(Address, Ipv4RefusesWhatIsNotExactlyOne) {
  for (const auto bad : {""sv, "10.1.2"sv, "10.1.2.256"sv, "10.1.2.3/24"sv, " 10.1.2.3"sv,
                         "10.1.2.3\0x"sv, "010.1.2.3"sv, "::1"sv, "host"sv}) {
    EXPECT_EQ(parse_ipv4(bad), std::nullopt) << bad;
  }
}

TEST(Address, Ipv6IsShownInItsShortestForm) {
  const auto address = parse_ipv6("FD00:0:0:0:0:0:0:0001");
  ASSERT_TRUE(address);
  EXPECT_EQ(to_text(*address), "fd00::1");
  for (const auto bad : {""sv, "fd00"sv, "fd00::1::2"sv, "fe80::1%eth0"sv, "fd00::1/64"sv,
                         "1.2.3.4"sv, "::12345"sv}) {
    EXPECT_EQ(parse_ipv6(bad), std::nullopt) << bad;
  }
}

TEST(Address, MacGoesThereAndBack) {
  const auto mac = parse_mac("02:00:5E:00:01:fF");
  ASSERT_TRUE(mac);
  EXPECT_EQ(to_text(*mac), "02:00:5e:00:01:ff");
  EXPECT_FALSE(mac->is_group());
  EXPECT_TRUE(parse_mac("ff:ff:ff:ff:ff:ff")->is_group());
  for (const auto bad : {""sv, "02:00:5e:00:01"sv, "02-00-5e-00-01-ff"sv, "02:00:5e:00:01:fg"sv,
                         "02:00:5e:00:01:ff:"sv, "2:0:5e:0:1:ff"sv, "02:00:5e:00:01:ff "sv}) {
    EXPECT_EQ(parse_mac(bad), std::nullopt) << bad;
  }
}

TEST(Address, SubnetsAreComparedBitByBit) {
  const auto a = *parse_ipv4("10.0.1.200");
  const auto b = *parse_ipv4("10.0.1.129");
  EXPECT_TRUE(same_subnet(a, b, 25));
  EXPECT_FALSE(same_subnet(a, b, 26));
  EXPECT_TRUE(same_subnet(a, *parse_ipv4("192.168.0.1"), 0));
  EXPECT_FALSE(same_subnet(a, b, 32));
  EXPECT_TRUE(same_subnet(a, a, 33));
}

TEST(Hex, GoesThereAndBackForAllBytes) {
  std::vector<std::uint8_t> bytes;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<std::uint8_t>(byte));
  }
  EXPECT_EQ(parse_hex(to_hex(bytes)), bytes);
  EXPECT_EQ(to_hex(std::vector<std::uint8_t>{0x0a, 0xF0}), "0af0");
  EXPECT_EQ(parse_hex(""), std::vector<std::uint8_t>{});
  EXPECT_EQ(parse_hex("abc"), std::nullopt);
  EXPECT_EQ(parse_hex("0g"), std::nullopt);
}

TEST(Parse, NoGarbageIsTakenForAnAddressThatReadsDifferently) {
  // Whatever random text is accepted must mean what it says: its own text parses to the same value.
  Prng prng(11);
  constexpr std::string_view kLetters = "0123456789abcdefABCDEF:.:.x%/ ";
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    for (auto length = prng.below(20); length > 0; --length) {
      text += kLetters[prng.below(kLetters.size())];
    }
    if (const auto address = parse_ipv4(text)) {
      ASSERT_EQ(to_text(*address), text);
    }
    if (const auto address = parse_ipv6(text)) {
      ASSERT_EQ(parse_ipv6(to_text(*address)), address) << text;
    }
    if (const auto mac = parse_mac(text)) {
      ASSERT_EQ(parse_mac(to_text(*mac)), mac) << text;
    }
  }
}

TEST(Crc32c, GivesTheCheckValuesOfRfc3720) {
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.fill(std::byte{0xff});
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i);
  }
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
}

TEST(Crc32c, MayBeComputedInParts) {
  const std::string text = "123456789";
  const auto bytes = std::as_bytes(std::span(text));
  EXPECT_EQ(crc32c(bytes), 0xe3069283u);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), 0xe3069283u);
  }
}

}  // namespace
}  // namespace cb
