// SPDX-License-Identifier: Apache-2.0
#include "pairing/code.h"

#include <gtest/gtest.h>

#include <set>

namespace cb::pairing {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

Instant at_s(std::int64_t s) { return Instant{} + Duration::from_s(s); }

std::string text_in(const CodeSecret& code) { return {code.data(), code.data() + code.size()}; }

class Code : public ::testing::Test {
 protected:
  Code() { EXPECT_TRUE(crypto_ready()); }
};
using CodeDeskTest = Code;

TEST_F(Code, IsReadBackAsItWasShown) {
  for (int i = 0; i < 200; ++i) {
    const CodeSecret code = make_code();
    const auto read = parse_code(code_text(code));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->equals(code));
  }
}

TEST_F(Code, LooksAsDocumented) {
  const auto example = parse_code("K7QM-3XWD-9FN");
  ASSERT_TRUE(example);
  EXPECT_EQ(text_in(*example), "K7QM3XWD9F");
  EXPECT_EQ(code_text(*example), "K7QM-3XWD-9FN");
}

TEST_F(Code, UsesEveryCharacterOfTheAlphabetInEveryPlace) {
  std::array<std::set<char>, kCodeCharacters> seen;
  for (int i = 0; i < 2000; ++i) {
    const CodeSecret code = make_code();
    for (std::size_t place = 0; place < code.size(); ++place) {
      seen[place].insert(static_cast<char>(code.data()[place]));
    }
  }
  for (const auto& place : seen) {
    EXPECT_EQ(place, std::set<char>(kAlphabet.begin(), kAlphabet.end()));
  }
}

TEST_F(Code, ForgivesHowPeopleType) {
  for (const std::string_view typed :
       {"k7qm-3xwd-9fn", "K7QM3XWD9FN", " K7 QM-3xwd 9FN ", "--K7QM--3XWD--9FN--"}) {
    const auto read = parse_code(typed);
    ASSERT_TRUE(read) << typed;
    EXPECT_EQ(text_in(*read), "K7QM3XWD9F");
  }
  // O is 0, I and L are 1.
  CodeSecret code;
  const std::string_view zeros_and_ones = "0011001100";
  std::copy(zeros_and_ones.begin(), zeros_and_ones.end(), code.data());
  std::string typed = code_text(code);
  typed[0] = 'o';
  typed[1] = 'O';
  typed[2] = 'l';
  typed[3] = 'I';
  const auto read = parse_code(typed);
  ASSERT_TRUE(read) << typed;
  EXPECT_TRUE(read->equals(code));
}

TEST_F(Code, CatchesEverySingleMistypedCharacter) {
  for (int i = 0; i < 20; ++i) {
    const std::string right = code_text(make_code());
    for (std::size_t place = 0; place < right.size(); ++place) {
      for (const char c : kAlphabet) {
        std::string typed = right;
        typed[place] = c;
        if (right[place] != '-' && typed != right) {
          EXPECT_FALSE(parse_code(typed)) << typed;
        }
      }
    }
  }
}

TEST_F(Code, CatchesEverySwapOfTwoCharacters) {
  for (int i = 0; i < 100; ++i) {
    const std::string right = code_text(make_code());
    for (std::size_t a = 0; a < right.size(); ++a) {
      for (std::size_t b = a + 1; b < right.size(); ++b) {
        std::string typed = right;
        std::swap(typed[a], typed[b]);
        if (typed != right && right[a] != '-' && right[b] != '-') {
          EXPECT_FALSE(parse_code(typed)) << typed;
        }
      }
    }
  }
}

TEST_F(Code, SaysWhatIsWrongWithWhatWasTyped) {
  EXPECT_NE(parse_code("K7QM-3XWD").error().what.find("11 characters"), std::string::npos);
  EXPECT_NE(parse_code("").error().what.find("11 characters"), std::string::npos);
  EXPECT_NE(parse_code("K7QM-3XWD-9FNNN").error().what.find("11 characters"), std::string::npos);
  EXPECT_NE(parse_code("K7QM-3XWD-9U?").error().what.find("character that codes do not have"),
            std::string::npos);
  EXPECT_NE(parse_code("K7QM-3XWD-9FX").error().what.find("mistyped"), std::string::npos);
  EXPECT_FALSE(parse_code(std::string(100'000, '-')));
  EXPECT_FALSE(parse_code(std::string(100'000, 'A')));
  EXPECT_FALSE(parse_code(std::string_view("\0\xff\x80", 3)));
}

TEST_F(CodeDeskTest, GivesThreeTriesAndNoMore) {
  CodeDesk desk;
  EXPECT_FALSE(desk.take(at_s(0)));
  const std::string shown = desk.create(at_s(0));
  const auto code = parse_code(shown);
  ASSERT_TRUE(code);
  for (int left = kCodeTries; left > 0; --left) {
    EXPECT_EQ(desk.tries_left(at_s(1)), left);
    const auto one = desk.take(at_s(1));
    ASSERT_TRUE(one);
    EXPECT_TRUE(one->code.equals(*code));
  }
  EXPECT_EQ(desk.tries_left(at_s(1)), 0);
  EXPECT_FALSE(desk.live(at_s(1)));
  EXPECT_FALSE(desk.take(at_s(1)));
}

TEST_F(CodeDeskTest, TheLastTryMayStillSucceed) {
  CodeDesk desk;
  (void)desk.create(at_s(0));
  std::uint64_t generation = 0;
  for (int i = 0; i < kCodeTries; ++i) {
    generation = desk.take(at_s(1))->generation;
  }
  EXPECT_TRUE(desk.use(generation, at_s(2)));
}

TEST_F(CodeDeskTest, EndsACodeAfterTenMinutes) {
  CodeDesk desk;
  (void)desk.create(at_s(100));
  const auto early = desk.take(at_s(699));
  ASSERT_TRUE(early);
  EXPECT_TRUE(desk.live(at_s(699)));
  EXPECT_FALSE(desk.live(at_s(700)));
  EXPECT_FALSE(desk.use(early->generation, at_s(700)));
  EXPECT_FALSE(desk.take(at_s(700)));
}

TEST_F(CodeDeskTest, UsesACodeOnce) {
  CodeDesk desk;
  (void)desk.create(at_s(0));
  const auto first = desk.take(at_s(1));
  const auto second = desk.take(at_s(1));
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(desk.use(second->generation, at_s(2)));
  EXPECT_FALSE(desk.use(first->generation, at_s(2)));
  EXPECT_FALSE(desk.take(at_s(2)));
}

TEST_F(CodeDeskTest, ANewCodeEndsTheFormerOneAndItsRuns) {
  CodeDesk desk;
  const std::string first = desk.create(at_s(0));
  const auto run = desk.take(at_s(1));
  const std::string second = desk.create(at_s(2));
  EXPECT_NE(first, second);
  EXPECT_FALSE(desk.use(run->generation, at_s(3)));
  EXPECT_EQ(desk.tries_left(at_s(3)), kCodeTries);
  EXPECT_TRUE(desk.take(at_s(3))->code.equals(*parse_code(second)));
}

}  // namespace
}  // namespace cb::pairing
