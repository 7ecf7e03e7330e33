// SPDX-License-Identifier: Apache-2.0
//
// When a standby counts as in step, and when the right to be alone is asked for.
#include "tests/volume/fake_process.h"

namespace cb::test {
namespace {

using testing::ElementsAre;

Json writer_in(std::uint64_t epoch) {
  return Json{{"heard", true},
              {"serving", true},
              {"standing", "together"},
              {"epoch", epoch},
              {"end", 4096}};
}

TEST_F(ReplicatedTest, AFollowerIsNotInStepBeforeTheWriterWasHeard) {
  open_running();
  ASSERT_THAT(events, ElementsAre("in-step"));
  driver->resync(volume::Resync::Follow, note());
  const int looks = process->count("status");
  ASSERT_TRUE(until([&] { return process->count("status") >= looks + 3; }));
  EXPECT_THAT(events, ElementsAre("in-step")) << "its record says so, but who knows";
  EXPECT_FALSE(driver->status().in_step);
  process->status["peer"] = writer_in(8);
  process->status["standing"] = "catching-up";
  process->status["in_step"] = false;
  process->say(Json{{"event", "fell-behind"}});
  ASSERT_TRUE(until([&] { return driver->status().standing == "catching-up"; }));
  process->status["standing"] = "together";
  process->status["in_step"] = true;
  process->status["epoch"] = 8;
  process->say(Json{{"event", "in-step"}});
  ASSERT_TRUE(until([&] { return events.size() == 2; }));
  EXPECT_THAT(events, ElementsAre("in-step", "in-step"));
}

TEST_F(ReplicatedTest, AFollowerInAnotherEpochThanTheWriterIsNotInStep) {
  open_running();
  process->status["peer"] = writer_in(8);
  driver->resync(volume::Resync::Follow, note());
  const int looks = process->count("status");
  ASSERT_TRUE(until([&] { return process->count("status") >= looks + 3; }));
  EXPECT_EQ(events.size(), 1u);
  process->status["epoch"] = 8;
  EXPECT_TRUE(until([&] { return events.size() == 2; }));
}

TEST_F(ReplicatedTest, SaysHowFarBackAResyncBegins) {
  open_running();
  const auto flag = [&](const char* name) { return process->last("resync").value(name, false); };
  driver->resync(volume::Resync::Anew, note());
  ASSERT_TRUE(until([&] { return process->count("resync") == 1 && flag("anew"); }));
  EXPECT_FALSE(flag("full"));
  driver->resync(volume::Resync::Full, note());
  ASSERT_TRUE(until([&] { return process->count("resync") == 2; }));
  EXPECT_TRUE(flag("full"));
  EXPECT_FALSE(flag("anew"));
  driver->resync(volume::Resync::Follow, note());
  ASSERT_TRUE(until([&] { return process->count("resync") == 3; }));
  EXPECT_FALSE(flag("full") || flag("anew"));
}

// In step with a writer that was heard.
class FollowerTest : public ReplicatedTest {
 protected:
  void follow() {
    options.stream_may_break = Duration::from_ms(50);
    options.peer_is_there = [this] { return peer_there; };
    process->status["peer"] = writer_in(6);
    open_running();
    driver->resync(volume::Resync::Follow, note());
    EXPECT_TRUE(until([&] { return events.size() == 2; }));
  }
  void wait_for_looks(int count) {
    const int looks = process->count("status");
    EXPECT_TRUE(until([&] { return process->count("status") >= looks + count; }));
  }
  bool peer_there = false;
};

TEST_F(FollowerTest, StaysInStepWhenTheWriterIsNoLongerHeard) {
  follow();
  process->status["peer"] = nullptr;
  wait_for_looks(2);
  EXPECT_THAT(events, ElementsAre("in-step", "in-step")) << "so does a dying writer look";
  EXPECT_TRUE(driver->status().in_step);
}

TEST_F(FollowerTest, FallsBehindWhenOnlyTheStreamIsBroken) {
  follow();
  peer_there = true;
  process->status["peer"] = nullptr;
  EXPECT_TRUE(until([&] { return events.size() == 3; }));
  EXPECT_EQ(events[2], "fell-behind");
  process->status["peer"] = writer_in(8);
  wait_for_looks(2);
  EXPECT_EQ(events.size(), 3u) << "it has gone on alone";
  process->status["epoch"] = 8;
  EXPECT_TRUE(until([&] { return events.size() == 4; }));
}

TEST_F(ReplicatedTest, AFollowerWithoutItsProcessHasFallenBehind) {
  open_running();
  process->hang_up();
  ASSERT_TRUE(until([&] { return events.size() == 2; }));
  EXPECT_THAT(events, ElementsAre("in-step", "fell-behind"));
  EXPECT_TRUE(until([&] { return events.size() == 3; }));
  EXPECT_EQ(events[2], "in-step") << "connected again";
}

TEST_F(ReplicatedTest, TheWriterIsToldOfItsStandby) {
  process->status["in_step"] = false;
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  events.clear();
  process->status["in_step"] = true;
  process->say(Json{{"event", "in-step"}});
  ASSERT_TRUE(until([&] { return !events.empty(); }));
  EXPECT_THAT(events, ElementsAre("in-step"));
}

TEST_F(ReplicatedTest, PassesProgressOn) {
  open_running();
  process->say(Json{{"event", "progress"}, {"permille", 250}, {"bytes_left", 3072}, {"rate", 99}});
  ASSERT_TRUE(until([&] { return events.size() == 2; }));
  EXPECT_EQ(events[1], "progress 250");
  EXPECT_EQ(driver->status().bytes_left, 3072u);
  EXPECT_EQ(driver->status().rate, 99u);
}

TEST_F(ReplicatedTest, AsksToBeAloneWhenItMayAndWrites) {
  open_running();
  driver->allow_alone(true);
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  EXPECT_EQ(process->count("go-alone"), 1);
  driver->allow_alone(false);
  driver->allow_alone(true);
  EXPECT_TRUE(until([&] { return process->count("go-alone") == 2; }));
}

TEST_F(ReplicatedTest, DoesNotAskToBeAloneUnlessItMay) {
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  process->say(Json{{"event", "stalled"}, {"stall", "no-peer"}, {"text", "no peer"}});
  ASSERT_TRUE(until([&] { return !reports.empty(); }));
  const int looks = process->count("status");
  ASSERT_TRUE(until([&] { return process->count("status") > looks; }));
  EXPECT_EQ(process->count("go-alone"), 0);
}

TEST_F(ReplicatedTest, AsksAgainWhenItStallsWithTheRightInHand) {
  open_running();
  driver->allow_alone(true);
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return process->count("go-alone") == 1; }));
  process->say(Json{{"event", "stalled"}, {"stall", "no-peer"}, {"text", "no peer"}});
  EXPECT_TRUE(until([&] { return process->count("go-alone") == 2; }))
      << "the gate was closed for a peer that went again";
}

TEST_F(ReplicatedTest, AsksAgainAfterTheProcessWasReplaced) {
  open_running();
  driver->allow_alone(true);
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return process->count("go-alone") == 1; }));
  process->hang_up();
  EXPECT_TRUE(until([&] { return process->count("go-alone") == 2; }));
  EXPECT_EQ(process->count("promote"), 2);
}

}  // namespace
}  // namespace cb::test
