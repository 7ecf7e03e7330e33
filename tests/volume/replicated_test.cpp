// SPDX-License-Identifier: Apache-2.0
#include "tests/volume/fake_process.h"

namespace cb::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ReplicatedTest, ConfiguresAProcessThatRunsAlready) {
  open_running();
  const Json& config = volume::part_of(process->last("configure"), "config");
  EXPECT_EQ(volume::text_of(config, "mode"), "sync");
  EXPECT_EQ(volume::text_of(config, "front_end"), "ublk");
  EXPECT_EQ(volume::text_of(config, "cpu_latency"), "auto");
  EXPECT_EQ(volume::text_of(config, "directory"), folder.at("vol/10.0.0.1"));
  EXPECT_EQ(volume::number_of(config, "volume_bytes"), 64u << 20);
  EXPECT_EQ(volume::text_of(config, "key"), std::string(64, 'a'));
  EXPECT_EQ(volume::text_of(volume::part_of(config, "cable"), "interface"), "eth1");
  EXPECT_EQ(volume::text_of(volume::part_of(config, "network"), "peer"), "10.0.0.2");
  EXPECT_FALSE(std::filesystem::exists(folder.at("starts"))) << "it need not be started";
  EXPECT_THAT(events, ElementsAre("in-step"));
}

TEST_F(ReplicatedTest, StartsAProcessAndWaitsForItsSocket) {
  make_copy();
  open_driver();
  ASSERT_TRUE(until([&] { return std::filesystem::exists(folder.at("starts")); }));
  EXPECT_FALSE(driver->status().running);
  process->live();
  EXPECT_TRUE(until([&] { return driver->status().running; }));
}

TEST_F(ReplicatedTest, StartsItAgainWhenItDiesAndPromotesItAgain) {
  script("echo started >>" + folder.at("starts") + "\nexit 3");
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  process->die();
  ASSERT_TRUE(until([&] { return !reports.empty(); }));
  EXPECT_THAT(reports.back(), HasSubstr("the volume process ended: exit code 3"));
  EXPECT_FALSE(driver->status().running);
  process->live();
  EXPECT_TRUE(until([&] { return process->count("promote") == 2; }))
      << "its device must come back without anybody asking";
  EXPECT_THAT(answers, ElementsAre(0)) << "nobody waits for the second answer";
}

TEST_F(ReplicatedTest, TellsWhatTheKernelRefusedItsProcess) {
  process->status["memory"] = {{"io_flusher_error", EPERM}, {"lock_error", 0}};
  open_running();
  EXPECT_FALSE(driver->status().io_flusher);
  EXPECT_TRUE(driver->status().memory_locked);
}

TEST_F(ReplicatedTest, APromotionWaitsForTheProcess) {
  make_copy();
  open_driver();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return std::filesystem::exists(folder.at("starts")); }));
  EXPECT_THAT(answers, IsEmpty());
  process->live();
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_THAT(answers, ElementsAre(0));
  EXPECT_EQ(driver->status().device, "/dev/loop77");
}

TEST_F(ReplicatedTest, APromotionThatIsRefusedSaysSo) {
  open_running();
  process->promote_error = ESTALE;
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_THAT(answers, ElementsAre(ESTALE));
  EXPECT_FALSE(process->last("promote").contains("accept_loss"));
}

TEST_F(ReplicatedTest, AcceptsLossOnlyWhenTold) {
  open_running();
  driver->promote(true, note());
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_TRUE(volume::flag_of(process->last("promote"), "accept_loss"));
}

TEST_F(ReplicatedTest, APromotionThatHangsIsBegunAnew) {
  open_running();
  process->held.insert("promote");
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return process->count("promote") == 1; }));
  process->held.clear();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 2; }));
  EXPECT_EQ(process->count("demote"), 1);
  EXPECT_THAT(answers, ElementsAre(0, 0));
}

TEST_F(ReplicatedTest, HandsOverOnlyWhenTheProcessSaysSo) {
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  process->held.insert("demote");
  driver->demote(true, note());
  ASSERT_TRUE(until([&] { return process->count("demote") == 1; }));
  EXPECT_TRUE(volume::flag_of(process->last("demote"), "hand_over"));
  EXPECT_EQ(answers.size(), 1u);
  process->answer(process->id_of("demote"), ETIMEDOUT);
  ASSERT_TRUE(until([&] { return answers.size() == 2; }));
  EXPECT_EQ(answers[1], ETIMEDOUT);
}

