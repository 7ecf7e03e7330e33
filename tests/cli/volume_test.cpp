// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "cli/volume_text.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Json volume(const Json& patch = Json::object()) {
  Json json{{"mode", "sync"},
            {"size_bytes", 10ll << 30},
            {"log_bytes", 256 << 20},
            {"running", true},
            {"serving", true},
            {"alone", false},
            {"in_step", true},
            {"eligible", true},
            {"standing", "together"},
            {"position", 8192},
            {"committed", 8192},
            {"peer_synced", 8192},
            {"epoch", 4},
            {"unsynced_bytes", 0},
            {"sync",
             {{"kind", "none"},
              {"permille", 1000},
              {"bytes_done", 0},
              {"bytes_left", 0},
              {"bytes_per_s", 0},
              {"seconds_left", nullptr}}},
            {"stall", "none"},
            {"stall_text", ""},
            {"device", "/dev/loop3"},
            {"mount", "/srv/data"},
            {"mounted", true},
            {"text", "together"},
            {"detail", nullptr}};
  json.merge_patch(patch);
  return json;
}

Ran run_with(const Json& described, const std::vector<std::string>& arguments) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status({{"volume", described}})});
  monitor.listen();
  return run_cli(monitor.root(), arguments);
}

TEST(Volume, StatusTellsHowTheCopiesStand) {
  const Ran ran = run_with(volume(), {"volume", "status"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr(": in step\n"));
  EXPECT_THAT(ran.out, HasSubstr("10.0 GiB, log 256 MiB, mode sync\n"));
  EXPECT_THAT(ran.out, HasSubstr("/srv/data, mounted\n"));
}

TEST(Volume, ProgressIsInBytesAndPercentWithRateAndTimeLeft) {
  const Json catching_up = volume({{"in_step", false},
                                   {"sync",
                                    {{"kind", "copy"},
                                     {"permille", 420},
                                     {"bytes_left", 3ll << 30},
                                     {"bytes_per_s", 200 << 20},
                                     {"seconds_left", 15}}}});
  const std::string line = "copying: 42.0 %, 3.0 GiB left, 200 MiB/s, about 15 s";
  EXPECT_THAT(run_with(catching_up, {"status"}).out, HasSubstr(line));
  EXPECT_THAT(run_with(catching_up, {"gethainfo"}).out, HasSubstr("Data synchronization: " + line));
}

TEST(Volume, StatusTellsThatWritesCanDeadlockAndWhatToDo) {
  const Json refused = volume({{"memory", {{"io_flusher", false}, {"locked", true}}}});
  const Ran ran = run_with(refused, {"status"});
  EXPECT_THAT(ran.out, HasSubstr("What to do:\n"));
  EXPECT_THAT(ran.out, HasSubstr("Writes can deadlock when memory is short"));
  EXPECT_THAT(ran.out, HasSubstr("by its systemd unit, which grants CAP_SYS_RESOURCE"));
  EXPECT_THAT(ran.out, HasSubstr("systemctl restart crossbeat"));
  EXPECT_THAT(run_with(refused, {"volume", "status"}).out, HasSubstr("memory         writes can"));
  const Json granted = volume({{"memory", {{"io_flusher", true}, {"locked", true}}}});
  EXPECT_THAT(run_with(granted, {"status"}).out, Not(HasSubstr("memory")));
}

TEST(Volume, StatusTellsHowItIsWritten) {
  const auto told = [](bool write_cache, const Json& limit_us, int error) {
    const Json detail = {{"front_end", {{"write_cache", write_cache}}},
                         {"cpu_latency", {{"limit_us", limit_us}, {"error", error}}}};
    return run_with(volume({{"detail", detail}}), {"volume", "status"}).out;
  };
  const std::string usual = told(false, 2, 0);
  EXPECT_THAT(usual, HasSubstr("writes         answered when they are durable"));
  EXPECT_THAT(usual, HasSubstr("processors     kept awake while it is written (2 us)"));
  EXPECT_THAT(told(true, 0, 0), HasSubstr("answered before they are durable"));
  EXPECT_THAT(told(false, 0, 13), HasSubstr("processors     sleep as they like between writes"));
  EXPECT_THAT(told(false, nullptr, 0), Not(HasSubstr("processors")));
  EXPECT_THAT(run_with(volume({}), {"volume", "status"}).out, Not(HasSubstr("writes   ")));
}

TEST(Volume, AFailedDiskIsToldWithWhenItIsTriedAgain) {
  const Json failed = volume({{"running", false},
                              {"serving", false},
                              {"text", "the disk failed: disk: Input/output error"},
                              {"failure", {{"error", 5}, {"tries", 1}, {"again_in_ms", 8000}}}});
  const std::string line =
      "FAILED: the disk failed: disk: Input/output error; tried again once, next in 8.0 s";
  const Ran ran = run_with(failed, {"status"});
  EXPECT_THAT(ran.out, HasSubstr(line));
  EXPECT_THAT(ran.out, HasSubstr("What to do about it: crossbeat doctor"));
  EXPECT_THAT(run_with(failed, {"gethainfo"}).out, HasSubstr("Data synchronization: " + line));
}

TEST(Volume, WhoServesDoesNotCallAFailedStandbyCatchingUp) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status({{"sub_state", "Synchronizing"},
                                             {"peer_sub_state", "not-ready"},
                                             {"volume", volume({{"in_step", false}})}})});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"status"});
  EXPECT_THAT(ran.out, HasSubstr("SERVING, NOT PROTECTED"));
  EXPECT_THAT(ran.out, HasSubstr("crossbeat status\n"));
}

