// SPDX-License-Identifier: Apache-2.0
//
// A volume gets longer while it is written: both copies or none, empty beyond the old end, and
// whoever dies in the middle comes back to a state from which it goes on.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "replication/grow.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

constexpr std::uint64_t kLonger = kVolume + (8u << 20);

int resize(Pair& pair, std::uint64_t bytes) {
  pair.a().resized.reset();
  pair.a().engine().resize(bytes);
  EXPECT_TRUE(pair.until([&] { return pair.a().resized.has_value(); }));
  return pair.a().resized.value_or(-1);
}

std::uint64_t length_of(Node& node) { return node.state().record.volume_length; }

// Left in the file beyond the end of the volume by whatever was there before.
void leave_behind(Node& node, std::uint64_t offset, const std::vector<std::byte>& bytes) {
  const Fd fd(::open((node.folder() + "/home").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
}

TEST(Resize, MakesBothCopiesLongerAndEmptyBeyondTheOldEnd) {
  Pair pair;
  pair.bring_into_step();
  leave_behind(pair.a(), kVolume + 4096, filled(8192, 3));
  leave_behind(pair.b(), kVolume + 65536, filled(8192, 4));
  EXPECT_EQ(resize(pair, kLonger), 0);
  EXPECT_EQ(length_of(pair.a()), kLonger);
  EXPECT_EQ(length_of(pair.b()), kLonger);
  EXPECT_TRUE(pair.both_in_step());
  EXPECT_EQ(pair.a().read(kVolume, 131072), filled(131072, 0));
  const auto data = random_bytes(pair.prng, 64u << 10);
  EXPECT_EQ(pair.a().write(kLonger - data.size(), data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  ASSERT_EQ(pair.a().engine().verify(), 0);
  ASSERT_TRUE(pair.until([&] { return !pair.a().engine().comparison().running; }));
  EXPECT_EQ(pair.a().engine().comparison().result, CompareFacts::Result::Same);
  // The other one has it, also after both were killed.
  pair.a().kill();
  pair.b().kill();
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return length_of(pair.b()) == kLonger; }));
  pair.registered.value.holder = 1;
  ASSERT_EQ(pair.b().promote(), 0);
  EXPECT_EQ(pair.b().read(kLonger - data.size(), data.size()), data);
}

TEST(Resize, IsIdempotentAndNeverMakesAVolumeShorter) {
  Pair pair;
  pair.bring_into_step();
  EXPECT_EQ(resize(pair, kVolume), 0);
  EXPECT_EQ(resize(pair, kVolume - 4096), EINVAL);
  EXPECT_EQ(resize(pair, kVolume + 512), EINVAL);
  EXPECT_EQ(resize(pair, kLonger), 0);
  EXPECT_EQ(resize(pair, kLonger), 0);
  EXPECT_EQ(length_of(pair.b()), kLonger);
}

TEST(Resize, IsRefusedWithoutThePeerAndLeavesEverythingAsItWas) {
  Pair pair;
  pair.bring_into_step();
  pair.wire->cut(true);
  ASSERT_TRUE(pair.until([&] { return !pair.a().state().link; }));
  EXPECT_EQ(resize(pair, kLonger), ENOTCONN);
  EXPECT_EQ(length_of(pair.a()), kVolume);
}

TEST(Resize, ThatThePeerHasNoRoomForIsGivenUpOnBoth) {
  Pair pair;
  pair.bring_into_step();
  // No disk of a test machine has as much; the writer's own is asked first, so it is told apart by
  // what it says of the peer.
  EXPECT_EQ(resize(pair, std::uint64_t{1} << 50), ENOSPC);
  EXPECT_FALSE(pair.a().resized_at_peer);
  std::filesystem::rename(pair.b().folder() + "/map", pair.b().folder() + "/map.away");
  EXPECT_EQ(resize(pair, kLonger), ENOENT);
  EXPECT_TRUE(pair.a().resized_at_peer);
  EXPECT_EQ(length_of(pair.a()), kVolume);
  EXPECT_EQ(length_of(pair.b()), kVolume);
  EXPECT_TRUE(pair.both_in_step());
  EXPECT_EQ(pair.a().write(0, random_bytes(pair.prng, 4096)), 0);
  EXPECT_EQ(pair.a().flush(), 0);
}

TEST(Resize, GoesOnFromWhereverADeathLeftIt) {
  for (int life = 0; life < 8; ++life) {
    Pair pair;
    pair.bring_into_step();
    pair.a().engine().resize(kLonger);
    for (int turns = 0; turns < life * 2; ++turns) {
      pair.turn();
    }
    Node& killed = life % 2 == 0 ? pair.a() : pair.b();
    killed.kill();
    killed.start();
    ASSERT_EQ(pair.a().promote(), 0);
    ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); })) << life;
    EXPECT_LE(length_of(pair.a()), length_of(pair.b())) << "whoever follows is never shorter";
    if (pair.a().resized != 0) {
      ASSERT_TRUE(pair.until([&] { return pair.a().state().resizing.to == 0; }));
      EXPECT_EQ(resize(pair, kLonger), 0) << life;
    }
    EXPECT_EQ(length_of(pair.a()), kLonger);
    EXPECT_EQ(length_of(pair.b()), kLonger);
    EXPECT_EQ(pair.a().write(kLonger - 4096, random_bytes(pair.prng, 4096)), 0);
    EXPECT_EQ(pair.a().flush(), 0);
  }
}

// A fresh copy of a replaced node, made with the length that its configuration still has.
TEST(Resize, AShorterCopyGetsAsLongAsThePeersBeforeItFollows) {
  Pair pair;
  pair.bring_into_step();
  ASSERT_EQ(resize(pair, kLonger), 0);
  pair.b().kill();
  std::filesystem::remove_all(pair.b().folder());
  Format format;
  format.folder = pair.b().folder();
  format.volume_bytes = kVolume;
  format.log_bytes = kLog;
  format.node = 1;
  format.instance_high = pair.a().state().record.instance_high;
  format.instance_low = pair.a().state().record.instance_low;
  ASSERT_TRUE(create(format));
  const auto data = random_bytes(pair.prng, 64u << 10);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_EQ(length_of(pair.b()), kLonger);
  EXPECT_EQ(pair.a().write(kLonger - data.size(), data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
}

}  // namespace
}  // namespace cb::replication
