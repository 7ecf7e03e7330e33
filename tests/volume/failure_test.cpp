// SPDX-License-Identifier: Apache-2.0
//
// A copy whose disk failed: what is told, when another process is tried, and when it is not.
#include <algorithm>

#include "tests/volume/fake_process.h"

namespace cb::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class FailureTest : public ReplicatedTest {
 protected:
  FailureTest() {
    options.failed_stays = Duration::from_ms(10);
    options.recover_after = Duration::from_ms(40);
  }
  void fail_disk(int error = EIO) {
    process->status["stall"] = "disk-failed";
    process->status["in_step"] = false;
    process->status["eligible"] = false;
    process->status["disk"] = {{"error", error}, {"full", error == ENOSPC}};
    process->say(Json{{"event", "disk-failed"}, {"error", error}, {"text", strerror(error)}});
  }
  void mend_disk() {
    process->status["stall"] = "none";
    process->status["in_step"] = true;
    process->status["eligible"] = true;
    process->status["disk"] = {{"error", 0}, {"full", false}};
  }
  void heard(std::uint64_t epoch) {
    process->status["peer"] = {{"heard", true}, {"serving", true}, {"epoch", epoch}};
  }
  void count_starts() { script("echo started >>" + folder.at("starts") + "\nexit 0"); }
  int starts() const {
    std::ifstream file(folder.at("starts"));
    int lines = 0;
    for (std::string line; std::getline(file, line);) {
      lines += line == "started" ? 1 : 0;
    }
    return lines;
  }
  // Ends it as it was asked to, and waits for the next one to be started.
  bool ends_and_is_started_again() {
    const int before = starts();
    if (!until([&] { return process->count("end") > ends_; })) {
      return false;
    }
    ends_ = process->count("end");
    process->die();
    return until([&] { return starts() > before; });
  }
  // Nobody but the test makes it begin again.
  bool fails_and_ends_for_an_hour() {
    options.recover_after = Duration::from_s(3600);
    count_starts();
    open_running();
    fail_disk();
    if (!until([&] { return process->count("end") == 1; })) {
      return false;
    }
    process->die();
    return until([&] { return !driver->status().running; });
  }
  int ends_ = 0;
};

TEST_F(FailureTest, OfAStandbyIsToldAndAnotherProcessReadsTheLogAnew) {
  open_running();
  driver->resync(volume::Resync::Follow, note());
  heard(6);
  ASSERT_TRUE(until([&] { return driver->status().in_step; }));
  fail_disk();
  ASSERT_TRUE(until([&] { return driver->status().failure.has_value(); }));
  EXPECT_EQ(driver->status().failure->error, EIO);
  EXPECT_FALSE(driver->status().failure->again_at.is_never());
  EXPECT_THAT(driver->status().text, HasSubstr("the disk failed: Input/output error"));
  EXPECT_THAT(events, Contains("failed 5"));
  EXPECT_THAT(reports, Contains(HasSubstr("the disk failed")));
  ASSERT_TRUE(ends_and_is_started_again());
  EXPECT_FALSE(driver->status().running);
  EXPECT_FALSE(driver->status().in_step);
  EXPECT_THAT(driver->status().text, HasSubstr("the disk failed")) << "that is why it does not run";
  mend_disk();
  process->live();
  ASSERT_TRUE(until([&] { return driver->status().in_step; }));
  EXPECT_FALSE(driver->status().failure.has_value());
  EXPECT_EQ(events.back(), "in-step");
  EXPECT_THAT(reports.back(), HasSubstr("the log was read anew"));
}

TEST_F(FailureTest, IsTriedEverMoreRarely) {
  count_starts();
  open_running();
  Duration before;
  for (unsigned tries = 0; tries < 4; ++tries) {
    const Instant at = boottime_now();
    fail_disk();
    ASSERT_TRUE(until([&] { return driver->status().failure.has_value(); }));
    EXPECT_EQ(driver->status().failure->tries, tries);
    const Duration wait = driver->status().failure->again_at - at;
    EXPECT_GE(wait, Duration::from_ms(40) * (1 << tries));
    EXPECT_GT(wait, before);
    before = Duration::from_ms(40) * (1 << tries);
    ASSERT_TRUE(ends_and_is_started_again());
    mend_disk();
    process->live();
    ASSERT_TRUE(until([&] { return driver->status().running && !driver->status().failure; }));
  }
}

