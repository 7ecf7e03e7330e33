// SPDX-License-Identifier: Apache-2.0
//
// The ledger and the event log on a disk that is full: a small tmpfs in a mount namespace of the
// test's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/clock.h"
#include "base/file.h"
#include "edge/events.h"
#include "edge/ledger.h"
#include "edge/ledger_format.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

class FullDiskTest : public testing::Test {
 protected:
  FullDiskTest() {
    EXPECT_EQ(unshare(CLONE_NEWNS), 0) << "needs root";
    EXPECT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    EXPECT_EQ(mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=128k"), 0);
  }
  ~FullDiskTest() override { EXPECT_EQ(umount2(folder.path().c_str(), MNT_DETACH), 0); }

  void fill() {
    const Fd file(::open(folder.at("filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(4096, 'x');
    while (::write(file.get(), block.data(), block.size()) > 0) {
    }
    EXPECT_EQ(errno, ENOSPC);
  }
  void make_room() { EXPECT_EQ(unlink(folder.at("filler").c_str()), 0); }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
};

TEST_F(FullDiskTest, ATermIsWrittenAllTheSame) {
  auto ledger = edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1);
  ASSERT_TRUE(ledger) << to_text(ledger.error());
  fill();
  for (std::uint64_t term = 1; term <= 10; ++term) {
    core::LedgerRecord record;
    record.term = term;
    int result = -1;
    (*ledger)->write(record, Instant::never(), [&](int error) { result = error; });
    EXPECT_TRUE(turn_until(*loop, [&] { return result >= 0; }));
    EXPECT_EQ(result, 0);
  }
  ledger->reset();
  EXPECT_EQ((*edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1))->record().term, 10u);
}

TEST_F(FullDiskTest, ALedgerThatCannotBeMadeSaysSoAndLeavesNothingHalfDone) {
  std::filesystem::create_directories(folder.at("var/lib/crossbeat/ledger"));
  fill();
  const auto ledger = edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1);
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error().code, ENOSPC);
  EXPECT_NE(ledger.error().what.find("10.0.0.1.ledger"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.at("var/lib/crossbeat/ledger")));
  make_room();
  EXPECT_TRUE(edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1));
}

// A write that fails (here: the file was made shorter by somebody, and the disk is full) is
// answered with its error; the record that was durable stays; the next write tries again.
TEST_F(FullDiskTest, AFailedWriteIsAnsweredAndKeepsTheLastDurableRecord) {
  auto opened = edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1);
  ASSERT_TRUE(opened);
  edge::Ledger& ledger = **opened;
  const auto write = [&](std::uint64_t term) {
    core::LedgerRecord record;
    record.term = term;
    int result = -1;
    ledger.write(record, Instant::never(), [&](int error) { result = error; });
    EXPECT_TRUE(turn_until(*loop, [&] { return result >= 0; }));
    return result;
  };
  EXPECT_EQ(write(1), 0);  // slot 1
  EXPECT_EQ(write(2), 0);  // slot 0
  ASSERT_EQ(
      truncate(edge::Ledger::path_of(folder.path(), "10.0.0.1").c_str(), edge::kLedgerSlotBytes),
      0);
  fill();
  EXPECT_EQ(write(3), ENOSPC);
  EXPECT_EQ(ledger.record().term, 2u);
  EXPECT_EQ(write(4), ENOSPC);
  EXPECT_EQ(ledger.record().term, 2u);
  make_room();
  EXPECT_EQ(write(5), 0);
  EXPECT_EQ(ledger.record().term, 5u);
  opened->reset();
  EXPECT_EQ((*edge::Ledger::open(*loop, folder.path(), "10.0.0.1", 1))->record().term, 5u);
}

TEST_F(FullDiskTest, EventsStayInMemoryAndAreWrittenWhenThereIsRoomAgain) {
  auto opened = edge::EventLog::open(
      *loop, {.store = {.root = folder.path()}, .retry = Duration::from_ms(20)});
  ASSERT_TRUE(opened) << to_text(opened.error());
  edge::EventLog& events = **opened;
  const auto add = [&](const std::string& description) {
    edge::EventEntry entry;
    entry.description = description;
    events.add(entry);
    bool flushed = false;
    events.flush([&] { flushed = true; });
    EXPECT_TRUE(turn_until(*loop, [&] { return flushed; }));
  };
  const auto all = [&](const std::unique_ptr<edge::EventLog>& log) {
    std::vector<std::string> found;
    bool answered = false;
    log->query({}, [&](const std::vector<edge::EventEntry>& entries, const std::string&) {
      for (const edge::EventEntry& entry : entries) {
        found.push_back(entry.description);
      }
      answered = true;
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return answered; }));
    return found;
  };
  add("before");
  fill();
  // More than what is left of the file's last blocks.
  for (int i = 0; i < 40; ++i) {
    add("event " + std::to_string(i) + std::string(150, 'a'));
  }
  EXPECT_GT(events.unwritten(), 0u);
  EXPECT_EQ(all(*opened).size(), 41u) << "in the file or in memory, all are there";
  make_room();
  ASSERT_TRUE(turn_until(*loop, [&] { return events.unwritten() == 0; })) << "by itself";
  add("after");
  EXPECT_EQ(events.lost(), 0u);
  opened->reset();
  const auto again = edge::EventLog::open(*loop, {.store = {.root = folder.path()}});
  ASSERT_TRUE(again);
  const auto kept = all(*again);
  ASSERT_EQ(kept.size(), 42u);
  EXPECT_EQ(kept.front(), "before");
  EXPECT_EQ(kept.back(), "after");
}

}  // namespace
}  // namespace cb::test
