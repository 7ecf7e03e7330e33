// SPDX-License-Identifier: Apache-2.0
//
// Files that were damaged, by accident or on purpose. Whatever comes, the parser answers: a
// configuration that keeps its own rules, or at least one error.
#include <gtest/gtest.h>

#include "base/prng.h"
#include "config/address.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/screen.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

void expect_sound(const std::string& text) {
  const auto parsed = parse_node(text, "fuzzed.toml", machine());
  if (!parsed.ok()) {
    return;
  }
  const Node& node = parsed.value;
  EXPECT_FALSE(node.name.empty());
  EXPECT_FALSE(is_zero(node.hm_address));
  EXPECT_NE(node.port, 0);
  EXPECT_EQ(node.virtual_addresses.empty(), node.role == core::Role::Secondary);
  for (const LinkHeartbeat& link : {node.heartbeat.direct, node.heartbeat.network}) {
    EXPECT_GE(link.interval, kIntervalMin);
    EXPECT_LE(link.interval, kIntervalMax);
    EXPECT_GE(link.probes_lost, kProbesLostMin);
    EXPECT_LE(link.probes_lost, kProbesLostMax);
  }
  EXPECT_GE(node.wait_for_peer, kLongestGrant);
  EXPECT_FALSE(node.arbitration.empty());
  EXPECT_LE(node.automatic_moves_max, kAutomaticMovesLimit);
  // What is accepted can be shown, and is the same when it is read back.
  const auto again = parse_node(node_to_toml(node), "shown.toml", machine());
  EXPECT_TRUE(again.ok()) << node_to_toml(node);
  EXPECT_EQ(again.value, node) << node_to_toml(node);
}

std::string mutated(std::string text, Prng& prng) {
  for (std::uint64_t i = prng.below(8) + 1; i > 0 && !text.empty(); --i) {
    const auto at = prng.below(text.size());
    switch (prng.below(5)) {
      case 0: text[at] = static_cast<char>(prng.below(256)); break;
      case 1: text.erase(at, prng.below(20)); break;
      case 2: text.insert(at, text.substr(prng.below(text.size()), prng.below(30))); break;
      case 3: text[at] ^= static_cast<char>(1 << prng.below(8)); break;
      default: text.resize(at); break;
    }
  }
  return text;
}

TEST(DamagedFile, NeverCrashesAndNeverPassesUnsound) {
  Prng prng(42);
  for (const char* name : {"minimal.toml", "secondary.toml", "full.toml"}) {
    const std::string original = contents(fixtures() / "good" / name);
    ASSERT_FALSE(original.empty());
    for (int i = 0; i < 2000; ++i) {
      expect_sound(mutated(original, prng));
    }
  }
}

TEST(DamagedFile, OfRandomBytesIsAnError) {
  Prng prng(43);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint64_t k = prng.below(300); k > 0; --k) {
      text += static_cast<char>(prng.below(256));
    }
    EXPECT_FALSE(parse_node(text, "x", machine()).ok());
    EXPECT_FALSE(parse_pair(text, "x").ok());
  }
}

TEST(DamagedFile, DeepNestingIsAnErrorNotACrash) {
  const auto repeated = [](std::string_view part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) {
      text += part;
    }
    return text;
  };
  for (const int depth : {20, 1000, 2000, 100'000}) {
    const std::string keys = repeated("a.", depth) + "a";
    EXPECT_FALSE(parse_node("a = " + repeated("[", depth), "x", machine()).ok());
    EXPECT_FALSE(
        parse_node("a = " + repeated("[", depth) + repeated("]", depth), "x", machine()).ok());
    EXPECT_FALSE(parse_node(keys + " = 1", "x", machine()).ok());
    EXPECT_FALSE(parse_node("[" + keys + "]\n" + keys + " = 1", "x", machine()).ok());
    EXPECT_FALSE(parse_node(repeated("[[a]]\n", depth), "x", machine()).ok());
  }
}

// toml++ 3.3 would abort here.
TEST(DamagedFile, ATableWithoutANameIsAnError) {
  for (const char* text : {"[.a]", "[=]", "[[.a]]", "[\xc3\xa9]", "[", "[[", "[ ]", "[]"}) {
    EXPECT_FALSE(parse_node(text, "x", machine()).ok()) << text;
  }
}

// toml++ 3.3 has undefined behaviour for some of these.
TEST(DamagedFile, LettersBeyondAsciiOutsideOfQuotesAreAnError) {
  for (const char* text :
       {"\xef\xbb\xb8Th = 1", "a = 1 \xef\xbb\xb8", "a = \"x\"\xc2\xa0", "a = '\\'\xef\xbb\xb8'",
        "a =10\"x\xc6\x8c", "a = 1=\"\xef\xbb\xb8\"", "a = \"\"\"\n\\ \xef\xbb\xb8\"\"\""}) {
    EXPECT_FALSE(parse_node(text, "x", machine()).ok()) << text;
  }
  const std::string minimal = contents(fixtures() / "good/minimal.toml");
  const auto parsed = parse_node(
      "\xef\xbb\xbf" + minimal + "\n[product]\nname = \"M\xc3\xbcller ~c3\" # \xef\xbb\xb8\r\n",
      "x", machine());
  EXPECT_TRUE(parsed.problems.empty());
  EXPECT_EQ(parsed.value.product.name, "M\xc3\xbcller ~c3");
}

TEST(Ascii, CarriesEveryTextThrough) {
  Prng prng(44);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint64_t k = prng.below(40); k > 0; --k) {
      text += prng.chance(1, 4) ? '~' : static_cast<char>(prng.below(256));
    }
    const std::string ascii = to_ascii(text);
    for (const char c : ascii) {
      ASSERT_LT(static_cast<unsigned char>(c), 0x80);
    }
    ASSERT_EQ(from_ascii(ascii), text);
  }
  EXPECT_EQ(from_ascii("~"), "~");
  EXPECT_EQ(from_ascii("~4"), "~4");
  EXPECT_EQ(from_ascii("~41~zz"), "~41~zz");
}

TEST(Screen, KnowsWhatIsUtf8) {
  for (const char* good : {"", "abc\t", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "a\r\nb"}) {
    EXPECT_FALSE(screen(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "a\rb", "\x7f", "\x01"}) {
    EXPECT_TRUE(screen(bad)) << bad;
  }
  EXPECT_EQ(screen("a\nb\n\xff\n")->line, 3);
}

TEST(DamagedFile, LongerThanAMegabyteIsRefusedUnread) {
  EXPECT_FALSE(parse_node(std::string(2u << 20, '#'), "x", machine()).ok());
}

}  // namespace
}  // namespace cb::config::test