TEST_F(ReplicatedTest, AHandOverWhoseAnswerIsLostIsNotOne) {
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  process->held.insert("demote");
  driver->demote(true, note());
  ASSERT_TRUE(until([&] { return process->count("demote") == 1; }));
  process->hang_up();
  ASSERT_TRUE(until([&] { return answers.size() == 2; }));
  EXPECT_NE(answers[1], 0);
}

TEST_F(ReplicatedTest, LettingGoOfWhatNobodyHoldsSucceeds) {
  open_driver();  // no copy, no process
  driver->demote(false, note());
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_THAT(answers, ElementsAre(0));
  EXPECT_THAT(driver->status().text, HasSubstr("crossbeat volume create"));
}

TEST_F(ReplicatedTest, LettingGoAtStartReachesAProcessOfAnEarlierLife) {
  make_copy();
  process->live();
  process->status["serving"] = true;
  open_driver();
  driver->demote(false, note());
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_EQ(process->count("demote"), 1);
}

TEST_F(ReplicatedTest, ASecondaryMakesItsCopyItself) {
  options.node = 1;
  script("echo \"$@\" >>" + folder.at("starts") +
         "\n[ \"$1\" != create ] || exit 0\nexec sleep 1000");
  open_driver();
  ASSERT_TRUE(until([&] { return std::filesystem::exists(folder.at("vol/10.0.0.1/volume.id")); }));
  std::string words;
  std::getline(std::ifstream(folder.at("starts")), words);
  EXPECT_EQ(words, "create --directory " + folder.at("vol/10.0.0.1.new") +
                       " --size 67108864 --log 16777216 --node 1 --instance-id " +
                       to_hex(kVolumeId));
}

TEST_F(ReplicatedTest, ASecondarysCopyLiesOnTheDevicesThatItsNodeNames) {
  options.node = 1;
  options.log_device = "/dev/of-the-log";
  options.home_device = "/dev/of-the-image";
  script("echo \"$@\" >>" + folder.at("starts") +
         "\n[ \"$1\" != create ] || exit 0\nexec sleep 1000");
  open_driver();
  ASSERT_TRUE(until([&] { return std::filesystem::exists(folder.at("vol/10.0.0.1/volume.id")); }));
  std::string words;
  std::getline(std::ifstream(folder.at("starts")), words);
  EXPECT_THAT(words, HasSubstr(" --log-device /dev/of-the-log --home-device /dev/of-the-image"));
}

TEST_F(ReplicatedTest, ACopyOfAnotherVolumeIsLeftAlone) {
  options.node = 1;
  options.id = config::VolumeId{1};
  make_copy();
  open_driver();
  ASSERT_TRUE(until([&] { return !reports.empty(); }));
  EXPECT_THAT(reports[0], HasSubstr("is of another volume (abcd"));
  EXPECT_FALSE(std::filesystem::exists(folder.at("starts")));
}

TEST_F(ReplicatedTest, TellsPeopleWhatItWaitsFor) {
  open_running();
  process->say(Json{{"event", "stalled"}, {"stall", "ring-full"}, {"text", "the peer is slow"}});
  process->say(Json{{"event", "stalled"}, {"stall", "none"}, {"text", ""}});
  ASSERT_TRUE(until([&] { return reports.size() == 2; }));
  EXPECT_THAT(reports, ElementsAre("the volume waits: the peer is slow", "the volume goes on"));
}

TEST_F(ReplicatedTest, AsksForAComparisonAndTellsWhatItFound) {
  open_running();
  driver->verify(true, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  EXPECT_TRUE(volume::flag_of(process->last("verify"), "on"));
  driver->verify(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 2; }));
  EXPECT_FALSE(volume::flag_of(process->last("verify"), "on"));
  EXPECT_THAT(answers, ElementsAre(0, 0));
  process->held.insert("verify");
  driver->verify(true, note());
  ASSERT_TRUE(until([&] { return process->count("verify") == 3; }));
  process->answer(process->id_of("verify"), EROFS);
  ASSERT_TRUE(until([&] { return answers.size() == 3; }));
  EXPECT_EQ(answers.back(), EROFS);
  process->say(Json{{"event", "differs"}, {"text", "2 blocks"}});
  process->say(Json{{"event", "verified"}, {"text", "both images are the same"}});
  ASSERT_TRUE(until([&] { return reports.size() == 2; }));
  EXPECT_THAT(reports, ElementsAre("ALARM: 2 blocks", "compared: both images are the same"));
}

