// SPDX-License-Identifier: Apache-2.0
#include "edge/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/file.h"
#include "base/prng.h"
#include "edge/ledger_format.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using core::LedgerRecord;
using edge::decode_ledger;
using edge::encode;
using edge::kLedgerBytes;
using edge::kLedgerSlotBytes;
using edge::kLedgerUsedBytes;
using edge::Ledger;
using edge::LedgerSlot;

constexpr std::uint64_t kPairing = 0x1122334455667788;
constexpr const char* kPrimary = "10.0.0.1";

LedgerRecord record_of(std::uint64_t term) {
  LedgerRecord record;
  record.term = term;
  record.reserved_term = term + 1000;
  record.command_term = term - 1;
  record.position = term * 77;
  record.state = core::StateName::FailoverActive;
  record.in_command = true;
  record.peer_stale = true;
  record.maintenance = term % 2 == 0;
  record.maintenance_until_wall_s = 1'700'000'000 + term;
  return record;
}

// ---- the format

TEST(LedgerFormat, EveryFieldSurvives) {
  LedgerSlot slot{kPairing, 42, record_of(7)};
  ASSERT_EQ(encode(slot).size(), kLedgerSlotBytes);
  EXPECT_EQ(edge::decode_slot(encode(slot)).slot, slot);
  // Each flag for itself, so that no two share a bit.
  for (bool LedgerRecord::*flag :
       {&LedgerRecord::in_command, &LedgerRecord::solo, &LedgerRecord::peer_stale,
        &LedgerRecord::stale, &LedgerRecord::peer_left, &LedgerRecord::stopped_gracefully,
        &LedgerRecord::maintenance}) {
    LedgerSlot one{kPairing, 1, {}};
    one.record.*flag = true;
    EXPECT_EQ(edge::decode_slot(encode(one)).slot, one);
  }
  for (int state = 0; state < core::kStateNames; ++state) {
    LedgerSlot one{kPairing, 1, {}};
    one.record.state = static_cast<core::StateName>(state);
    EXPECT_EQ(edge::decode_slot(encode(one)).slot, one);
  }
}

TEST(LedgerFormat, EveryChangedBitIsNoticed) {
  const std::string whole = encode(LedgerSlot{kPairing, 42, record_of(7)});
  for (std::size_t bit = 0; bit < kLedgerUsedBytes * 8; ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(edge::decode_slot(changed).slot) << "bit " << bit;
  }
}

TEST(LedgerFormat, RandomBytesAreNoLedger) {
  constexpr std::uint64_t kSeed = 31;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  Prng prng(kSeed);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes(prng.below(kLedgerBytes + 100), '\0');
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      bytes[at] = static_cast<char>(prng.next());
    }
    EXPECT_FALSE(decode_ledger(bytes, kPairing));
  }
}

// A write that power loss cuts off leaves the first part of the new bytes and the last part of the
// old ones (or, on a disk of sectors, any mixture of both). Whatever it leaves, the ledger says the
// old record or the new.
TEST(LedgerFormat, ATornWriteLeavesTheOldRecordOrTheNew) {
  const LedgerSlot older{kPairing, 10, record_of(5)};
  const LedgerSlot old{kPairing, 11, record_of(6)};
  const LedgerSlot young{kPairing, 12, record_of(7)};
  const std::string target = encode(older);  // the slot that is written over
  const std::string bytes = encode(young);
  int news = 0;
  for (std::size_t cut = 0; cut <= kLedgerSlotBytes; ++cut) {
    for (const bool from_the_end : {false, true}) {
      const std::string torn = from_the_end ? target.substr(0, cut) + bytes.substr(cut)
                                            : bytes.substr(0, cut) + target.substr(cut);
      const auto decoded = decode_ledger(torn + encode(old), kPairing);
      ASSERT_TRUE(decoded) << cut << ": " << to_text(decoded.error());
      EXPECT_TRUE(decoded->newest == old || decoded->newest == young) << cut;
      news += decoded->newest == young ? 1 : 0;
    }
  }
  EXPECT_GT(news, 0);
}

