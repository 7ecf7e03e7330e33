// SPDX-License-Identifier: Apache-2.0
#include "config/platform.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <map>

#include "base/file.h"
#include "tests/base/temporary_folder.h"

namespace cb::config {
namespace {

Platforms shipped() {
  const auto parsed = parse_platforms(built_in_platforms(), "built in");
  for (const Problem& problem : parsed.problems) {
    ADD_FAILURE() << problem.text();
  }
  return parsed.value;
}

bool may_pair(const Platforms& rules, const std::string& primary, const std::string& secondary) {
  return judge_pair(rules, {primary, {}}, {secondary, {}}).allowed;
}

TEST(PlatformMatrix, IsTheReferencesOneToOne) {
  const Platforms rules = shipped();
  const std::vector<std::string> models = {"3310",        "3350",    "3355", "VA-Low",
                                           "VA-Standard", "VA-High", "3365"};
  const std::map<std::string, std::string> rows = {
      {"3310", "YYYNNNN"},   {"3350", "NYYNNNN"},        {"3355", "NYYNNNN"},
      {"VA-Low", "NNNYYYN"}, {"VA-Standard", "NNNNYYN"}, {"VA-High", "NNNNNYN"},
      {"3365", "NNNNNNY"},
  };
  for (const auto& [primary, row] : rows) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      EXPECT_EQ(may_pair(rules, primary, models[i]), row[i] == 'Y') << primary << " " << models[i];
    }
  }
}

TEST(PlatformMatrix, AModelThatItNamesPairsWithNoStranger) {
  const Platforms rules = shipped();
  for (const char* stranger : {"", "own-box"}) {
    EXPECT_FALSE(may_pair(rules, "3365", stranger));
    EXPECT_FALSE(may_pair(rules, stranger, "3365"));
    EXPECT_FALSE(may_pair(rules, stranger, "VA-High"));
  }
  EXPECT_TRUE(may_pair(rules, "own-box", ""));
  EXPECT_EQ(judge_pair(rules, {"3365", {}}, {"3355", {}}).text,
            "a primary 3365 with a secondary 3355: the platform matrix allows 3365");
}

TEST(PlatformMatrix, IsTheReferencesSeveralToOne) {
  const Platforms rules = shipped();
  const auto may = [&](const char* secondary, std::vector<std::string> primaries) {
    return judge_together(rules, secondary, std::move(primaries)).allowed;
  };
  EXPECT_FALSE(may("3310", {"3310", "3310"}));
  EXPECT_TRUE(may("3350", {"3310", "3310"}));
  EXPECT_FALSE(may("3350", {"3310", "3350"}));
  EXPECT_TRUE(may("3355", {"3310", "3310"}));
  EXPECT_TRUE(may("3355", {"3350", "3350"}));
  EXPECT_TRUE(may("3355", {"3350", "3310"}));
  EXPECT_FALSE(may("3355", {"3355", "3310"}));
  EXPECT_FALSE(may("3355", {"3310", "3310", "3310"}));
  EXPECT_FALSE(may("3365", {"3365", "3365"}));
  for (const char* virtual_appliance : {"VA-Low", "VA-Standard", "VA-High"}) {
    EXPECT_TRUE(may(virtual_appliance, {virtual_appliance}));
    EXPECT_FALSE(may(virtual_appliance, {virtual_appliance, virtual_appliance}));
  }
  EXPECT_TRUE(may("", {"", "", ""}));
  EXPECT_TRUE(may("own-box", {"own-box", "other-box"}));
  EXPECT_FALSE(may("own-box", {"own-box", "VA-Low"}));
  EXPECT_EQ(judge_together(rules, "VA-Low", {"VA-Low", "VA-Low"}).text,
            "VA-Low, VA-Low on one VA-Low: it takes one primary only");
}

