// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "drivers/service/output.h"
#include "tests/base/temporary_folder.h"

namespace cb::service {
namespace {

using test::TemporaryFolder;

class ServiceOutputTest : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path, std::ios::app) << text; }
  void fill() {
    write("first\n");
    std::filesystem::resize_file(path, kOutputBytesMax);
    write("\nlast\n");
  }
  uintmax_t size(const std::string& of) const { return std::filesystem::file_size(of); }

  TemporaryFolder folder;
  std::string path = folder.at("var/log/a.log");
};

TEST_F(ServiceOutputTest, MakesItsFolders) {
  EXPECT_EQ(prepare_output(path), 0);
  EXPECT_TRUE(std::filesystem::is_directory(folder.at("var/log")));
  EXPECT_EQ(prepare_output(path), 0);
}

TEST_F(ServiceOutputTest, AFolderThatCannotBeMadeIsAnError) {
  std::ofstream(folder.at("var")) << "in the way";
  EXPECT_EQ(prepare_output(path), ENOTDIR);
}

TEST_F(ServiceOutputTest, AFullFileBecomesTheOldOne) {
  ASSERT_EQ(prepare_output(path), 0);
  write("line\n");
  EXPECT_EQ(prepare_output(path), 0);
  EXPECT_EQ(size(path), 5u) << "not full: it is continued";
  fill();
  EXPECT_EQ(prepare_output(path), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(size(path + ".1"), kOutputBytesMax + 6);
}

TEST_F(ServiceOutputTest, AnOpenFileIsTrimmedAndStillTakesWhatComes) {
  ASSERT_EQ(prepare_output(path), 0);
  std::ofstream open(path, std::ios::app);
  open << "before\n" << std::flush;
  EXPECT_EQ(trim_output(path), 0);
  EXPECT_EQ(size(path), 7u) << "not full: it stays";
  fill();
  EXPECT_EQ(trim_output(path), 0);
  EXPECT_EQ(size(path), 0u);
  EXPECT_EQ(size(path + ".1"), kOutputBytesMax + 6);
  EXPECT_EQ(last_line_of(path + ".1"), "last");
  open << "after\n" << std::flush;
  EXPECT_EQ(*read_all(path, 100), "after\n");
}

TEST_F(ServiceOutputTest, ALinkInThePlaceOfAFileIsNotFollowed) {
  ASSERT_EQ(prepare_output(path), 0);
  fill();
  const std::string victim = folder.at("victim");
  std::ofstream(victim) << "precious";
  std::filesystem::create_symlink(victim, path + ".1");
  EXPECT_NE(trim_output(path), 0);
  EXPECT_EQ(*read_all(victim, 100), "precious");
}

TEST_F(ServiceOutputTest, TheLastLineIsTheLastThatSaysSomething) {
  EXPECT_EQ(last_line_of(path), "");
  ASSERT_EQ(prepare_output(path), 0);
  EXPECT_EQ(last_line_of(path), "");
  write("one\ntwo  \n\n  \n");
  EXPECT_EQ(last_line_of(path), "two");
  write("no end");
  EXPECT_EQ(last_line_of(path), "no end");
  write("\n" + std::string(100000, 'x') + "\n");
  EXPECT_EQ(last_line_of(path), std::string(300, 'x'));
}

}  // namespace
}  // namespace cb::service
