// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

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

TEST(Events, WithoutAMonitorComeFromTheFile) {
  FakeMonitor monitor;
  monitor.write("var/lib/crossbeat/events.jsonl",
                "{\"wall\":\"2026-01-30T10:00:00Z\",\"description\":\"old\"}\n"
                "{\"wall\":\"2026-01-31T10:00:00Z\",\"description\":\"a\"}\n"
                "{\"wall\":\"2026-01-31T11:00:00Z\",\"description\":\"b\"}\n"
                "{\"wall\":\"2026-01-31T12:00:00Z\",\"descr");
  const Ran ran = run_cli(monitor.root(), {"events", "--since", "2026-01-31", "--limit", "1"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.out, "2026-01-31T11:00:00Z  -          b\n");
  EXPECT_THAT(ran.err, HasSubstr("not running"));
}

}  // namespace
}  // namespace cb::cli::test