TEST_F(FailureTest, OfAWriterEndsNothingBeforeItWasDemoted) {
  count_starts();
  open_running();
  driver->promote(false, note());
  ASSERT_TRUE(until([&] { return answers.size() == 1; }));
  fail_disk();
  ASSERT_TRUE(until([&] { return driver->status().failure.has_value(); }));
  EXPECT_TRUE(driver->status().failure->again_at.is_never()) << "somebody has its device in use";
  const int looks = process->count("status");
  ASSERT_TRUE(until([&] { return process->count("status") >= looks + 2; }));
  EXPECT_EQ(process->count("end"), 0);
  driver->demote(false, note());
  EXPECT_TRUE(ends_and_is_started_again());
  EXPECT_EQ(std::count(events.begin(), events.end(), "failed 5"), 2) << "and it is still failed";
  // Its record is the old one: whoever went on has not been heard.
  mend_disk();
  process->live();
  ASSERT_TRUE(until([&] { return driver->status().running && !driver->status().failure; }));
  const int more = process->count("status");
  ASSERT_TRUE(until([&] { return process->count("status") >= more + 3; }));
  EXPECT_FALSE(driver->status().in_step);
  heard(6);
  EXPECT_TRUE(until([&] { return driver->status().in_step; }));
}

TEST_F(FailureTest, OfOpeningIsTriedAgain) {
  count_starts();
  make_copy();
  process->configure_error = EIO;
  process->live();
  open_driver();
  ASSERT_TRUE(until([&] { return driver->status().failure.has_value(); }));
  EXPECT_THAT(driver->status().text, HasSubstr("cannot be opened: open home: it cannot be read"));
  EXPECT_THAT(events, ElementsAre("failed 5"));
  ASSERT_TRUE(ends_and_is_started_again());
  process->live();
  ASSERT_TRUE(ends_and_is_started_again()) << "and again";
  process->configure_error = 0;
  process->live();
  EXPECT_TRUE(until([&] { return driver->status().running && !driver->status().failure; }));
  EXPECT_EQ(driver->status().text, "together");
}

TEST_F(FailureTest, APromotionDoesNotWaitForTheNextTry) {
  ASSERT_TRUE(fails_and_ends_for_an_hour());
  driver->promote(true, note());
  ASSERT_TRUE(until([&] { return starts() == 1; }));
  mend_disk();
  process->live();
  ASSERT_TRUE(until([&] { return !answers.empty(); }));
  EXPECT_THAT(answers, ElementsAre(0));
}

TEST_F(FailureTest, OfAnEarlierLifeOfTheMonitorIsNoticed) {
  process->status["stall"] = "disk-failed";
  process->status["in_step"] = false;
  process->status["disk"] = {{"error", ENOSPC}, {"full", true}};
  open_running();
  EXPECT_TRUE(until([&] { return driver->status().failure.has_value(); }));
  EXPECT_EQ(driver->status().failure->error, ENOSPC);
  EXPECT_THAT(events, Contains("failed 28"));
}

TEST_F(FailureTest, AFullResyncIsDoneByTheNextProcess) {
  ASSERT_TRUE(fails_and_ends_for_an_hour());
  driver->resync(volume::Resync::Full, note());
  EXPECT_THAT(answers, ElementsAre(0));
  ASSERT_TRUE(until([&] { return starts() == 1; })) << "at once, not in an hour";
  mend_disk();
  process->live();
  ASSERT_TRUE(until([&] { return process->count("resync") == 1; }));
  EXPECT_TRUE(volume::flag_of(process->last("resync"), "full"));
}

TEST_F(FailureTest, ACopyThatWentWithItsDiskIsNotMadeBelowItUntilSomebodySaysSo) {
  options.node = 1;
  script("echo \"$1\" >>" + folder.at("starts") + "\nexit 1");
  open_running();
  fail_disk();
  ASSERT_TRUE(until([&] { return process->count("end") == 1; }));
  process->die();
  // In the place of its file system is another one, without a copy.
  std::filesystem::rename(folder.at("vol"), folder.at("vol.gone"));
  std::filesystem::create_symlink("/proc", folder.at("vol"));
  ASSERT_TRUE(until([&] {
    return driver->status().text.find("gone with its file system") != std::string::npos;
  }));
  EXPECT_FALSE(std::filesystem::exists(folder.at("starts")));
  EXPECT_THAT(driver->status().text, HasSubstr("crossbeat resync --full"));
  // A new disk.
  std::filesystem::remove(folder.at("vol"));
  std::filesystem::create_directory(folder.at("vol"));
  driver->resync(volume::Resync::Full, note());
  ASSERT_TRUE(until([&] { return std::filesystem::exists(folder.at("starts")); }));
  std::ifstream file(folder.at("starts"));
  std::string first;
  EXPECT_TRUE(until([&] {
    file.clear();
    file.seekg(0);
    return static_cast<bool>(std::getline(file, first));
  }));
  EXPECT_EQ(first, "create");
}

}  // namespace
}  // namespace cb::test
