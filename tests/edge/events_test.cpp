// SPDX-License-Identifier: Apache-2.0
#include "edge/events.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "edge/event_batch.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using edge::EventEntry;
using testing::ElementsAre;
using testing::HasSubstr;

EventEntry entry_of(const std::string& description, const std::string& pairing = "10.0.0.1") {
  EventEntry entry;
  entry.pairing = pairing;
  entry.description = description;
  entry.generated_by = "Secondary";
  entry.remarks = "why";
  entry.state = "SECONDARY_ACTIVE";
  return entry;
}

class EventLogTest : public testing::Test {
 protected:
  EventLogTest() { open(); }
  void open(edge::EventLog::Options options = {}) {
    events.reset();
    options.store.root = folder.path();
    auto opened = edge::EventLog::open(*loop, options);
    ASSERT_TRUE(opened) << to_text(opened.error());
    events = std::move(*opened);
  }
  void flush() {
    bool flushed = false;
    events->flush([&] { flushed = true; });
    EXPECT_TRUE(turn_until(*loop, [&] { return flushed; }));
  }
  std::string path(const std::string& more = "") const {
    return folder.at("var/lib/crossbeat/events.db" + more);
  }
  std::vector<EventEntry> query(const edge::EventQuery& query = {}) {
    std::vector<EventEntry> result;
    bool answered = false;
    events->query(query, [&](std::vector<EventEntry> entries, const std::string& said) {
      result = std::move(entries);
      trouble = said;
      answered = true;
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return answered; }));
    return result;
  }
  std::vector<std::string> descriptions(const edge::EventQuery& wanted = {}) {
    std::vector<std::string> result;
    for (const EventEntry& entry : query(wanted)) {
      result.push_back(entry.description);
    }
    return result;
  }
  int take(const std::string& batch, const std::string& pairing = "10.0.0.1") {
    int answer = -1;
    events->take(batch, pairing, "Primary", [&](int error) { answer = error; });
    EXPECT_TRUE(turn_until(*loop, [&] { return answer != -1; }));
    return answer;
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::unique_ptr<edge::EventLog> events;
  std::string trouble;
};

TEST_F(EventLogTest, RemembersAllFieldsOverARestart) {
  for (int i = 0; i < 20; ++i) {
    events->add(entry_of("event " + std::to_string(i)));
  }
  flush();
  const auto before = query();
  ASSERT_EQ(before.size(), 20u);
  EXPECT_EQ(before[3].pairing, "10.0.0.1");
  EXPECT_EQ(before[3].description, "event 3");
  EXPECT_EQ(before[3].generated_by, "Secondary");
  EXPECT_EQ(before[3].remarks, "why");
  EXPECT_EQ(before[3].state, "SECONDARY_ACTIVE");
  EXPECT_GT(before[3].at_ns, 0);
  EXPECT_EQ(before[3].wall.size(), 27u);
  EXPECT_EQ(before[3].number, 4u);
  EXPECT_EQ(before[3].origin.size(), 16u);
  open();
  EXPECT_EQ(query(), before);
  events->add(entry_of("later"));
  EXPECT_EQ(query().back().number, 21u) << "numbers go on";
  EXPECT_EQ(query().back().origin, before[3].origin);
}

TEST_F(EventLogTest, AnswersWithWhatIsNotYetWritten) {
  events->add(entry_of("a"));
  events->add(entry_of("b"));
  EXPECT_THAT(descriptions(), ElementsAre("a", "b")) << "without a turn in between, and once each";
  EXPECT_THAT(descriptions(), ElementsAre("a", "b"));
}

TEST_F(EventLogTest, WritesWhatIsLeftWhenItEnds) {
  events->add(entry_of("first"));
  events->add(entry_of("second"));
  events.reset();  // no turn of the loop in between
  open();
  EXPECT_THAT(descriptions(), ElementsAre("first", "second"));
}

