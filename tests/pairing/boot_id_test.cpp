// SPDX-License-Identifier: Apache-2.0
#include "pairing/boot_id.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "tests/base/temporary_folder.h"

namespace cb::pairing {
namespace {

class BootId : public ::testing::Test {
 protected:
  BootId() { kernel_is("11111111-2222-3333-4444-555555555555"); }

  void kernel_is(const std::string& id) {
    ASSERT_TRUE(write_atomically(folder_.at("kernel"), id + "\n", 0644));
  }
  std::uint64_t read() {
    const auto id = node_boot_id(folder_.path(), folder_.at("kernel"));
    EXPECT_TRUE(id) << to_text(id.error());
    return id.value_or(0u);
  }
  std::string file() const { return folder_.at("run/crossbeat/boot"); }

  cb::test::TemporaryFolder folder_;
};

TEST_F(BootId, StaysTheSameWithinABoot) {
  const std::uint64_t id = read();
  EXPECT_NE(id, 0u);
  EXPECT_EQ(read(), id);
  EXPECT_EQ(read(), id);
}

TEST_F(BootId, IsNewWhenTheKernelWasStartedAgain) {
  const std::uint64_t id = read();
  kernel_is("99999999-2222-3333-4444-555555555555");
  const std::uint64_t later = read();
  EXPECT_NE(later, id);
  EXPECT_EQ(read(), later);
}

TEST_F(BootId, IsNewWhenTheFileIsGone) {
  const std::uint64_t id = read();
  std::filesystem::remove(file());
  EXPECT_NE(read(), id);
}

TEST_F(BootId, DiffersBetweenNodesOnOneKernel) {
  const cb::test::TemporaryFolder other;
  const auto id = node_boot_id(other.path(), folder_.at("kernel"));
  ASSERT_TRUE(id);
  EXPECT_NE(*id, read());
}

TEST_F(BootId, IsReadableByItsOwnerAlone) {
  (void)read();
  struct stat facts {};
  ASSERT_EQ(::stat(file().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600u);
}

TEST_F(BootId, ReplacesAFileThatItCannotTrust) {
  const std::string kernel = "11111111-2222-3333-4444-555555555555";
  for (const std::string& content : std::vector<std::string>{
           "", "\n", kernel, kernel + " ", kernel + " 0000000000000000\n", kernel + " 12345\n",
           kernel + " 00000000000000zz\n", kernel + " 0000000000000001 x\n", "x 0000000000000001\n",
           std::string(300, 'x'), std::string(1000, '\0')}) {
    (void)read();
    ASSERT_TRUE(write_atomically(file(), content, 0600));
    const std::uint64_t id = read();
    EXPECT_NE(id, 0u) << content;
    EXPECT_NE(id, 1u) << content;
    EXPECT_EQ(read(), id) << content;
  }
  // Anybody could have written it.
  ASSERT_TRUE(write_atomically(file(), kernel + " 0000000000000001\n", 0666));
  EXPECT_NE(read(), 1u);
  // Somebody put a link there.
  ASSERT_TRUE(write_atomically(folder_.at("elsewhere"), kernel + " 0000000000000001\n", 0600));
  std::filesystem::remove(file());
  std::filesystem::create_symlink(folder_.at("elsewhere"), file());
  EXPECT_NE(read(), 1u);
  EXPECT_FALSE(std::filesystem::is_symlink(file()));
  // The form itself is right.
  ASSERT_TRUE(write_atomically(file(), kernel + " 0000000000000001\n", 0600));
  EXPECT_EQ(read(), 1u);
}

TEST_F(BootId, SaysWhatItCannotReadOrWrite) {
  EXPECT_FALSE(node_boot_id(folder_.path(), folder_.at("no such file")));
  kernel_is("");
  EXPECT_FALSE(node_boot_id(folder_.path(), folder_.at("kernel")));
  kernel_is("11111111-2222-3333-4444-555555555555");
  const auto refused = node_boot_id(folder_.at("missing/root"), folder_.at("kernel"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("missing/root"), std::string::npos);
}

TEST(BootIdOfThisKernel, CanBeRead) {
  const cb::test::TemporaryFolder folder;
  EXPECT_TRUE(node_boot_id(folder.path()));
}

}  // namespace
}  // namespace cb::pairing
