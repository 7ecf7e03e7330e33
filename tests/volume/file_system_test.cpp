// SPDX-License-Identifier: Apache-2.0
//
// The real mount(8) and mkfs on a loop device.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "drivers/volume/replicated_file_system.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

class FileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    loop = open_loop();
    hands = std::move(*loop::Hands::start(*loop, {.name = "cb-test"}));
    image.reset(open(folder.at("image").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(ftruncate(image.get(), 64 << 20), 0);
    const Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(control);
    for (int tries = 0; tries < 20 && !device; ++tries) {  // others take them too
      const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
      ASSERT_GE(number, 0);
      name = "/dev/loop" + std::to_string(number);
      device.reset(open(name.c_str(), O_RDWR | O_CLOEXEC));
      if (device && ioctl(device.get(), LOOP_SET_FD, image.get()) != 0) {
        device.reset();
      }
    }
    ASSERT_TRUE(device);
    std::filesystem::create_directories(folder.at("volume"));
    system_at = std::make_unique<volume::FileSystem>(
        *loop, *hands,
        volume::FileSystemPlan{.mount_point = folder.at("data"),
                               .kind = "ext4",
                               .options = "noatime",
                               .busy_for = Duration::from_ms(200),
                               .folder = folder.at("volume")});
  }
  void TearDown() override {
    while (umount2(folder.at("data").c_str(), MNT_DETACH) == 0) {
    }
    if (device) {
      ioctl(device.get(), LOOP_CLR_FD, 0);
    }
    hands.reset();
  }
  void wish(const std::string& kind) { std::ofstream(folder.at("volume/volume.format")) << kind; }
  int mount() {
    std::optional<int> answer;
    system_at->mount(name, [&](int error, const std::string& said) {
      answer = error;
      text = said;
    });
    EXPECT_TRUE(turn_until(
        *loop, [&] { return answer.has_value(); }, Duration::from_s(30)));
    return answer.value_or(-1);
  }
  int unmount(bool detach) {
    std::optional<int> answer;
    system_at->unmount(detach, [&](int error, const std::string& said) {
      answer = error;
      text = said;
    });
    EXPECT_TRUE(turn_until(
        *loop, [&] { return answer.has_value(); }, Duration::from_s(30)));
    return answer.value_or(-1);
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
  Fd image;
  Fd device;
  std::string name;
  std::string text;
  std::unique_ptr<volume::FileSystem> system_at;
};

TEST_F(FileSystemTest, IsMadeOnceIfThatWasAskedForAndMounted) {
  wish("ext4");
  ASSERT_EQ(mount(), 0) << text;
  EXPECT_FALSE(std::filesystem::exists(folder.at("volume/volume.format")));
  std::ofstream(folder.at("data/written")) << "here";
  EXPECT_EQ(mount(), 0) << "what is mounted stays mounted";
  ASSERT_EQ(unmount(false), 0) << text;
  EXPECT_FALSE(std::filesystem::exists(folder.at("data/written")));
  EXPECT_EQ(unmount(false), 0) << "nothing to do";
  ASSERT_EQ(mount(), 0) << text;
  EXPECT_TRUE(std::filesystem::exists(folder.at("data/written")));
}

TEST_F(FileSystemTest, IsNotMadeOverSomethingThatIsThere) {
  wish("ext4");
  ASSERT_EQ(mount(), 0) << text;
  std::ofstream(folder.at("data/written")) << "here";
  ASSERT_EQ(unmount(false), 0) << text;
  wish("ext4");
  EXPECT_NE(mount(), 0) << "mkfs must not be forced";
  std::filesystem::remove(folder.at("volume/volume.format"));
  ASSERT_EQ(mount(), 0) << text;
  EXPECT_TRUE(std::filesystem::exists(folder.at("data/written")));
}

TEST_F(FileSystemTest, WithoutOneNothingIsMounted) {
  EXPECT_NE(mount(), 0);
  EXPECT_NE(text, "");
}

TEST_F(FileSystemTest, InUseIsNotUnmountedUnlessItMustGo) {
  wish("ext4");
  ASSERT_EQ(mount(), 0) << text;
  Fd user(open(folder.at("data/used").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(user);
  EXPECT_EQ(unmount(false), EBUSY);
  EXPECT_TRUE(std::filesystem::exists(folder.at("data/used")));
  EXPECT_EQ(unmount(true), 0) << text;
  EXPECT_FALSE(std::filesystem::exists(folder.at("data/used")));
}

TEST_F(FileSystemTest, LeftByAnEarlierLifeIsTakenAwayFirst) {
  wish("ext4");
  ASSERT_EQ(mount(), 0) << text;
  ASSERT_EQ(unmount(false), 0) << text;
  ASSERT_EQ(::mount("none", folder.at("data").c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(mount(), 0) << text;
  EXPECT_TRUE(std::filesystem::exists(folder.at("data/lost+found")));
}

}  // namespace
}  // namespace cb::test