TEST_F(EventLogTest, AnswersQuestions) {
  for (int i = 0; i < 10; ++i) {
    EventEntry entry = entry_of("event " + std::to_string(i), i % 2 == 0 ? "10.0.0.1" : "10.0.0.2");
    entry.wall = "2026-01-31T17:02:0" + std::to_string(i) + ".500000Z";
    events->add(entry);
  }
  flush();
  EXPECT_THAT(descriptions({.limit = 2}), ElementsAre("event 8", "event 9"));
  EXPECT_THAT(descriptions({.limit = 100, .pairing = "10.0.0.2"}),
              ElementsAre("event 1", "event 3", "event 5", "event 7", "event 9"));
  EXPECT_THAT(descriptions({.since_wall = "2026-01-31T17:02:08.500000Z"}), ElementsAre("event 9"));
  EXPECT_THAT(descriptions({.since_wall = "2026-01-31T17:02:08Z"}),
              ElementsAre("event 8", "event 9"))
      << "a coarser moment is the beginning of its second";
  EXPECT_THAT(
      descriptions({.since_wall = "2026-01-31T17:02:05Z", .until_wall = "2026-01-31T17:02:07.5Z"}),
      ElementsAre("event 5", "event 6", "event 7"));
  EXPECT_TRUE(descriptions({.limit = 0}).empty());
  EXPECT_TRUE(descriptions({.pairing = "' OR 1 = 1 --"}).empty());
}

TEST_F(EventLogTest, TellsFollowersWhichMayLeaveInTheirCall) {
  std::vector<std::string> seen;
  edge::EventLog::FollowerId second = 0;
  events->follow([&](const EventEntry& entry) {
    seen.push_back("first " + entry.description);
    events->unfollow(second);
  });
  second = events->follow([&](const EventEntry&) { seen.push_back("second"); });
  edge::EventLog::FollowerId once = 0;
  once = events->follow([&](const EventEntry&) {
    seen.push_back("once");
    events->unfollow(once);
  });
  events->add(entry_of("a"));
  events->add(entry_of("b"));
  EXPECT_THAT(seen, ElementsAre("first a", "once", "first b"));
}

TEST_F(EventLogTest, PutsADamagedDatabaseAsideAndSaysSo) {
  for (const std::string damage : {"head", "middle", "text"}) {
    events->add(entry_of("before"));
    flush();
    events.reset();
    if (damage == "text") {
      std::ofstream(path())
          << "this is no database at all, whatever its name says; not in the least";
    } else {
      std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(damage == "head" ? 30 : 4096);
      file << std::string(3000, '\xa5');
    }
    std::filesystem::remove(path("-wal"));
    open();
    const auto kept = query();
    ASSERT_FALSE(kept.empty()) << damage;
    EXPECT_EQ(kept.back().description, "the event log was damaged and begun anew") << damage;
    EXPECT_THAT(kept.back().remarks, HasSubstr("events.db.damaged"));
    EXPECT_TRUE(std::filesystem::exists(path(".damaged")));
    events->add(entry_of("after"));
    flush();
    open();
    EXPECT_THAT(descriptions(), ElementsAre("the event log was damaged and begun anew", "after"));
    events.reset();
    std::filesystem::remove(path());
    open();
  }
}

TEST_F(EventLogTest, KeepsInMemoryWhatTheDiskDoesNotTakeAndWritesItLater) {
  events.reset();
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());  // nothing can be opened there
  open({.unwritten_max = 5, .retry = Duration::from_ms(5)});
  for (int i = 0; i < 8; ++i) {
    events->add(entry_of("event " + std::to_string(i)));
    flush();
  }
  EXPECT_EQ(descriptions(),
            (std::vector<std::string>{"event 3", "event 4", "event 5", "event 6", "event 7"}));
  EXPECT_NE(trouble, "");
  EXPECT_EQ(events->lost(), 3u);
  std::filesystem::remove(path());
  ASSERT_TRUE(turn_until(*loop, [&] { return events->unwritten() == 0; })) << "by itself";
  EXPECT_THAT(descriptions(), ElementsAre("event 3", "event 4", "event 5", "event 6", "event 7",
                                          "events were lost from the log"));
  EXPECT_EQ(query().back().remarks, "3 events could not be written");
  EXPECT_EQ(trouble, "");
  EXPECT_EQ(query().front().origin.size(), 16u) << "the log's name, which it has only now";
}