TEST(LedgerFormat, SaysWhatIsWrongWithALedger) {
  const std::string good = encode(LedgerSlot{kPairing, 1, record_of(1)});
  const std::string blank(kLedgerSlotBytes, '\0');
  std::string bad = good;
  bad[100] = 'x';
  EXPECT_EQ(decode_ledger(bad + bad, kPairing).error().code, EUCLEAN);
  EXPECT_EQ(decode_ledger(blank + blank, kPairing).error().code, EUCLEAN);
  EXPECT_EQ(decode_ledger("", kPairing).error().code, EUCLEAN);
  EXPECT_EQ(decode_ledger(good + blank + "x", kPairing).error().code, EUCLEAN);
  EXPECT_EQ(decode_ledger(good + blank, kPairing + 1).error().code, EINVAL);
  EXPECT_TRUE(decode_ledger(bad + good, kPairing)->other_damaged);
  EXPECT_FALSE(decode_ledger(good + blank, kPairing)->other_damaged);
}

// ---- the file

class LedgerTest : public testing::Test {
 protected:
  std::string path() const { return Ledger::path_of(folder.path(), kPrimary); }
  std::unique_ptr<Ledger> open(std::uint64_t pairing = kPairing) {
    auto opened = Ledger::open(*loop, folder.path(), kPrimary, pairing);
    EXPECT_TRUE(opened) << to_text(opened.error());
    return opened ? std::move(*opened) : nullptr;
  }
  Error refused(std::uint64_t pairing = kPairing) {
    const auto opened = Ledger::open(*loop, folder.path(), kPrimary, pairing);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  int write(Ledger& ledger, const LedgerRecord& record) {
    int result = -1;
    ledger.write(record, boottime_now() + Duration::from_s(5), [&](int error) {
      EXPECT_EQ(result, -1) << "answered twice";
      result = error;
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return result >= 0; }));
    return result;
  }
  void damage(std::uint64_t offset) {
    const Fd file(::open(path().c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(pwrite(file.get(), "damage", 6, static_cast<off_t>(offset)), 6);
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
};

TEST_F(LedgerTest, BeginsBlankInAPrivateFileOfItsFullSize) {
  const auto ledger = open();
  EXPECT_TRUE(ledger->is_new());
  EXPECT_EQ(ledger->record(), LedgerRecord{});
  struct stat facts {};
  ASSERT_EQ(stat(path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_size, static_cast<off_t>(kLedgerBytes));
  EXPECT_GE(facts.st_blocks * 512, static_cast<blkcnt_t>(kLedgerBytes)) << "it has holes";
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(LedgerTest, RemembersTheLastRecordOverRestarts) {
  for (std::uint64_t term = 1; term <= 9; ++term) {
    auto ledger = open();
    EXPECT_EQ(ledger->is_new(), term == 1);
    EXPECT_EQ(ledger->record(), term == 1 ? LedgerRecord{} : record_of(term - 1));
    EXPECT_EQ(write(*ledger, record_of(term)), 0);
    EXPECT_EQ(ledger->record(), record_of(term));
  }
}

TEST_F(LedgerTest, WritesTheSlotsInTurn) {
  auto ledger = open();
  for (std::uint64_t term = 1; term <= 4; ++term) {
    EXPECT_EQ(write(*ledger, record_of(term)), 0);
    const auto bytes = read_all(path(), kLedgerBytes + 1);
    ASSERT_TRUE(bytes);
    const std::string_view all(*bytes);
    const auto newest =
        edge::decode_slot(all.substr(term % 2 * kLedgerSlotBytes, kLedgerSlotBytes));
    EXPECT_EQ(newest.slot->record, record_of(term));
    const auto other =
        edge::decode_slot(all.substr((term + 1) % 2 * kLedgerSlotBytes, kLedgerSlotBytes));
    EXPECT_EQ(other.slot->record, term == 1 ? LedgerRecord{} : record_of(term - 1));
  }
}

TEST_F(LedgerTest, WritesTogetherWhatComesWhileItIsWriting) {
  auto ledger = open();
  std::vector<std::uint64_t> answered;
  for (std::uint64_t term = 1; term <= 50; ++term) {
    ledger->write(record_of(term), Instant::never(), [&, term](int error) {
      EXPECT_EQ(error, 0);
      EXPECT_GE(ledger->record().term, term) << "answered before it was durable";
      answered.push_back(term);
    });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return answered.size() == 50; }));
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
  EXPECT_EQ(ledger->record(), record_of(50));
  ledger.reset();
  const auto bytes = read_all(path(), kLedgerBytes);
  EXPECT_LE(decode_ledger(*bytes, kPairing)->newest.sequence, 4u) << "two writes for fifty wishes";
}

TEST_F(LedgerTest, FallsBackToTheOtherRecordWhenOneIsDamaged) {
  {
    auto ledger = open();
    EXPECT_EQ(write(*ledger, record_of(1)), 0);  // slot 1
    EXPECT_EQ(write(*ledger, record_of(2)), 0);  // slot 0
  }
  damage(40);
  EXPECT_EQ(open()->record(), record_of(1));
  // And goes on from there, over the damaged slot.
  {
    auto ledger = open();
    EXPECT_EQ(write(*ledger, record_of(3)), 0);
  }
  EXPECT_EQ(open()->record(), record_of(3));
}

TEST_F(LedgerTest, RefusesWhenBothRecordsAreDamagedAndLeavesTheFileAlone) {
  { EXPECT_EQ(write(*open(), record_of(1)), 0); }
  damage(40);
  damage(kLedgerSlotBytes + 40);
  const auto before = *read_all(path(), kLedgerBytes);
  const Error error = refused();
  EXPECT_EQ(error.code, EUCLEAN);
  EXPECT_NE(error.what.find(path()), std::string::npos) << error.what;
  EXPECT_NE(error.what.find("pair again"), std::string::npos) << "no next step: " << error.what;
  EXPECT_EQ(*read_all(path(), kLedgerBytes), before);
}

TEST_F(LedgerTest, RefusesTheLedgerOfAnotherPairing) {
  open();
  const Error error = refused(kPairing + 1);
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_NE(error.what.find("another pairing"), std::string::npos);
}

TEST_F(LedgerTest, RefusesAFileThatIsOpenInAnotherMonitor) {
  const auto ledger = open();
  EXPECT_EQ(refused().code, EBUSY);
}

TEST_F(LedgerTest, RefusesALinkInItsPlace) {
  open();
  ASSERT_EQ(rename(path().c_str(), folder.at("elsewhere").c_str()), 0);
  ASSERT_EQ(symlink(folder.at("elsewhere").c_str(), path().c_str()), 0);
  EXPECT_EQ(refused().code, ELOOP);
}

TEST_F(LedgerTest, IsForgottenWithItsPairing) {
  open();
  EXPECT_TRUE(Ledger::remove(folder.path(), kPrimary));
  EXPECT_TRUE(Ledger::remove(folder.path(), kPrimary)) << "twice is fine";
  EXPECT_TRUE(open(kPairing + 1)->is_new());
}

// The monitor is killed again and again, at any moment of writing. What it had been answered as
// durable is there afterwards, the terms never go back, and the file is always whole.
TEST_F(LedgerTest, NoAnsweredRecordIsLostWhenTheMonitorIsKilled) {
  constexpr std::uint64_t kSeed = 99;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  Prng prng(kSeed);
  std::uint64_t term = 0;
  for (int round = 0; round < 60; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) {
      auto own = loop::Loop::open();
      auto ledger = Ledger::open(**own, folder.path(), kPrimary, kPairing);
      if (!ledger) {
        _exit(1);
      }
      std::uint64_t next = (*ledger)->record().term;
      std::function<void()> again = [&] {
        ++next;
        (*ledger)->write(record_of(next), Instant::never(), [&, told = next](int error) {
          if (error != 0 || ::write(writer.get(), &told, sizeof told) != sizeof told) {
            _exit(2);
          }
          again();
        });
      };
      again();
      while ((*own)->turn(Instant::never())) {
      }
      _exit(3);
    }
    writer.reset();
    // Killed after so many answers, and a random while after that.
    const std::uint64_t answers = prng.below(12);
    std::uint64_t told = 0;
    for (std::uint64_t i = 0; i < answers; ++i) {
      ASSERT_EQ(::read(reader.get(), &told, sizeof told), static_cast<ssize_t>(sizeof told));
    }
    const Instant when =
        boottime_now() + Duration::from_us(static_cast<std::int64_t>(prng.below(1500)));
    while (boottime_now() < when) {
    }
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    for (std::uint64_t more = 0; ::read(reader.get(), &more, sizeof more) == sizeof more;) {
      told = more;
    }
    auto ledger = open();
    ASSERT_NE(ledger, nullptr);
    EXPECT_GE(ledger->record().term, std::max(told, term));
    EXPECT_TRUE(ledger->record().term == 0 || ledger->record() == record_of(ledger->record().term));
    term = ledger->record().term;
  }
  EXPECT_GT(term, 60u);
}

}  // namespace
}  // namespace cb::test
