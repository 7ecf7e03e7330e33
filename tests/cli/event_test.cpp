// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "edge/event_store.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;

TEST(Events, AreShownOldestFirstAsTheMonitorSendsThem) {
  FakeMonitor monitor;
  monitor.answers("events", {Json{{"ok", true},
                                  {"events",
                                   {{{"wall", "2026-01-31T17:02:03.123Z"},
                                     {"generated_by", "Primary"},
                                     {"description", "Active"},
                                     {"remarks", "-"}},
                                    {{"wall", "2026-01-31T17:03:03.123Z"},
                                     {"generated_by", "Secondary"},
                                     {"description", "Failover invoked"},
                                     {"remarks", "peer silent"},
                                     {"state", "FAILOVER_INVOKED"}}}}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"events", "--limit", "5", "--since", "2026-01-31"});
  EXPECT_EQ(ran.out,
            "2026-01-31T17:02:03.123Z  Primary    Active\n"
            "2026-01-31T17:03:03.123Z  Secondary  Failover invoked (peer silent)  "
            "FAILOVER_INVOKED\n");
  EXPECT_EQ(monitor.requests()[0],
            (Json{{"verb", "events"}, {"limit", 5}, {"since", "2026-01-31"}}));
}

TEST(Events, FollowUntilTheMonitorEnds) {
  FakeMonitor monitor;
  monitor.answers("events", [](const Json&) {
    return std::vector<std::string>{R"({"ok":true,"events":[]})",
                                    R"({"wall":"2026-01-31T17:02:03Z","description":"Active"})"};
  });
  monitor.listen();
  std::thread ending([&] {
    monitor.wait_for_request();
    monitor.stop();
  });
  const Ran ran = run_cli(monitor.root(), {"events", "--follow", "--json"});
  ending.join();
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr(R"({"wall":"2026-01-31T17:02:03Z","description":"Active"})"));
}

TEST(Events, AnUnreadableLogAndATimeThatIsNoneAreSaid) {
  FakeMonitor monitor;
  monitor.answers("events",
                  {Json{{"ok", true}, {"events", Json::array()}, {"trouble", "it rots"}}});
  monitor.listen();
  EXPECT_THAT(run_cli(monitor.root(), {"events", "--until", "2026-01-31T17:00"}).err,
              HasSubstr("it rots"));
  EXPECT_EQ(monitor.requests()[0]["until"], "2026-01-31T17:00");
  EXPECT_EQ(run_cli(monitor.root(), {"events", "--since", "lately"}).code, 2);
  EXPECT_EQ(run_cli(monitor.root(), {"events", "--until", "2026-99-31"}).code, 2);
}

TEST(Events, WithoutAMonitorComeFromTheDatabase) {
  FakeMonitor monitor;
  {
    auto store = edge::EventStore::open({.root = monitor.root()});
    ASSERT_TRUE(store) << to_text(store.error());
    std::vector<edge::EventEntry> entries(3);
    const char* walls[] = {"2026-01-30T10:00:00Z", "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z"};
    for (std::size_t i = 0; i < entries.size(); ++i) {
      entries[i].wall = walls[i];
      entries[i].description = std::string(1, "oab"[i]);
      entries[i].origin = (*store)->origin();
      entries[i].number = i + 1;
    }
    ASSERT_TRUE((*store)->write(entries));
  }
  const Ran ran = run_cli(monitor.root(), {"events", "--since", "2026-01-31", "--limit", "1"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.out, "2026-01-31T11:00:00.000000Z  -          b\n");
  EXPECT_THAT(ran.err, HasSubstr("not running"));
  EXPECT_EQ(
      run_cli(monitor.root(), {"events", "--until", "2026-01-30T23:59", "--json"}).out.find("old"),
      std::string::npos);
  EXPECT_THAT(run_cli(monitor.root(), {"events", "--until", "2026-01-30T23:59"}).out,
              HasSubstr("o\n"));
}

TEST(Events, WithoutAMonitorAndWithoutADatabaseSaySo) {
  FakeMonitor monitor;
  const Ran ran = run_cli(monitor.root(), {"events"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("events.db"));
}

}  // namespace
}  // namespace cb::cli::test