// A process that writes and is killed: what it was told is written is there, and the database is
// whole.
TEST_F(EventLogTest, LosesNothingThatWasWrittenWhenItsProcessIsKilled) {
  events.reset();
  std::filesystem::remove_all(folder.at("var"));
  std::uint64_t written = 0;
  for (int kill_round = 0; kill_round < 5; ++kill_round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = edge::EventStore::open({.root = folder.path()});
      for (std::uint64_t n = written + 1; store; ++n) {
        EventEntry entry = entry_of("event");
        entry.wall = edge::wall_text(1'700'000'000'000'000'000);
        entry.origin = (*store)->origin();
        entry.number = n;
        if (!(*store)->write({entry}) || write(ends[1], &n, sizeof n) != sizeof n) {
          break;
        }
      }
      _exit(1);
    }
    close(ends[1]);
    std::uint64_t told = 0;
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(read(ends[0], &told, sizeof told), static_cast<ssize_t>(sizeof told));
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    while (read(ends[0], &told, sizeof told) == static_cast<ssize_t>(sizeof told)) {
    }
    close(ends[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    auto store = edge::EventStore::open({.root = folder.path()});
    ASSERT_TRUE(store) << to_text(store.error());
    EXPECT_EQ((*store)->take_put_aside(), "");
    EXPECT_GE((*store)->last_number(), told);
    EXPECT_EQ((*store)->read({.limit = 100'000})->size(), (*store)->last_number());
    written = (*store)->last_number();
  }
}

TEST_F(EventLogTest, TakesInTheFileOfOlderSoftwareOnce) {
  events.reset();
  std::filesystem::remove(path());
  const std::string old = folder.at("var/lib/crossbeat/events.jsonl");
  std::ofstream(old + ".1")
      << R"({"wall":"2026-01-30T10:00:00.000000Z","at_ns":7,"pairing":"10.0.0.1","description":"old",)"
      << R"("generated_by":"Primary","remarks":"","state":"PRIMARY_ACTIVE"})"
      << "\n";
  std::ofstream(old) << "not json\n"
                     << R"({"wall":"2026-01-31T10:00:00.000000Z","description":"newer"})"
                     << "\n"
                     << R"({"description":"cut off)";
  auto store = edge::EventStore::open({.root = folder.path()});
  ASSERT_TRUE(store) << to_text(store.error());
  const auto found = *(*store)->read({});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].description, "old");
  EXPECT_EQ(found[0].state, "PRIMARY_ACTIVE");
  EXPECT_EQ(found[0].at_ns, 7);
  EXPECT_EQ(found[1].description, "newer");
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_FALSE(std::filesystem::exists(old + ".1"));
}

TEST_F(EventLogTest, OldOnesGoAfterTheirDaysButNeverTheNewestFew) {
  events.reset();
  auto store = edge::EventStore::open({.root = folder.path(), .days = 2, .kept_least = 3});
  ASSERT_TRUE(store);
  std::vector<EventEntry> entries;
  const std::int64_t day_us = 86'400'000'000;
  const std::int64_t now_us = 30 * day_us;
  for (int i = 0; i < 10; ++i) {
    EventEntry entry = entry_of("day " + std::to_string(i));
    entry.wall = edge::wall_text((now_us - (10 - i) * day_us / 2) * 1000);  // half a day apart
    entry.origin = (*store)->origin();
    entry.number = static_cast<std::uint64_t>(i + 1);
    entries.push_back(entry);
  }
  ASSERT_TRUE((*store)->write(entries));
  ASSERT_TRUE((*store)->prune(now_us));
  EXPECT_EQ((*store)->read({})->size(), 4u) << "two days of them";
  ASSERT_TRUE((*store)->prune(now_us + 1000 * day_us)) << "a clock that jumped";
  EXPECT_EQ((*store)->read({})->size(), 3u);
  EXPECT_EQ((*store)->read({})->back().description, "day 9");
}

TEST_F(EventLogTest, IsKeptBelowItsSizeByLosingTheOldest) {
  events.reset();
  const std::uint64_t most = 512 << 10;
  auto store = edge::EventStore::open({.root = folder.path(), .bytes_max = most, .days = 3650});
  ASSERT_TRUE(store);
  for (std::uint64_t n = 0; n < 4000; n += 200) {
    std::vector<EventEntry> entries;
    for (std::uint64_t i = 1; i <= 200; ++i) {
      EventEntry entry = entry_of("event " + std::to_string(n + i));
      entry.remarks = std::string(500, 'r');
      entry.wall = edge::wall_text(1'700'000'000'000'000'000);
      entry.origin = (*store)->origin();
      entry.number = n + i;
      entries.push_back(entry);
    }
    ASSERT_TRUE((*store)->write(entries));
    ASSERT_TRUE((*store)->prune(0));
  }
  const auto kept = *(*store)->read({.limit = 10'000});
  EXPECT_GT(kept.size(), 200u);
  EXPECT_LT(kept.size(), 1000u);
  EXPECT_EQ(kept.back().number, 4000u);
  store->reset();  // the write-ahead log goes into the file
  EXPECT_LE(std::filesystem::file_size(path()), most + (most / 4));
}

// ---- from the peer

std::string batch_of(std::vector<EventEntry> entries,
                     const std::string& origin = "00000000000000aa") {
  for (EventEntry& entry : entries) {
    entry.origin = origin;
  }
  std::size_t taken = 0;
  const std::string batch = edge::encode_batch(entries, taken);
  EXPECT_EQ(taken, entries.size());
  return batch;
}

EventEntry peers(std::uint64_t number, const std::string& description) {
  EventEntry entry = entry_of(description);
  entry.number = number;
  entry.at_ns = 5;
  entry.wall = "2026-01-31T17:02:0" + std::to_string(number) + ".000000Z";
  return entry;
}

TEST_F(EventLogTest, MergesThePeersEventsByTimeAndOnce) {
  EventEntry own = entry_of("own");
  own.wall = "2026-01-31T17:02:01.500000Z";
  events->add(own);
  std::vector<std::string> followed;
  events->follow([&](const EventEntry& entry) { followed.push_back(entry.description); });
  const std::string batch = batch_of({peers(1, "first"), peers(2, "second")});
  EXPECT_EQ(take(batch), 0);
  EXPECT_EQ(take(batch), 0) << "again: the answer was lost";
  EXPECT_EQ(take(batch_of({peers(2, "second"), peers(3, "third")})), 0);
  EXPECT_THAT(descriptions(), ElementsAre("first", "own", "second", "third"));
  EXPECT_THAT(followed, ElementsAre("first", "second", "third"));
  EXPECT_EQ(query()[0].generated_by, "Primary") << "known from the pairing, not from the peer";
  EXPECT_EQ(query()[0].origin, "10.0.0.1/00000000000000aa");
  EXPECT_EQ(query()[1].generated_by, "Secondary");
}

TEST_F(EventLogTest, NoPeerSpeaksInAnothersName) {
  const std::string batch = batch_of({peers(1, "mine")});
  EXPECT_EQ(take(batch, "10.0.0.1"), 0);
  EXPECT_EQ(take(batch, "10.0.0.2"), 0) << "the same name and number in another pairing";
  EXPECT_EQ(take(batch_of({peers(1, "as yourself")}, events->origin()), "10.0.0.2"), 0);
  events->add(entry_of("own"));
  EXPECT_EQ(descriptions().size(), 4u);
}

TEST_F(EventLogTest, GivesAPeerWhatItDoesNotHaveYet) {
  events->add(entry_of("one", "10.0.0.1"));
  events->add(entry_of("other pairing", "10.0.0.2"));
  events->add(entry_of("the node", ""));
  ASSERT_EQ(take(batch_of({peers(1, "told by the peer")})), 0);
  flush();
  std::string batch;
  std::uint64_t last = 0;
  const auto ask = [&] {
    bool answered = false;
    events->batch_for(42, "10.0.0.1", [&](const std::string& b, std::uint64_t l) {
      batch = b;
      last = l;
      answered = true;
    });
    EXPECT_TRUE(turn_until(*loop, [&] { return answered; }));
  };
  ask();
  const auto entries = edge::decode_batch(batch, "10.0.0.1", "Secondary");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].description, "one");
  EXPECT_EQ((*entries)[1].description, "the node");
  EXPECT_EQ(last, 3u);
  events->set_told(42, last);
  ask();
  EXPECT_EQ(batch, "");
  open();
  ask();
  EXPECT_EQ(batch, "") << "remembered over a restart";
}

TEST(EventBatch, TakesAsManyAsFit) {
  std::vector<EventEntry> entries;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    EventEntry entry = entry_of("e");
    entry.number = i;
    entry.origin = "00000000000000aa";
    entry.remarks = std::string(i <= 50 ? 10 : 900, 'r');
    entries.push_back(entry);
  }
  std::size_t taken = 0;
  const std::string batch = edge::encode_batch(entries, taken);
  EXPECT_LE(batch.size(), edge::kBatchBytesMax);
  EXPECT_GT(taken, 50u);
  EXPECT_LT(taken, 65u);
  EXPECT_EQ(edge::decode_batch(batch, "p", "Primary")->size(), taken);
}