TEST(Volume, AStallSaysWhy) {
  EXPECT_THAT(
      run_with(volume({{"stall", "no-peer"}, {"stall_text", "the peer is not heard"}}), {"status"})
          .out,
      HasSubstr("in step; STALLED: the peer is not heard"));
}

TEST(Volume, OneThatIsWrittenAloneAndOneThatDoesNotRunSaySo) {
  EXPECT_THAT(run_with(volume({{"alone", true}}), {"status"}).out, HasSubstr("written here ALONE"));
  EXPECT_THAT(
      run_with(volume({{"running", false}, {"text", "it ended: exit code 3"}}), {"status"}).out,
      HasSubstr("NOT RUNNING: it ended: exit code 3"));
}

TEST(Volume, WithoutOneNothingIsSaidOfIt) {
  const Ran ran = run_with(nullptr, {"volume", "status"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("no instance of this node has a volume"));
  EXPECT_THAT(run_with(nullptr, {"gethainfo"}).out, Not(HasSubstr("synchronization")));
}

Json epoch(int number, const std::string& generation, int start, int writer) {
  return Json{{"number", number},
              {"generation", generation},
              {"start", start},
              {"digest", "00"},
              {"writer", writer}};
}

Json history(const Json& own, const Json& peer) {
  return Json{{"ok", true}, {"history", {{"own", own}, {"peer", peer}}}};
}

Ran diff_of(const Json& own, const Json& peer) {
  FakeMonitor monitor;
  monitor.answers("volume", {history(own, peer)});
  monitor.listen();
  return run_cli(monitor.root(), {"volume", "diff"});
}

TEST(VolumeDiff, OfOneHistorySaysSo) {
  const Json same = Json::array({epoch(2, "aa", 0, 0), epoch(4, "bb", 4096, 0)});
  const Ran ran = diff_of(same, same);
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "Both copies have one history; the last epoch is 4.\n");
}

TEST(VolumeDiff, OfASplitSaysWhereAndIsAProblem) {
  const Ran ran = diff_of(Json::array({epoch(2, "aa", 0, 0), epoch(4, "bb", 8192, 0)}),
                          Json::array({epoch(2, "aa", 0, 0), epoch(5, "cc", 4096, 1)}));
  EXPECT_EQ(ran.code, 9);
  EXPECT_THAT(ran.out, HasSubstr("One history up to epoch 2, position 4096.\n"));
  EXPECT_THAT(ran.out, HasSubstr("Only here: epoch 4.\nOnly on the peer: epoch 5.\nSPLIT"));
}

TEST(VolumeDiff, OfAFollowerIsNoSplit) {
  const Ran ran = diff_of(Json::array({epoch(2, "aa", 0, 0)}),
                          Json::array({epoch(2, "aa", 0, 0), epoch(5, "cc", 4096, 1)}));
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("Not a split"));
}

TEST(VolumeDiff, OfAnUnheardPeerSaysNothing) {
  const Ran ran = diff_of(Json::array({epoch(2, "aa", 0, 0)}), nullptr);
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("nothing can be compared"));
}

