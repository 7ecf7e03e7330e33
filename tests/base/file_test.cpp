// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "tests/base/temporary_folder.h"

namespace cb {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST(File, ReadsBackWhatWasWritten) {
  const test::TemporaryFolder folder;
  const std::string bytes = std::string(10'000, 'x') + '\0' + "end";
  ASSERT_TRUE(write_atomically(folder.at("f"), bytes, 0600));
  EXPECT_EQ(read_all(folder.at("f"), 1 << 20).value_or(""), bytes);
}

TEST(File, ReadsFilesThatDoNotKnowTheirSize) {
  const auto text = read_all("/proc/self/stat", 1 << 16);
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->starts_with(std::to_string(::getpid())));
}

TEST(File, RefusesAFileAboveTheLimitAndTakesOneAtIt) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_atomically(folder.at("f"), "12345", 0600));
  EXPECT_EQ(read_all(folder.at("f"), 5).value_or(""), "12345");
  const auto refused = read_all(folder.at("f"), 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EFBIG);
  EXPECT_NE(refused.error().what.find(folder.at("f")), std::string::npos);
  EXPECT_EQ(read_all("/dev/zero", 100'000).error().code, EFBIG);
}

TEST(File, NamesThePathThatCannotBeOpened) {
  const auto missing = read_all("/nowhere/at/all", 10);
  ASSERT_FALSE(missing);
  EXPECT_EQ(to_text(missing.error()), "open /nowhere/at/all: No such file or directory");
}

TEST(AtomicWrite, SetsTheModeWhateverTheUmask) {
  const test::TemporaryFolder folder;
  const mode_t before = ::umask(0077);
  EXPECT_TRUE(write_atomically(folder.at("f"), "x", 0644));
  ::umask(before);
  EXPECT_EQ(mode_of(folder.at("f")), 0644u);
  EXPECT_TRUE(write_atomically(folder.at("f"), "y", 0600));
  EXPECT_EQ(mode_of(folder.at("f")), 0600u);
}

TEST(AtomicWrite, LeavesNothingBesideTheFile) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_atomically(folder.at("f"), "x", 0600));
  ASSERT_TRUE(write_atomically(folder.at("f"), "y", 0600));
  int names = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++names;
  }
  EXPECT_EQ(names, 1);
}

TEST(AtomicWrite, DoesNotFollowALinkThatLiesInItsWay) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_atomically(folder.at("victim"), "precious", 0600));
  std::filesystem::create_symlink(folder.at("victim"), folder.at("f.new"));
  ASSERT_TRUE(write_atomically(folder.at("f"), "x", 0600));
  EXPECT_EQ(read_all(folder.at("victim"), 100).value_or(""), "precious");
  EXPECT_EQ(read_all(folder.at("f"), 100).value_or(""), "x");
}

TEST(AtomicWrite, KeepsTheOldContentWhenThereIsNoRoom) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_atomically(folder.at("f"), "old", 0600));
  // A file-size limit fails in the middle of the write, as a full disk does. In a child: it cannot
  // be undone for this process without privilege, and SIGXFSZ must be ignored to see the error.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1'000, 1'000};
    const bool limited = ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
    const auto written = write_atomically(folder.at("f"), std::string(5'000, 'x'), 0600);
    ::_exit(limited && !written && written.error().code == EFBIG ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_all(folder.at("f"), 100).value_or(""), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.at("f.new")));
}

TEST(AtomicWrite, SaysWhichFolderIsMissing) {
  const test::TemporaryFolder folder;
  const auto written = write_atomically(folder.at("no/f"), "x", 0600);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ENOENT);
  EXPECT_NE(written.error().what.find("no/f"), std::string::npos);
}

}  // namespace
}  // namespace cb
