// SPDX-License-Identifier: Apache-2.0
//
// Block devices in the place of files: what is on them is not lost unasked.
#include "replication/device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "drivers/volume/loop_device.h"
#include "replication/files.h"
#include "replication/grow.h"
#include "tests/base/temporary_folder.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

class Devices : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || ::access("/dev/loop-control", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs root and loop devices";
    }
    log_ = make("log.img");
    home_ = make("home.img");
    format_.folder = folder_.at("volumes/10.0.0.1");
    std::filesystem::create_directories(folder_.at("volumes"));
    format_.volume_bytes = 16u << 20;
    format_.log_bytes = kLogBytesMin;
    format_.instance_low = 7;
    format_.log_device = volume::loop_device_path(log_);
    format_.home_device = volume::loop_device_path(home_);
  }
  void TearDown() override {
    if (home_ >= 0) {
      set_read_only(format_.home_device, false);  // the kernel keeps it for whoever has it next
    }
    for (const int number : {log_, home_}) {
      if (number >= 0) {
        EXPECT_TRUE(volume::give_up_loop_device(number));
      }
    }
  }
  int make(const std::string& name) {
    const std::string path = folder_.at(name);
    const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), 24 << 20), 0);
    const auto number = volume::make_loop_device(fd.get(), path, path);
    EXPECT_TRUE(number) << to_text(number.error());
    return number ? *number : -1;
  }
  static void set_read_only(const std::string& device, bool on) {
    const Fd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
    const int read_only = on ? 1 : 0;
    ASSERT_EQ(::ioctl(fd.get(), BLKROSET, &read_only), 0);
  }
  static void put(const std::string& device, std::uint64_t offset) {
    const Fd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::pwrite(fd.get(), "x", 1, static_cast<off_t>(offset)), 1);
    ASSERT_EQ(::fsync(fd.get()), 0);
  }

  test::TemporaryFolder folder_;
  Format format_;
  int log_ = -1;
  int home_ = -1;
};

// The kernel keeps the mark for whoever has the device next, and that may be we.
TEST_F(Devices, AreWritableWhoeverSetThemReadOnlyBefore) {
  set_read_only(format_.home_device, true);
  ASSERT_TRUE(volume::give_up_loop_device(home_));
  home_ = make("again.img");
  ASSERT_GE(home_, 0);
  const Fd fd(::open(volume::loop_device_path(home_).c_str(), O_RDWR | O_CLOEXEC));
  int read_only = -1;
  ASSERT_EQ(::ioctl(fd.get(), BLKROGET, &read_only), 0);
  EXPECT_EQ(read_only, 0);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
}

TEST_F(Devices, HoldACopyThatIsFoundAgain) {
  const auto made = create(format_);
  ASSERT_TRUE(made) << to_text(made.error());
  EXPECT_TRUE(std::filesystem::is_symlink(format_.folder + "/log"));
  auto files = open_files(format_.folder, false);
  ASSERT_TRUE(files) << to_text(files.error());
  const auto found = inspect(*files);
  ASSERT_TRUE(found) << to_text(found.error());
  EXPECT_EQ(found->record.volume_length, format_.volume_bytes);
}

TEST_F(Devices, ThatHoldSomethingAtEitherEndAreRefusedUnlessItIsSaid) {
  for (const std::uint64_t offset : {std::uint64_t{1080}, std::uint64_t{(24u << 20) - 512}}) {
    put(format_.home_device, offset);
    const auto refused = create(format_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EEXIST);
    EXPECT_NE(refused.error().what.find("holds something"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(format_.folder + "/superblock"));
  }
  format_.overwrite = true;
  const auto made = create(format_);
  EXPECT_TRUE(made) << to_text(made.error());
}

TEST_F(Devices, AreLookedAtWithoutAnyChange) {
  ASSERT_TRUE(could_create(format_));
  EXPECT_FALSE(std::filesystem::exists(format_.folder)) << "nothing was made";
  put(format_.log_device, 1080);
  EXPECT_EQ(could_create(format_).error().code, EEXIST);
  format_.overwrite = true;
  EXPECT_TRUE(could_create(format_));
  const Fd held(::open(format_.log_device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
  ASSERT_TRUE(held);
  char byte = 0;
  ASSERT_EQ(::pread(held.get(), &byte, 1, 1080), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(could_create(format_).error().code, EBUSY);
}

TEST_F(Devices, ThatCanOnlyBeReadOrAreOneUnderTwoNamesAreRefused) {
  const std::string alias = folder_.at("alias");
  std::filesystem::create_symlink(format_.log_device, alias);
  Format same = format_;
  same.home_device = alias;
  EXPECT_EQ(could_create(same).error().code, EINVAL);
  EXPECT_EQ(create(same).error().code, EINVAL);
  set_read_only(format_.home_device, true);
  EXPECT_EQ(could_create(format_).error().code, EROFS);
  EXPECT_FALSE(std::filesystem::exists(format_.folder));
}

TEST_F(Devices, TakeALongerVolumeAsFarAsTheyReach) {
  ASSERT_TRUE(create(format_));
  put(format_.home_device, (16u << 20) + 4096);
  EXPECT_EQ(grow_files(format_.folder, 16u << 20, 32u << 20).error().code, ENOSPC);
  const auto grown = grow_files(format_.folder, 16u << 20, 20u << 20);
  ASSERT_TRUE(grown) << to_text(grown.error());
  char byte = 'y';
  const Fd fd(::open(format_.home_device.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::pread(fd.get(), &byte, 1, (16 << 20) + 4096), 1);
  EXPECT_EQ(byte, 0) << "what was there is not part of the volume";
}

TEST_F(Devices, OfAnotherCopyAreRefused) {
  ASSERT_TRUE(create(format_));
  format_.folder = folder_.at("volumes/10.0.0.2");
  const auto refused = create(format_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_NE(refused.error().what.find("another copy"), std::string::npos);
}

TEST_F(Devices, InUseTooSmallOrNoneAtAllAreRefused) {
  {
    const Fd held(::open(format_.log_device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    ASSERT_TRUE(held);
    EXPECT_EQ(create(format_).error().code, EBUSY);
  }
  Format large = format_;
  large.volume_bytes = 32u << 20;
  EXPECT_EQ(create(large).error().code, ENOSPC);
  Format file = format_;
  file.home_device = folder_.at("home.img");
  EXPECT_EQ(create(file).error().code, ENOTBLK);
  Format same = format_;
  same.home_device = same.log_device;
  EXPECT_EQ(create(same).error().code, EINVAL);
}

}  // namespace
}  // namespace cb::replication