TEST(EventBatch, WhateverDoesNotFitIsRefusedWhole) {
  const std::string good = batch_of({peers(1, "first"), peers(2, "second")});
  ASSERT_TRUE(edge::decode_batch(good, "p", "Primary"));
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(edge::decode_batch(good.substr(0, length), "p", "Primary")) << length;
  }
  EXPECT_FALSE(edge::decode_batch(good + "x", "p", "Primary"));
  EXPECT_FALSE(edge::decode_batch(batch_of({peers(2, "a"), peers(1, "b")}), "p", "Primary"));
  EXPECT_FALSE(edge::decode_batch(batch_of({peers(0, "a")}), "p", "Primary"));
  EXPECT_FALSE(edge::decode_batch(std::string(edge::kBatchBytesMax + 1, '\1'), "p", "Primary"));
  // Every bit of it bent: refused, or events whose texts are harmless and short.
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bent = good;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    const auto entries = edge::decode_batch(bent, "p", "Primary");
    for (const EventEntry& entry : entries.value_or(std::vector<EventEntry>{})) {
      EXPECT_EQ(entry.description, edge::clean_text(entry.description, edge::kDescriptionMax));
      EXPECT_EQ(entry.pairing, "p");
      EXPECT_TRUE(edge::parse_wall_us(entry.wall));
    }
  }
}

