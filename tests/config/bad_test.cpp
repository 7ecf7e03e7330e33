// SPDX-License-Identifier: Apache-2.0
//
// bad/*.toml say themselves what is wrong with them:
//   interval = 250  #! error: a duration needs its unit        expected at this line
//   #! 13 error: the virtual address ...                       expected at line 13 (0: the whole
//   file)
// Everything that is expected must be told, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "config/config.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

struct Expected {
  int line = 0;
  bool warning = false;
  std::string part;
};

std::vector<Expected> expectations(const std::string& text) {
  std::vector<Expected> result;
  int line = 0;
  for (std::string_view row : split(text, '\n')) {
    ++line;
    const std::size_t mark = row.find("#! ");
    if (mark == std::string_view::npos) {
      continue;
    }
    row.remove_prefix(mark + 3);
    Expected expected{.line = line};
    if (const auto number = parse_number(row.substr(0, row.find(' ')))) {
      expected.line = static_cast<int>(*number);
      row.remove_prefix(row.find(' ') + 1);
    }
    expected.warning = row.starts_with("warning: ");
    EXPECT_TRUE(expected.warning || row.starts_with("error: ")) << row;
    expected.part = trim(row.substr(row.find(": ") + 2));
    result.push_back(expected);
  }
  return result;
}

class BadFile : public testing::TestWithParam<std::string> {};

TEST_P(BadFile, TellsEveryProblemAtItsLineAndNothingElse) {
  const std::string text = contents(fixtures() / "bad" / GetParam());
  ASSERT_FALSE(text.empty());
  std::vector<Expected> expected = expectations(text);
  ASSERT_FALSE(expected.empty());

  const auto parsed = parse_node(text, GetParam(), machine());

  for (const Problem& problem : parsed.problems) {
    const auto match = std::find_if(expected.begin(), expected.end(), [&](const Expected& e) {
      return e.line == problem.line && e.warning == problem.warning &&
             problem.what.find(e.part) != std::string::npos;
    });
    EXPECT_NE(match, expected.end()) << "not expected: " << problem.text();
    if (match != expected.end()) {
      expected.erase(match);
    }
  }
  for (const Expected& missing : expected) {
    ADD_FAILURE() << "not told: line " << missing.line << ": " << missing.part;
  }
  EXPECT_TRUE(std::is_sorted(parsed.problems.begin(), parsed.problems.end(),
                             [](const Problem& a, const Problem& b) { return a.line < b.line; }));
}

std::vector<std::string> bad_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures() / "bad")) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, BadFile, testing::ValuesIn(bad_files()), [](const auto& file) {
  return file.param.substr(0, file.param.find('.'));
});

TEST(Problem, ReadsLikeACompilersMessage) {
  EXPECT_EQ((Problem{"crossbeat.toml", 12, false, "no"}.text()), "crossbeat.toml:12: error: no");
  EXPECT_EQ((Problem{"crossbeat.toml", 0, true, "hm"}.text()), "crossbeat.toml: warning: hm");
}

// The virtual address on the interface: our own label means that the monitor put it there.
TEST(VirtualAddress, OnTheInterfaceIsOursOnlyByItsLabel) {
  const std::string text = contents(fixtures() / "good/minimal.toml");
  MachineFacts facts = machine();
  facts.interfaces[1].addresses.push_back(prefix("10.10.10.11/24"));
  facts.interfaces[1].labels.push_back("eth0:1");
  EXPECT_THAT(parse_node(text, "x", facts).problems, testing::IsEmpty());

  facts.interfaces[1].labels.back() = "eth0";
  const auto refused = parse_node(text, "x", facts);
  ASSERT_EQ(refused.problems.size(), 1u);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(refused.problems[0].line, 9);
  EXPECT_THAT(refused.problems[0].what, testing::HasSubstr("is on eth0 already"));
}

TEST(VirtualAddress, OnAnotherInterfaceIsRefusedWhateverItsLabel) {
  const std::string text = contents(fixtures() / "good/minimal.toml");
  MachineFacts facts = machine();
  facts.interfaces[0].addresses.push_back(prefix("10.10.10.11/32"));
  facts.interfaces[0].labels.push_back("eth0:1");
  EXPECT_FALSE(parse_node(text, "x", facts).ok());
}

TEST(Gateway, OfADefaultRouteThroughAnotherInterfaceIsNotTaken) {
  MachineFacts facts = machine();
  facts.default_gateway = address("192.168.1.1");
  const auto parsed = parse_node(contents(fixtures() / "good/minimal.toml"), "x", facts);
  EXPECT_FALSE(parsed.ok());
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_THAT(parsed.problems[0].what, testing::HasSubstr("\"gateway\" needs a gateway"));
}

TEST(Interface, ThatIsDownIsAWarning) {
  MachineFacts facts = machine();
  facts.interfaces[1].up = false;
  const auto parsed = parse_node(contents(fixtures() / "good/minimal.toml"), "x", facts);
  EXPECT_TRUE(parsed.ok());
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_THAT(parsed.problems[0].what, testing::HasSubstr("ip link set eth0 up"));
}

TEST(MissingFile, NamesThePathAndTheNextStep) {
  const TemporaryFolder root;
  const auto parsed = load_node(root.text() + "/", machine());
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.problems[0].file, root.text() + "/etc/crossbeat/crossbeat.toml");
  EXPECT_THAT(parsed.problems[0].what, testing::HasSubstr("No such file"));
  EXPECT_THAT(parsed.problems[0].what, testing::HasSubstr("crossbeat.toml(5)"));
}

}  // namespace
}  // namespace cb::config::test
