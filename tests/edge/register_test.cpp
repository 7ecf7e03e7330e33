// SPDX-License-Identifier: Apache-2.0
#include "edge/register.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using core::volume::Kind;
using edge::KeptRegister;

const KeptRegister kValue{{42, {0x1111222233334444, 0xffffffffffffffff}, Kind::Together, 1}, 0};
const KeptRegister kWitnessed{{43, {5, 6}, Kind::Alone, 0}, 0x8877665544332211};

class RegisterEdgeTest : public testing::Test {
 protected:
  void SetUp() override {
    loop = open_loop();
    hands = std::move(*loop::Hands::start(*loop, {.name = "cb-test"}));
    std::filesystem::create_directories(folder.at("var/lib/crossbeat/ledger"));
  }
  int write(edge::RegisterEdge& edge, const KeptRegister& value) {
    std::optional<int> answer;
    edge.write(value, [&](int error) { answer = error; });
    EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
    return answer.value_or(-1);
  }
  std::string path() { return edge::RegisterEdge::path_of(folder.path(), "10.0.0.1"); }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
};

TEST_F(RegisterEdgeTest, IsReadAgainByTheNextLife) {
  edge::RegisterEdge first(*hands, folder.path(), "10.0.0.1");
  EXPECT_FALSE(first.kept());
  EXPECT_EQ(write(first, kValue), 0);
  EXPECT_EQ(first.kept(), kValue);
  EXPECT_EQ(write(first, kWitnessed), 0);
  edge::RegisterEdge second(*hands, folder.path(), "10.0.0.1");
  EXPECT_EQ(second.kept(), kWitnessed);
  edge::RegisterEdge other(*hands, folder.path(), "10.0.0.2");
  EXPECT_FALSE(other.kept());
}

TEST_F(RegisterEdgeTest, IsNotBelievedBeforeItIsDurable) {
  edge::RegisterEdge edge(*hands, folder.path(), "10.0.0.1");
  std::optional<int> answer;
  edge.write(kValue, [&](int error) { answer = error; });
  EXPECT_FALSE(edge.kept());
  int second = 0;
  edge.write(kValue, [&](int error) { second = error; });
  EXPECT_EQ(second, EBUSY);
  EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
  EXPECT_EQ(edge.kept(), kValue);
}

TEST_F(RegisterEdgeTest, KeepsTheOldValueWhenItCannotBeWritten) {
  edge::RegisterEdge edge(*hands, folder.path(), "10.0.0.1");
  ASSERT_EQ(write(edge, kValue), 0);
  std::filesystem::create_directories(path() + ".new/x");
  KeptRegister next = kValue;
  next.value.epoch = 43;
  EXPECT_NE(write(edge, next), 0);
  EXPECT_EQ(edge.kept(), kValue);
}

TEST(RegisterText, EveryChangedByteIsNoticed) {
  for (const KeptRegister& value : {kValue, kWitnessed}) {
    const std::string text = edge::register_text(value);
    EXPECT_EQ(edge::parse_register(text), value);
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string spoilt = text;
      spoilt[i] = static_cast<char>(spoilt[i] ^ 1);
      EXPECT_FALSE(edge::parse_register(spoilt)) << i;
      EXPECT_FALSE(edge::parse_register(text.substr(0, i))) << i;
    }
    EXPECT_FALSE(edge::parse_register(text + "x"));
  }
}

}  // namespace
}  // namespace cb::test
