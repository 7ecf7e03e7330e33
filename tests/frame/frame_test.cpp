// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/frame/fuzz_one.h"

namespace cb::test {
namespace {

constexpr Mac kNear{{2, 0, 0, 0, 0, 1}};
constexpr Mac kFar{{2, 0, 0, 0, 0, 2}};
constexpr Ipv4 kNearIp{{192, 0, 2, 1}};
constexpr Ipv4 kFarIp{{192, 0, 2, 2}};

TEST(Parser, FindsAHeartbeatInEveryEnvelopeAndInNoPieceOfOne) {
  const Heartbeat hb{};
  for (unsigned options = 0; options <= 10; ++options) {
    for (unsigned tags = 0; tags <= 3; ++tags) {
      SCOPED_TRACE(std::to_string(options) + " words of options, " + std::to_string(tags) +
                   " tags");
      Frame frame(kNear, kFar);
      for (unsigned tag = 0; tag < tags; ++tag) {
        frame.vlan(static_cast<uint16_t>(tag));
      }
      const Bytes whole =
          frame.ipv4(kFarIp, kNearIp, CB_IP_UDP, options).udp(7388, 7388).heartbeat(hb).bytes();
      for (size_t size = 1; size <= whole.size(); ++size) {
        Bytes bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
        cb_cursor cursor{bytes.data(), bytes.data() + bytes.size()};
        cb_found found{};
        int broken = 0;
        const bool ours = cb_find(&cursor, &found, 1, 7388, &broken) != 0;
        const size_t headers = whole.size() - sizeof hb;
        ASSERT_EQ(ours, tags <= 2 && size >= headers) << size;
        ASSERT_EQ(broken, 0);
        if (ours) {
          ASSERT_EQ(static_cast<size_t>(cursor.at - bytes.data()), headers);
        }
      }
    }
  }
}

TEST(Parser, AHeaderCutOffHoldsNoAddress) {
  const Ipv6 address{{0x20, 1}};
  const uint8_t filler[20] = {};
  const struct {
    Bytes whole;
    size_t first, second;  // bytes from which on the first and the second address are there
  } rows[] = {
      {Frame(kNear, kFar).ipv4(kFarIp, kNearIp, 6).payload(filler, 20).bytes(), 34, 34},
      {Frame(kNear, kFar).vlan(1).ipv4(kFarIp, kNearIp, 6).payload(filler, 20).bytes(), 38, 38},
      {Frame(kNear, kFar).arp(1, kFar, kFarIp, kNearIp).bytes(), 42, 42},
      {Frame(kNear, kFar).ipv6(address, address, 58).nd(CB_NS, address).bytes(), 54, 78},
      {Frame(kNear, kFar).vlan(1).vlan(2).ipv6(address, address, 58).nd(CB_NS, address).bytes(), 62,
       86},
  };
  for (const auto& row : rows) {
    for (size_t size = 1; size <= row.whole.size(); ++size) {
      Bytes bytes(row.whole.begin(), row.whole.begin() + static_cast<ptrdiff_t>(size));
      cb_cursor cursor{bytes.data(), bytes.data() + bytes.size()};
      cb_claims claims{};
      cb_find_claims(&cursor, 0, &claims);
      const uint32_t expected = size < row.first                               ? 0
                                : size < row.second || row.first == row.second ? 1
                                                                               : 2;
      ASSERT_EQ(claims.count, expected) << size;
    }
  }
}

// What the fuzzer runs for minutes, here for a moment and always the same.
TEST(Fuzz, TheRulesHoldInRandomStories) {
  Prng random(0xf00d);
  for (int i = 0; i < 3000; ++i) {
    SCOPED_TRACE("story " + std::to_string(i));
    Bytes story(random.next() % 1500);
    for (uint8_t& byte : story) {
      byte = static_cast<uint8_t>(random.next());
    }
    fuzz_one(story.data(), story.size());
  }
}

TEST(Fuzz, TheRulesHoldInTheStoriesThatWereKept) {
  const char* const source = std::getenv("CB_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run by ctest, or set CB_SOURCE_DIR";
  int stories = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(source) + "/tests/fuzz/corpus/frame_fuzz")) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    fuzz_one(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++stories;
  }
  EXPECT_GE(stories, 1);
}

// The rules are checked by abort(): here it is seen to happen.
TEST(Fuzz, ABrokenRuleEndsTheRun) { EXPECT_DEATH(require(false), "is broken"); }

}  // namespace
}  // namespace cb::test
