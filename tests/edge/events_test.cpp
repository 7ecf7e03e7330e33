// SPDX-License-Identifier: Apache-2.0
#include "edge/events.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using edge::EventEntry;

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
  EventLogTest() {
    hands = std::move(*loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}}));
    open();
  }
  void open(edge::EventLog::Options options = {}) {
    events.reset();
    options.root = folder.path();
    auto opened = edge::EventLog::open(*loop, *hands, options);
    ASSERT_TRUE(opened) << to_text(opened.error());
    events = std::move(*opened);
  }
  void flush() {
    bool flushed = false;
    events->flush([&] { flushed = true; });
    EXPECT_TRUE(turn_until(*loop, [&] { return flushed; }));
  }
  std::string path(const std::string& more = "") const {
    return folder.at("var/lib/crossbeat/events.jsonl" + more);
  }
  std::vector<std::string> descriptions(const edge::EventQuery& query = {}) const {
    std::vector<std::string> result;
    for (const EventEntry& entry : events->query(query)) {
      result.push_back(entry.description);
    }
    return result;
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::unique_ptr<loop::Hands> hands;
  std::unique_ptr<edge::EventLog> events;
};

TEST_F(EventLogTest, WritesOneObjectALineWithAllFields) {
  events->add(entry_of("Failover invoked"));
  flush();
  const std::string text = *read_all(path(), 1 << 20);
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["pairing"], "10.0.0.1");
  EXPECT_EQ(json["description"], "Failover invoked");
  EXPECT_EQ(json["generated_by"], "Secondary");
  EXPECT_EQ(json["remarks"], "why");
  EXPECT_EQ(json["state"], "SECONDARY_ACTIVE");
  EXPECT_GT(json["at_ns"].get<std::int64_t>(), 0);
  EXPECT_EQ(json["wall"].get<std::string>().size(), 27u);
  EXPECT_EQ(json.size(), 7u);
}

TEST_F(EventLogTest, AnyBytesMakeOneValidLine) {
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

TEST_F(EventLogTest, WallTimesAreRfc3339InUtc) {
  EXPECT_EQ(edge::wall_text(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(edge::wall_text(1'769'878'923'123'456'789), "2026-01-31T17:02:03.123456Z");
}

TEST_F(EventLogTest, RemembersOverARestart) {
  for (int i = 0; i < 20; ++i) {
    events->add(entry_of("event " + std::to_string(i)));
  }
  flush();
  const auto before = events->query({});
  open();
  EXPECT_EQ(events->query({}), before);
}

TEST_F(EventLogTest, WritesWhatIsLeftWhenItEnds) {
  events->add(entry_of("first"));
  events->add(entry_of("second"));
  events.reset();  // no turn of the loop in between
  open();
  EXPECT_EQ(descriptions(), (std::vector<std::string>{"first", "second"}));
}

TEST_F(EventLogTest, WritesWhatIsLeftAlsoWhenTheHandsEndedFirst) {
  events->add(entry_of("first"));
  events->add(entry_of("second"));
  hands.reset();
  events.reset();
  hands = std::move(*loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}}));
  open();
  EXPECT_EQ(descriptions(), (std::vector<std::string>{"first", "second"}));
}

TEST_F(EventLogTest, PassesOverLinesThatAreNone) {
  events->add(entry_of("good"));
  flush();
  events.reset();
  {
    std::ofstream file(path(), std::ios::app);
    file << "not json\n{\"wall\":5}\n[]\n\n{\"description\":\"cut off";
  }
  open();
  EXPECT_EQ(descriptions(), std::vector<std::string>{"good"});
}

TEST_F(EventLogTest, AnswersQuestions) {
  for (int i = 0; i < 10; ++i) {
    EventEntry entry = entry_of("event " + std::to_string(i), i % 2 == 0 ? "10.0.0.1" : "10.0.0.2");
    entry.wall = "2026-01-31T17:02:0" + std::to_string(i) + ".500000Z";
    events->add(entry);
  }
  EXPECT_EQ(descriptions({.limit = 2}), (std::vector<std::string>{"event 8", "event 9"}));
  EXPECT_EQ(descriptions({.limit = 100, .pairing = "10.0.0.2"}),
            (std::vector<std::string>{"event 1", "event 3", "event 5", "event 7", "event 9"}));
  EXPECT_EQ(descriptions({.since_wall = "2026-01-31T17:02:08.500000Z"}),
            std::vector<std::string>{"event 9"});
  EXPECT_EQ(descriptions({.since_wall = "2026-01-31T17:02:08Z"}),
            (std::vector<std::string>{"event 8", "event 9"}))
      << "a coarser moment is the beginning of its second";
  EXPECT_TRUE(descriptions({.limit = 0}).empty());
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
  EXPECT_EQ(seen, (std::vector<std::string>{"first a", "once", "first b"}));
}

TEST_F(EventLogTest, RotatesBySizeAndKeepsSoManyOldFiles) {
  open({.bytes_max = 2000, .generations = 2});
  for (int i = 0; i < 100; ++i) {
    events->add(entry_of("event " + std::to_string(i)));
    flush();
  }
  for (const char* more : {"", ".1", ".2"}) {
    EXPECT_LE(std::filesystem::file_size(path(more)), 2000u) << more;
    EXPECT_GT(std::filesystem::file_size(path(more)), 0u) << more;
  }
  EXPECT_FALSE(std::filesystem::exists(path(".3")));
  open({.bytes_max = 2000, .generations = 2});
  const auto kept = descriptions();
  ASSERT_GT(kept.size(), 10u) << "the file before the current one is read too";
  EXPECT_EQ(kept.back(), "event 99");
}

TEST_F(EventLogTest, BeginsAnewWhenSomebodyRemovesTheFile) {
  events->add(entry_of("a"));
  flush();
  ASSERT_EQ(unlink(path().c_str()), 0);
  events->add(entry_of("b"));
  flush();
  EXPECT_NE(read_all(path(), 1 << 20)->find("\"b\""), std::string::npos);
}

TEST_F(EventLogTest, KeepsOnlySoManyInMemory) {
  open({.kept_max = 5});
  for (int i = 0; i < 20; ++i) {
    events->add(entry_of("event " + std::to_string(i)));
  }
  EXPECT_EQ(descriptions().size(), 5u);
  EXPECT_EQ(descriptions().front(), "event 15");
}

}  // namespace
}  // namespace cb::test
