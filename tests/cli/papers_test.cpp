// SPDX-License-Identifier: Apache-2.0
//
// The manual pages and the completion know every verb, and the page of the configuration every key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

std::string paper(const std::string& path) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  std::ifstream file(std::string(source == nullptr ? "." : source) + "/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// As --help lists them.
std::vector<std::string> verbs() {
  const std::string help = run_cli("", {"--help"}).out;
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::vector<std::string> result;
  for (std::string line; std::getline(lines, line) && !line.starts_with("Examples");) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex("^  ([a-z-]+) "))) {
      result.push_back(match[1]);
    }
  }
  return result;
}

TEST(Papers, ThePageAndTheCompletionKnowEveryVerb) {
  ASSERT_GE(verbs().size(), 16u);
  const std::string completion = paper("scripts/completion/crossbeat.bash");
  std::string page = paper("docs/man/crossbeat.1");
  page = std::regex_replace(page, std::regex(R"(\\-)"), "-");
  for (const std::string& verb : verbs()) {
    EXPECT_TRUE(
        std::regex_search(page, std::regex("\n(\\.B|\\.BI|\\.BR|\\\\fB)[ \"]*" + verb + "\\b")))
        << verb;
    EXPECT_TRUE(std::regex_search(completion, std::regex("[\" \n]" + verb + "[\" \n]"))) << verb;
  }
}

TEST(Papers, ThePageTellsEveryExitCode) {
  const std::string page = paper("docs/man/crossbeat.1");
  for (const char code : std::string("0123456789")) {
    EXPECT_THAT(page, testing::HasSubstr(std::string("\n.B ") + code + "\n"));
  }
}

TEST(Papers, ThePageOfTheConfigurationTellsEveryKey) {
  const std::string page = paper("docs/man/crossbeat.toml.5");
  const std::string full = paper("tests/config/good/full.toml");
  ASSERT_FALSE(full.empty());
  std::istringstream lines(full);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex("^([a-z_]+) = "))) {
      EXPECT_TRUE(std::regex_search(page, std::regex("[ \"]" + std::string(match[1]) + "\\b")))
          << line;
    } else if (std::regex_search(line, match, std::regex("^\\[+([a-z]+)\\]"))) {
      EXPECT_THAT(page, testing::HasSubstr("[" + std::string(match[1]) + "]")) << line;
    }
  }
}

// All sources below a folder, in one text.
std::string sources(const std::string& folder, const std::string& suffix) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  const std::string top = source == nullptr ? "." : source;
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top + "/" + folder)) {
    if (entry.is_regular_file() && entry.path().string().ends_with(suffix)) {
      all += paper(entry.path().string().substr(top.size() + 1));
    }
  }
  return all;
}

TEST(Papers, TheCoverageNamesOnlyTestsThatAreThere) {
  const std::string page = paper("docs/reference-coverage.md");
  const std::string code = sources("tests", ".cpp");
  const std::string lists = sources("tests", "CMakeLists.txt");
  int named = 0;
  const std::regex quoted("`([^`]+)`");
  for (std::sregex_iterator it(page.begin(), page.end(), quoted), end; it != end; ++it) {
    const std::string text = (*it)[1];
    std::smatch match;
    if (std::regex_match(text, match, std::regex("([A-Z][A-Za-z]+)\\.([A-Z][A-Za-z]+)"))) {
      ++named;
      const std::string rest = "(" + std::string(match[1]) + ", " + std::string(match[2]) + ")";
      EXPECT_NE(code.find(rest), std::string::npos) << text;
    } else if (std::regex_match(text, match, std::regex("e2e ([a-z]+): (.+)"))) {
      ++named;
      const std::string module = paper("tests/e2e/" + std::string(match[1]) + "_stories.py");
      EXPECT_NE(module.find("@story(\"" + std::string(match[2]) + "\")"), std::string::npos)
          << text;
    } else if (std::regex_match(text, match, std::regex("ctest ([a-z_]+)"))) {
      ++named;
      EXPECT_NE(lists.find("cb_script_test(" + std::string(match[1]) + " "), std::string::npos)
          << text;
    }
  }
  EXPECT_GE(named, 100);
}

// Every line of its tables ends with what shows it: a test, or a reason in words.
TEST(Papers, NoLineOfTheCoverageIsWithoutATestOrAReason) {
  std::istringstream lines(paper("docs/reference-coverage.md"));
  const std::regex reason(R"(\*not (yet|tested)\*)");
  const std::regex test(R"(`([A-Z][A-Za-z]+\.[A-Z][A-Za-z]+|e2e [a-z]+: .+|ctest [a-z_]+)`)");
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ") || line.ends_with("| shown by |")) {
      continue;
    }
    ++rows;
    EXPECT_TRUE(std::regex_search(line, test) || std::regex_search(line, reason)) << line;
  }
  EXPECT_GE(rows, 100);
}

}  // namespace
}  // namespace cb::cli::test