TEST(EventText, NothingInItMovesACursor) {
  EXPECT_EQ(edge::clean_text("a\x1b[2Jb\nc\x07\x7f", 100), "a [2Jb c  ");
  EXPECT_EQ(edge::clean_text("a\xc2\x9b\x31m", 100), "a 1m") << "the one-byte escape of UTF-8";
  EXPECT_EQ(edge::clean_text("\xc3\xbc\xc3\xbc", 3), "\xc3\xbc") << "cut between two characters";
  EXPECT_EQ(edge::clean_text("\xf0\x9f\x94\x81z", 4), "\xf0\x9f\x94\x81");
  EXPECT_EQ(edge::clean_text("abc", 2), "ab");
}

TEST(EventText, AnyBytesMakeOneValidLine) {
  for (const std::string& text :
       {std::string("line\nend \"quoted\" \\ \t \x01"), std::string("\xff\xfe not UTF-8 \xc3"),
        std::string("\0in the middle", 14), std::string("\xf0\x9f\x94\x81")}) {
    EventEntry entry = entry_of(text);
    entry.wall = edge::wall_text(0);
    const std::string line = edge::to_json_line(entry);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    EXPECT_TRUE(edge::parse_json_line(line)) << line;
  }
}

TEST(EventText, WallTimesAreRfc3339InUtc) {
  EXPECT_EQ(edge::wall_text(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(edge::wall_text(1'769'878'923'123'456'789), "2026-01-31T17:02:03.123456Z");
  EXPECT_EQ(edge::parse_wall_us("2026-01-31T17:02:03.123456Z"), 1'769'878'923'123'456);
  EXPECT_EQ(edge::parse_wall_us("2026-01-31T17:02:03.5"), 1'769'878'923'500'000);
  EXPECT_EQ(edge::parse_wall_us("2026-01-31T17:02"), 1'769'878'920'000'000);
  EXPECT_EQ(edge::parse_wall_us("1970-01-02"), 86'400'000'000);
  for (const char* wrong :
       {"", "yesterday", "2026-1-31", "2026-13-01", "2026-01-31T25:00", "2026-01-31T17:02:03.",
        "2026-01-31T17:02:03.12345678901Z", "2026-01-31 17:02:03+01:00", "-026-01-31"}) {
    EXPECT_FALSE(edge::parse_wall_us(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace cb::test