TEST(Comparison, TheSecondaryHasAtLeastWhatThePrimaryHas) {
  const Platforms rules = shipped();
  const Capacity four{4, 8000, 100'000, 1000};
  const auto judge = [&](const Capacity& secondary) {
    return judge_pair(rules, {"", four}, {"", secondary});
  };
  EXPECT_TRUE(judge(four).allowed);
  EXPECT_TRUE(judge({8, 16000, 200'000, 10'000}).allowed);
  EXPECT_TRUE(judge({4, 7600, 100'000, 1000}).allowed) << "5 % less memory";
  EXPECT_FALSE(judge({4, 7599, 100'000, 1000}).allowed);
  EXPECT_FALSE(judge({3, 8000, 100'000, 1000}).allowed);
  EXPECT_FALSE(judge({4, 8000, 99'999, 1000}).allowed);
  EXPECT_FALSE(judge({4, 8000, 100'000, 999}).allowed);
  EXPECT_TRUE(judge({4, 8000, 100'000, 0}).allowed) << "not known: not compared";
  EXPECT_EQ(judge({2, 4000, 100'000, 1000}).text,
            "processors: the secondary has 2, the primary 4; memory: the secondary has 4000 MiB, "
            "the primary 8000 MiB");
}

TEST(Comparison, AMatrixRowStandsAboveIt) {
  EXPECT_TRUE(judge_pair(shipped(), {"3355", {8, 16000, 1, 1}}, {"3350", {4, 8000, 1, 1}}).allowed);
}

TEST(PlatformFile, TellsEveryProblemAtItsLine) {
  const auto parsed = parse_platforms(
      "[[pair]]\nprimary = \"a b\"\nsecondaries = []\n[[pair]]\nprimary = \"x\"\n"
      "secondaries = [\"x\"]\n[[pair]]\nprimary = \"x\"\nsecondaries = [\"y\"]\nmore = 1\n"
      "[[together]]\nsecondary = \"x\"\nprimaries = [\"x\"]\n[comparison]\n"
      "memory_tolerance_percent = 60\n",
      "p.toml");
  std::vector<int> lines;
  for (const Problem& problem : parsed.problems) {
    lines.push_back(problem.line);
  }
  EXPECT_EQ(lines, (std::vector<int>{2, 3, 8, 10, 13, 15}));
}

TEST(PlatformFile, TheMakersFileStandsAboveTheShippedOne) {
  const cb::test::TemporaryFolder root;
  EXPECT_EQ(load_platforms(root.path()).value.source, "built in");
  for (const char* folder :
       {"/etc", "/etc/crossbeat", "/usr", "/usr/share", "/usr/share/crossbeat"}) {
    ASSERT_EQ(mkdir((root.path() + folder).c_str(), 0755), 0);
  }
  const std::string row = "[[pair]]\nprimary = \"A\"\nsecondaries = [\"B\"]\n";
  ASSERT_TRUE(write_atomically(root.path() + "/usr/share/crossbeat/platforms.toml", row, 0644));
  EXPECT_TRUE(may_pair(load_platforms(root.path()).value, "A", "B"));
  ASSERT_TRUE(write_atomically(root.path() + "/etc/crossbeat/platforms.toml", "", 0644));
  EXPECT_EQ(load_platforms(root.path()).value.rows.size(), 0u);
  ASSERT_TRUE(write_atomically(root.path() + "/etc/crossbeat/platforms.toml", "pair = 1\n", 0644));
  EXPECT_FALSE(load_platforms(root.path()).ok()) << "a broken file is not passed over";
}

TEST(Capacity, IsReadFromTheMachine) {
  const Capacity capacity = read_capacity("", "lo");
  EXPECT_GE(capacity.processors, 1u);
  EXPECT_GT(capacity.memory_mib, 100u);
  EXPECT_GT(capacity.disk_mib, 0u);
  EXPECT_EQ(capacity.network_mbits, 0u) << "lo has no speed";
  EXPECT_EQ(read_capacity("", "no-such-interface").network_mbits, 0u);
  EXPECT_EQ((Capacity{1, 512, 0, 0}).text(), "1 processor, 512 MiB of memory");
}

}  // namespace
}  // namespace cb::config