TEST(VolumeHistory, ListsTheEpochsOfBoth) {
  FakeMonitor monitor;
  monitor.answers("volume", {history(Json::array({epoch(2, "aabbccddee", 0, 0)}), nullptr)});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"volume", "history"});
  EXPECT_THAT(ran.out, HasSubstr("epoch 2  from position 0  written by the primary  aabbccdd\n"));
  EXPECT_THAT(ran.out, HasSubstr("was not heard"));
  EXPECT_EQ(text_at(monitor.requests()[0], "action"), "history");
}

Json compared(const Json& patch) {
  Json verify{{"running", false},        {"result", "none"},      {"text", ""},
              {"bytes", 1 << 30},        {"bytes_done", 1 << 30}, {"permille", 1000},
              {"differing", 0},          {"unreadable_here", 0},  {"unreadable_there", 0},
              {"blocks", Json::array()}, {"seconds_ago", 0}};
  verify.merge_patch(patch);
  return primary_status({{"volume", volume({{"detail", {{"verify", verify}}}})}});
}

Ran verify_that(const std::vector<Json>& statuses, std::vector<std::string> options = {}) {
  FakeMonitor monitor;
  monitor.story(statuses.front(), {statuses.begin() + 1, statuses.end()});
  monitor.answers("volume", {Json{{"ok", true}}});
  monitor.listen();
  std::vector<std::string> arguments = {"volume", "verify"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Ran ran = run_cli(monitor.root(), arguments);
  EXPECT_EQ(text_at(monitor.requests().back(), "action"), "verify");
  return ran;
}

TEST(VolumeVerify, WaitsForTheResultAndSaysThatBothAreTheSame) {
  const Ran ran =
      verify_that({compared({}), compared({{"running", true}, {"bytes_done", 0}, {"permille", 0}}),
                   compared({{"result", "same"}, {"text", "both images are the same"}})});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("The same on both nodes: 1.0 GiB were read on each"));
}

TEST(VolumeVerify, ExitsWithOneWhenABlockDiffersAndSaysWhatToDo) {
  const Json found = compared({{"result", "different"},
                               {"differing", 2},
                               {"blocks", {7, 9}},
                               {"text", "the two images differ in 2 blocks"}});
  const Ran ran = verify_that({compared({}), found});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("DIFFERENT: the two images differ in 2 blocks.\n"));
  EXPECT_THAT(ran.out, HasSubstr("crossbeat resync --full"));
  const Ran json = verify_that({compared({}), found}, {"--json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(whole_at(at(Json::parse(json.out), "verify"), "differing"), 2);
}

TEST(VolumeVerify, ThatCameToNoResultIsNoSuccess) {
  EXPECT_EQ(verify_that({compared({}), compared({{"result", "incomplete"}, {"text", "why"}})}).code,
            5);
  const Ran gone = verify_that({compared({}), compared({})});
  EXPECT_EQ(gone.code, 5);
  EXPECT_THAT(gone.err, HasSubstr("nothing was compared"));
}

TEST(VolumeVerify, IsEndedAndBegunWithoutWaiting) {
  FakeMonitor monitor;
  monitor.answers("status", {compared({})});
  monitor.answers("volume", {Json{{"ok", true}}});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "verify", "--stop"}).code, 0);
  EXPECT_EQ(text_at(monitor.requests().back(), "action"), "end-verify");
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "verify", "--no-wait"}).code, 0);
  EXPECT_EQ(text_at(monitor.requests().back(), "action"), "verify");
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "verify", "--stop", "--offline"}).code, 2);
  EXPECT_THAT(
      run_with(volume({{"detail", {{"verify", {{"text", "2 blocks"}}}}}}), {"volume", "status"})
          .out,
      HasSubstr("compared       2 blocks\n"));
}

Json resized(const Json& resize) {
  return primary_status(
      {{"volume", volume({{"device", "/dev/no-such"}, {"detail", {{"resize", resize}}}})}});
}

constexpr std::uint64_t kTwentyGiB = 20ull << 30;

