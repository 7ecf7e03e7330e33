// SPDX-License-Identifier: Apache-2.0
#include "edge/hooks.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class HookTest : public testing::Test {
 protected:
  struct Told {
    std::string pairing;
    std::string hook;
    int error = 0;
    std::string text;
  };
  void open(std::vector<config::Hook> hooks) {
    auto opened = edge::HookEdge::open(*loop, std::move(hooks),
                                       [this](const std::string& pairing, const std::string& hook,
                                              int error, const std::string& text) {
                                         told.push_back({pairing, hook, error, text});
                                       });
    ASSERT_TRUE(opened) << to_text(opened.error());
    edge = std::move(*opened);
  }
  static config::Hook hook(const std::string& name, const std::string& script,
                           std::vector<std::string> states = {},
                           Duration within = Duration::from_s(10)) {
    return {name, {"/bin/sh", "-c", script}, std::move(states), within};
  }
  static edge::StateChange change(const std::string& from, const std::string& to) {
    return {.node = "mse2",
            .role = "secondary",
            .pairing = "10.0.0.1",
            .from = from,
            .to = to,
            .reason = "peer-silent",
            .reason_text = "the peer \"answers\" on no link",
            .serving = to == "FAILOVER_ACTIVE",
            .term = 7,
            .addresses = {"10.0.0.11/24", "fd00::11/64"},
            .wall = "2026-01-31T17:02:03.000000Z"};
  }
  void wait_idle() {
    EXPECT_TRUE(turn_until(*loop, [&] { return edge->is_idle(); }));
  }
  std::string file(const std::string& name) const {
    return read_all(folder.at(name), 1 << 20).value_or("");
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::vector<Told> told;
  std::unique_ptr<edge::HookEdge> edge;
};

TEST_F(HookTest, RunOneAfterTheOtherInTheOrderOfTheChanges) {
  // The first one takes longer than all others: nobody overtakes it.
  const std::string out = folder.at("out");
  open({hook("slow",
             "[ $CROSSBEAT_STATE = FAILOVER_INVOKED ] && i=0; "
             "while [ ${i:-30000} -lt 30000 ]; do i=$((i+1)); done; "
             "echo slow $CROSSBEAT_FROM $CROSSBEAT_STATE >> " +
                 out),
        hook("fast", "echo fast $CROSSBEAT_STATE >> " + out)});
  edge->on_change(change("SECONDARY_ACTIVE", "FAILOVER_INVOKED"));
  edge->on_change(change("FAILOVER_INVOKED", "FAILOVER_ACTIVE"));
  EXPECT_EQ(file("out"), "") << "nothing runs before the turn is over";
  wait_idle();
  EXPECT_EQ(file("out"),
            "slow SECONDARY_ACTIVE FAILOVER_INVOKED\nfast FAILOVER_INVOKED\n"
            "slow FAILOVER_INVOKED FAILOVER_ACTIVE\nfast FAILOVER_ACTIVE\n");
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].error, 0);
  EXPECT_EQ(told[1].hook, "fast");
  EXPECT_EQ(told[1].pairing, "10.0.0.1");
}

TEST_F(HookTest, LearnWhatHappenedFromEnvironmentAndInput) {
  open({hook("learn", "env > " + folder.at("env") + "; cat > " + folder.at("in"))});
  edge->on_change(change("SECONDARY_ACTIVE", "FAILOVER_ACTIVE"));
  wait_idle();
  for (const char* line : {"CROSSBEAT_HOOK=learn\n", "CROSSBEAT_NODE=mse2\n",
                           "CROSSBEAT_ROLE=secondary\n", "CROSSBEAT_PAIRING=10.0.0.1\n",
                           "CROSSBEAT_FROM=SECONDARY_ACTIVE\n", "CROSSBEAT_STATE=FAILOVER_ACTIVE\n",
                           "CROSSBEAT_REASON=peer-silent\n", "CROSSBEAT_SERVING=yes\n",
                           "CROSSBEAT_TERM=7\n", "CROSSBEAT_ADDRESSES=10.0.0.11/24 fd00::11/64\n",
                           "CROSSBEAT_WALL=2026-01-31T17:02:03.000000Z\n"}) {
    EXPECT_THAT(file("env"), HasSubstr(line));
  }
  const auto json = nlohmann::json::parse(file("in"), nullptr, false);
  ASSERT_TRUE(json.is_object()) << file("in");
  EXPECT_EQ(json["state"], "FAILOVER_ACTIVE");
  EXPECT_EQ(json["from"], "SECONDARY_ACTIVE");
  EXPECT_EQ(json["reason_text"], "the peer \"answers\" on no link");
  EXPECT_EQ(json["serving"], true);
  EXPECT_EQ(json["term"], 7);
  EXPECT_EQ(json["addresses"], (std::vector<std::string>{"10.0.0.11/24", "fd00::11/64"}));
}

TEST_F(HookTest, HearOnlyOfTheStatesTheyWant) {
  open({hook("some", "echo $CROSSBEAT_STATE >> " + folder.at("out"),
             {"FAILOVER_ACTIVE", "TERMINATED"})});
  for (const char* state :
       {"FAILOVER_INVOKED", "FAILOVER_ACTIVE", "FAILBACK_ACTIVE", "TERMINATED"}) {
    edge->on_change(change("x", state));
  }
  wait_idle();
  EXPECT_EQ(file("out"), "FAILOVER_ACTIVE\nTERMINATED\n");
}

TEST_F(HookTest, TheLateAndTheWrongAreSaidAndHoldUpNobody) {
  open({hook("late", "echo working; exec sleep 1000", {}, Duration::from_ms(200)),
        hook("wrong", "echo no such pager; exit 3"),
        {"gone", {"/no/such/program"}, {}, Duration::from_s(1)},
        hook("good", "exit 0")});
  edge->on_change(change("x", "TERMINATED"));
  wait_idle();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].error, ETIMEDOUT);
  EXPECT_THAT(told[0].text, HasSubstr("late"));
  EXPECT_EQ(told[1].error, EIO);
  EXPECT_THAT(told[1].text, HasSubstr("exit code 3: no such pager"));
  EXPECT_EQ(told[2].error, ENOENT);
  EXPECT_EQ(told[3].error, 0);
}

TEST_F(HookTest, AFullQueueLosesTheOldestAndSaysSo) {
  open({hook("count", "echo $CROSSBEAT_TERM >> " + folder.at("out"))});
  for (std::uint64_t i = 0; i < edge::HookEdge::kQueueMax + 3; ++i) {
    edge::StateChange one = change("x", "TERMINATED");
    one.term = i;
    edge->on_change(one);
  }
  EXPECT_EQ(edge->dropped(), 3u);
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].error, EOVERFLOW);
  edge.reset();  // at the end what waits is dropped, and nothing of it calls any more
  EXPECT_TRUE(loop->turn(Instant{}));
}

TEST_F(HookTest, MayEndTheEdgeInTheirResult) {
  auto opened = edge::HookEdge::open(
      *loop, {hook("a", "exit 0")},
      [this](const std::string&, const std::string&, int, const std::string&) { edge.reset(); });
  edge = std::move(*opened);
  edge->on_change(change("x", "TERMINATED"));
  EXPECT_TRUE(turn_until(*loop, [&] { return edge == nullptr; }));
}

}  // namespace
}  // namespace cb::test
