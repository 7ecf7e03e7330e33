// SPDX-License-Identifier: Apache-2.0
//
// The files of a volume: what a torn, rotten or missing part of them is worth.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "replication/report.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

void overwrite(const std::string& path, std::uint64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void flip(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 0x10));
}

Result<Found> look(const std::string& folder) {
  auto files = open_files(folder, false);
  return files ? inspect(*files) : Result<Found>(files.error());
}

// Written, flushed, killed: the log behind the checkpoint holds three batches at least.
void write_some(Pair& pair) {
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(pair.a().write(static_cast<std::uint64_t>(i) * 8192, filled(8192, i + 1)), 0);
    ASSERT_EQ(pair.a().flush(), 0);
  }
  pair.a().kill();
}

TEST(Files, CreateRefusesToOverwrite) {
  Pair pair;
  Format format;
  format.folder = pair.root + "/a";
  format.volume_bytes = kVolume;
  format.log_bytes = kLog;
  format.instance_low = 9;
  const auto again = create(format);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
}

TEST(Files, ACreateThatWasInterruptedIsBegunAnew) {
  Pair pair;
  ASSERT_TRUE(std::filesystem::remove(pair.root + "/a/superblock"));
  Format format;
  format.folder = pair.root + "/a";
  format.volume_bytes = kVolume;
  format.log_bytes = kLog;
  format.instance_low = 9;
  EXPECT_TRUE(create(format));
  EXPECT_EQ(look(format.folder)->record.standing, core::Standing::Alone);
}

TEST(Files, TheHomeImageIsSparseAndTheLogWritten) {
  Pair pair;
  struct stat info {};
  ASSERT_EQ(::stat((pair.root + "/a/home").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(kVolume));
  EXPECT_EQ(info.st_blocks, 0);
  ASSERT_EQ(::stat((pair.root + "/a/log").c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, static_cast<off_t>(kLog));
  // Room that is merely reserved counts as a hole.
  const Fd log(::open((pair.root + "/a/log").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::lseek(log.get(), 0, SEEK_HOLE), static_cast<off_t>(kLog));
}

TEST(Files, SizesThatCannotBeAreRefused) {
  Pair pair;
  Format format;
  format.folder = pair.root + "/c";
  format.instance_low = 1;
  format.log_bytes = kLog;
  for (const std::uint64_t bytes :
       {std::uint64_t{0}, std::uint64_t{4097}, std::uint64_t{1} << 60}) {
    format.volume_bytes = bytes;
    EXPECT_EQ(create(format).error().code, EINVAL) << bytes;
  }
  format.volume_bytes = kVolume;
  format.log_bytes = 4096;
  EXPECT_EQ(create(format).error().code, EINVAL);
}

TEST(Files, ATornSuperblockLeavesTheOtherCopy) {
  Pair pair;
  write_some(pair);
  const auto before = look(pair.a().folder());
  ASSERT_TRUE(before);
  const std::uint64_t newest = before->record.counter % 2 * core::kBlock;
  overwrite(pair.a().folder() + "/superblock", newest + 512, std::string(3584, '\x5a'));
  const auto after = look(pair.a().folder());
  ASSERT_TRUE(after) << to_text(after.error());
  EXPECT_TRUE(after->one_copy);
  EXPECT_EQ(after->record.counter, before->record.counter - 1);
}

TEST(Files, TwoTornSuperblocksAreAnErrorWithAWayOut) {
  Pair pair;
  overwrite(pair.a().folder() + "/superblock", 100, std::string(8, '\x5a'));
  overwrite(pair.a().folder() + "/superblock", 4096 + 100, std::string(8, '\x5a'));
  const auto found = look(pair.a().folder());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, EBADMSG);
  EXPECT_NE(found.error().what.find("the peer fills it"), std::string::npos);
}

TEST(Files, EveryFlippedBitOfABatchThatWasDurableIsSeen) {
  Pair pair;
  write_some(pair);
  const auto whole = look(pair.a().folder());
  ASSERT_TRUE(whole);
  ASSERT_GE(whole->batches, 2u);
  const std::uint64_t first = whole->record.checkpoint % kLog;
  Prng prng(11);
  for (int i = 0; i < 40; ++i) {
    // Of the first batch: the used part of its header, and its data. A later batch tells that it
    // was durable.
    const std::uint64_t at = first + (i % 2 == 0 ? prng.below(128) : 4096 + prng.below(8192));
    flip(pair.a().folder() + "/log", at);
    const auto found = look(pair.a().folder());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->end, whole->record.checkpoint) << at;
    EXPECT_GT(found->damaged_until, found->end) << at;
    EXPECT_NE(report(*found, false).find("DAMAGED"), std::string::npos);
    flip(pair.a().folder() + "/log", at);
  }
  EXPECT_EQ(look(pair.a().folder())->end, whole->end);
}

TEST(Files, ADamagedNodeIsNotPromotedAndTakesWhatItLostFromItsPeer) {
  Pair pair;
  pair.bring_into_step();
  const auto data = random_bytes(pair.prng, 8192);
  ASSERT_EQ(pair.a().write(0, data), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  ASSERT_EQ(pair.a().write(65536, data), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  // So that the standby's own headers tell how far its log was durable.
  ASSERT_EQ(pair.a().write(131072, data), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  pair.b().kill();
  const auto before = look(pair.b().folder());
  ASSERT_TRUE(before);
  flip(pair.b().folder() + "/log", before->record.checkpoint % kLog + 4096 + 17);
  ASSERT_GT(look(pair.b().folder())->damaged_until, 0u);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_FALSE(core::damaged(pair.b().state()));
  EXPECT_EQ(pair.a().flush(), 0);
  pair.a().kill();
  ASSERT_EQ(pair.b().promote(), 0);
  EXPECT_EQ(pair.b().read(0, 8192), data);
  EXPECT_EQ(pair.b().read(131072, 8192), data);
}

TEST(Files, ALostDirtyMapIsToldAndNotTrusted) {
  Pair pair;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  // Alone, until the log was overrun.
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(pair.a().write(0, filled(1u << 20, i)), 0);
    ASSERT_EQ(pair.a().flush(), 0);
  }
  ASSERT_TRUE(pair.until([&] { return pair.a().state().record.map.present; }));
  pair.a().kill();
  const auto whole = look(pair.a().folder());
  ASSERT_TRUE(whole);
  EXPECT_FALSE(whole->map_lost);
  const auto slot = whole->record.map.slot;  // a record on its way may have come to the disk
  flip(pair.a().folder() + "/map", slot * map_slot_bytes(kVolume) + 40);
  const auto found = look(pair.a().folder());
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->map_lost);
  EXPECT_FALSE(found->record.map.present);
}

TEST(Files, AFileThatIsTooShortIsNotOpened) {
  Pair pair;
  std::filesystem::resize_file(pair.a().folder() + "/home", kVolume - 4096);
  const auto found = look(pair.a().folder());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, EBADMSG);
}

}  // namespace
}  // namespace cb::replication