TEST_F(ReplicatedTest, AsksForAResizeAndGoesByTheLengthThatTheCopyHas) {
  std::vector<std::uint64_t> grown;
  told_grown = [&](std::uint64_t bytes) { grown.push_back(bytes); };
  open_running();
  std::vector<std::string> said;
  const auto done = [&](int error, const std::string& text) {
    said.push_back(std::to_string(error) + " " + text);
  };
  driver->resize(128u << 20, true, done);
  ASSERT_TRUE(until([&] { return said.size() == 1; }));
  EXPECT_EQ(volume::number_of(process->last("resize"), "bytes"), 128u << 20);
  EXPECT_TRUE(volume::flag_of(process->last("resize"), "dry_run"));
  process->held.insert("resize");
  driver->resize(1, false, done);
  ASSERT_TRUE(until([&] { return process->count("resize") == 2; }));
  process->answer(process->id_of("resize"), EINVAL, Json{{"text", "only longer"}});
  ASSERT_TRUE(until([&] { return said.size() == 2; }));
  EXPECT_THAT(said, ElementsAre("0 ", "22 only longer"));
  process->status["volume_bytes"] = 128u << 20;
  process->say(Json{{"event", "resized"}, {"error", 0}, {"bytes", 128u << 20}, {"text", "done"}});
  ASSERT_TRUE(until([&] { return !grown.empty(); }));
  EXPECT_THAT(grown, ElementsAre(128u << 20));
  EXPECT_THAT(reports, ElementsAre("resized: done"));
  EXPECT_EQ(driver->status().bytes, 128u << 20);
  // Whoever asks next is told the size that it has.
  process->hang_up();
  ASSERT_TRUE(until([&] { return process->count("configure") == 2; }));
  EXPECT_EQ(
      volume::number_of(volume::part_of(process->last("configure"), "config"), "volume_bytes"),
      128u << 20);
}

TEST_F(ReplicatedTest, PassesADiskFailureAndALostRightOn) {
  open_running();
  process->say(Json{{"event", "disk-failed"}, {"error", EIO}, {"text", "sync"}});
  process->say(Json{{"event", "deposed"}});
  ASSERT_TRUE(until([&] { return events.size() == 3; }));
  EXPECT_THAT(events, ElementsAre("in-step", "failed " + std::to_string(EIO),
                                  "failed " + std::to_string(ESTALE)));
}

TEST_F(ReplicatedTest, NonsenseFromTheProcessChangesNothing) {
  open_running();
  for (const char* text : {"", "{", "[]", "7", "{\"id\":\"x\"}", "{\"event\":7}",
                           "{\"register\":\"swap\",\"number\":1,\"expected\":7}",
                           "{\"id\":18446744073709551615,\"error\":-1}"}) {
    if (*text != 0) {
      process->say_raw(text);
    }
  }
  process->status["standing"] = "wonderful";
  process->say(Json{{"event", "in-step"}});
  ASSERT_TRUE(until([&] {
    return driver->status().text == "the status of the volume process is not understood";
  }));
  EXPECT_EQ(driver->status().standing, "together");
  ASSERT_TRUE(until([&] { return !process->registered.empty(); }));
  EXPECT_EQ(volume::number_of(process->registered[0], "error"), std::uint64_t{EINVAL});
  EXPECT_THAT(swaps, IsEmpty());
}

TEST_F(ReplicatedTest, EndsAProcessThatDoesNotWriteAndKeepsOneThatDoes) {
  open_running();
  driver->end();
  EXPECT_TRUE(until([&] { return process->count("end") == 1; }));
}

TEST_F(ReplicatedTest, LeavesAWritingProcessAlone) {
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  driver->end();
  driver->history([&](int, const std::string&) { answers.push_back(7); });
  ASSERT_TRUE(until([&] { return answers.size() == 2; }));
  EXPECT_EQ(process->count("end"), 0);
}

TEST_F(ReplicatedTest, ShowsTheHistoriesAsTheyAreTold) {
  open_running();
  std::string json;
  driver->history([&](int error, const std::string& text) {
    answers.push_back(error);
    json = text;
  });
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_EQ(json, R"({"own":[],"peer":null})");
}

}  // namespace
}  // namespace cb::test