TEST(VolumeResize, WaitsForBothCopiesAndBringsTheConfigurationAfter) {
  FakeMonitor monitor;
  monitor.write(
      "etc/crossbeat/crossbeat.toml",
      "[network]\nsize = \"1GiB\"\n[volume]\nmode = \"sync\"\nsize = \"10GiB\"  # as bought\n");
  monitor.story(resized({{"bytes", kTwentyGiB}, {"running", true}}),
                {resized({{"bytes", kTwentyGiB}, {"running", true}}),
                 resized({{"bytes", kTwentyGiB}, {"running", false}, {"error", 0}})});
  monitor.answers("volume", {Json{{"ok", true}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"volume", "resize", "--size", "20GiB"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("20GiB on both nodes"));
  EXPECT_THAT(ran.out, Not(HasSubstr("Write size")));
  EXPECT_EQ(whole_at(monitor.requests().back(), "bytes"), std::int64_t{20} << 30);
  std::ifstream file(monitor.path("etc/crossbeat/crossbeat.toml"));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(
      text,
      "[network]\nsize = \"1GiB\"\n[volume]\nmode = \"sync\"\nsize = \"20GiB\"  # as bought\n");
}

TEST(VolumeResize, SaysWhatIsLeftToDoAndWhyItWasNotDone) {
  FakeMonitor monitor;
  monitor.story(resized(nullptr), {resized({{"bytes", kTwentyGiB}, {"running", false}})});
  monitor.answers("volume", {Json{{"ok", true}}});
  monitor.listen();
  const Ran without = run_cli(monitor.root(), {"volume", "resize", "--size", "20GiB"});
  EXPECT_EQ(without.code, 0) << without.err;
  EXPECT_THAT(without.out, HasSubstr("Write size = \"20GiB\" into [volume]"));
  monitor.story(resized(nullptr), {resized({{"bytes", kTwentyGiB},
                                            {"running", false},
                                            {"error", 28},
                                            {"text", "there is not enough room on the peer"}})});
  const Ran failed = run_cli(monitor.root(), {"volume", "resize", "--size", "20GiB"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("not enough room on the peer"));
  monitor.story(resized(nullptr), {resized({{"bytes", 0}, {"running", false}})});
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "resize", "--size", "20GiB"}).code, 1)
      << "its process was started anew";
  const Ran dry = run_cli(monitor.root(), {"volume", "resize", "--size", "20GiB", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("Nothing was done.\n"));
  EXPECT_TRUE(flag_at(monitor.requests().back(), "dry_run"));
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "resize", "--size", "20 gigs"}).code, 2);
  EXPECT_EQ(run_cli(monitor.root(), {"volume", "resize"}).code, 2);
}

TEST(Resync, AsksForWhatIsWanted) {
  FakeMonitor monitor;
  monitor.answers("resync", {Json{{"ok", true}, {"full", true}, {"would", {"take all"}}}});
  monitor.answers("volume", {Json{{"ok", true}}});
  monitor.listen();
  EXPECT_EQ(run_cli(monitor.root(), {"resync", "--victim", "--force"}).code, 0);
  EXPECT_TRUE(flag_at(monitor.requests().back(), "full"));
  EXPECT_TRUE(flag_at(monitor.requests().back(), "force"));
  const Ran dry = run_cli(monitor.root(), {"resync", "--full", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("  take all\nNothing was done.\n"));
  EXPECT_EQ(run_cli(monitor.root(), {"resync", "--pause"}).code, 0);
  EXPECT_EQ(text_at(monitor.requests().back(), "action"), "pause");
  EXPECT_EQ(run_cli(monitor.root(), {"resync", "--continue"}).code, 0);
  EXPECT_EQ(text_at(monitor.requests().back(), "action"), "continue");
  EXPECT_EQ(run_cli(monitor.root(), {"resync", "--pause", "--full"}).code, 2);
}

TEST(FailoverWithLoss, NamesTheLossBeforeAnythingIsDone) {
  FakeMonitor monitor;
  monitor.answers("status", {secondary_status()});
  monitor.answers("failover",
                  {Json{{"ok", true},
                        {"would", {"claim-term"}},
                        {"then", "FAILOVER_ACTIVE"},
                        {"loss", {{"text", "everything written after position 4096"}}}}});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"failover", "--accept-loss", "--dry-run"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("It would lose everything written after position 4096.\n"));
  EXPECT_TRUE(flag_at(monitor.requests().back(), "accept_loss"));
}

TEST(VolumeCreate, NeedsAConfigurationThatDescribesIt) {
  FakeMonitor monitor;
  const Ran ran = run_cli(monitor.root(), {"volume", "create"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("crossbeat config check"));
}

}  // namespace
}  // namespace cb::cli::test
