// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <regex>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "tests/base/temporary_folder.h"

namespace cb {
namespace {

class Log : public testing::Test {
 protected:
  void open(LogSetup setup = {}) {
    setup.to_stderr = false;
    setup.journal = LogSetup::Journal::Never;
    setup.file = folder_.at("log");
    const auto opened = log_open(setup);
    ASSERT_TRUE(opened) << to_text(opened.error());
  }
  void TearDown() override { log_close(); }

  std::vector<std::string> lines(const std::string& name = "log") {
    log_flush();
    const std::string text = read_all(folder_.at(name), 64 << 20).value_or("");
    std::vector<std::string> lines;
    for (const auto line : split(text, '\n')) {
      lines.emplace_back(line);
    }
    EXPECT_EQ(lines.back(), "");  // the last one is complete
    lines.pop_back();
    return lines;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Log, WritesTimeLevelAndTextInOneLine) {
  open();
  log_info("peer %s silent for %d us", "node-2", 1100);
  const auto written = lines();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_TRUE(
      std::regex_match(written[0], std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} info: )"
                                              R"(peer node-2 silent for 1100 us)")))
      << written[0];
}

TEST_F(Log, LeavesOutWhatIsBelowTheLevel) {
  open({.least = LogLevel::Warning});
  log_notice("not this");
  log_warning("this");
  set_log_least(LogLevel::Debug);
  log_debug("and this");
  const auto written = lines();
  ASSERT_EQ(written.size(), 2u);
  EXPECT_TRUE(written[0].ends_with("warning: this"));
  EXPECT_TRUE(written[1].ends_with("debug: and this"));
}

TEST_F(Log, DoesNotLetATextForgeALineOrSpeakToTheTerminal) {
  open();
  log_info("code \"%s\"", "1\n2026-01-01 00:00:00 error: forged\x1b[2J\r");
  const auto written = lines();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_NE(written[0].find("code \"1 2026-01-01 00:00:00 error: forged?[2J?\""),
            std::string::npos);
}

TEST_F(Log, CutsALineThatIsTooLong) {
  open();
  log_info("%s", std::string(5'000, 'x').c_str());
  log_info("next");
  const auto written = lines();
  ASSERT_EQ(written.size(), 2u);
  EXPECT_TRUE(written[0].ends_with(std::string(kLogLineMax, 'x')));
  EXPECT_FALSE(written[0].ends_with(std::string(kLogLineMax + 1, 'x')));
}

TEST_F(Log, KeepsErrnoForItsCaller) {
  open();
  errno = ENOSPC;
  log_error("write: %m");
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_TRUE(lines()[0].ends_with("write: No space left on device"));
}

TEST_F(Log, RotatesBySizeAndKeepsTheGenerationsAskedFor) {
  open({.file_bytes_max = 1'000, .file_generations = 2});
  for (int i = 0; i < 100; ++i) {
    log_info("line %03d", i);
    log_flush();
  }
  EXPECT_TRUE(std::filesystem::exists(folder_.at("log.2")));
  EXPECT_FALSE(std::filesystem::exists(folder_.at("log.3")));
  std::vector<std::string> all;
  for (const char* name : {"log.2", "log.1", "log"}) {
    EXPECT_LE(std::filesystem::file_size(folder_.at(name)), 1'000u);
    for (auto& line : lines(name)) {
      all.push_back(std::move(line));
    }
  }
  // Nothing is missing between the oldest line kept and the last.
  ASSERT_GT(all.size(), 40u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    char expected[16];
    std::snprintf(expected, sizeof expected, "line %03zu", 100 - all.size() + i);
    EXPECT_TRUE(all[i].ends_with(expected)) << all[i];
  }
}

TEST_F(Log, KeepsTheOrderOfEachThreadAndLosesNothingItCanHold) {
  open();
  constexpr int kEach = 200;  // two threads together stay below the ring's 512 places
  const auto speak = [](const char* name) {
    for (int i = 0; i < kEach; ++i) {
      log_info("%s %d", name, i);
    }
  };
  std::thread other(speak, "probe");
  speak("loop");
  other.join();
  int loop_next = 0;
  int probe_next = 0;
  for (const auto& line : lines()) {
    const bool from_loop = line.find("loop ") != std::string::npos;
    int& next = from_loop ? loop_next : probe_next;
    EXPECT_TRUE(line.ends_with((from_loop ? "loop " : "probe ") + std::to_string(next))) << line;
    ++next;
  }
  EXPECT_EQ(loop_next, kEach);
  EXPECT_EQ(probe_next, kEach);
}

TEST_F(Log, CountsWhatItHadToDropInPlaceOfWaiting) {
  // A named pipe that nobody reads: the writer thread gets stuck, as with a disk that hangs.
  ASSERT_EQ(::mkfifo(folder_.at("log").c_str(), 0600), 0);
  Fd reader(::open(folder_.at("log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader);
  open({.file_bytes_max = UINT64_MAX});
  constexpr int kLines = 3'000;  // more than the pipe (64 KiB) and the ring hold
  for (int i = 0; i < kLines; ++i) {
    log_info("%04d %s", i, std::string(100, 'x').c_str());  // would hang here if callers waited
  }
  ASSERT_EQ(::fcntl(reader.get(), F_SETFL, 0), 0);
  std::string text;
  std::thread drain([&] {
    char part[4096];
    for (ssize_t count = 0; (count = ::read(reader.get(), part, sizeof part)) > 0;) {
      text.append(part, static_cast<std::size_t>(count));
    }
  });
  log_close();  // closes the pipe's writing end, which ends the reader
  drain.join();
  // The loss may be told in several parts, each in a line of its own.
  const std::regex told("warning: ([0-9]+) log lines were lost");
  auto written = std::count(text.begin(), text.end(), '\n');
  int lost = 0;
  for (std::sregex_iterator part(text.begin(), text.end(), told), end; part != end; ++part) {
    lost += std::stoi((*part)[1]);
    --written;
  }
  EXPECT_GT(lost, 0);
  EXPECT_EQ(written + lost, kLines);
}

TEST_F(Log, SaysWhyItsFileCannotBeOpened) {
  const auto opened = log_open({.to_stderr = false, .file = folder_.at("no/log")});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ENOENT);
  EXPECT_NE(opened.error().what.find("no/log"), std::string::npos);
}

TEST_F(Log, GoesOnWhenItsFolderComesBack) {
  open({.file_bytes_max = 120, .file_generations = 1});
  log_info("before");
  log_flush();
  // The folder vanishes; the next rotation cannot open a new file.
  const std::string away = folder_.path() + "-away";
  std::filesystem::rename(folder_.path(), away);
  for (int i = 0; i < 10; ++i) {
    log_info("%s", std::string(60, 'x').c_str());
    log_flush();
  }
  std::filesystem::rename(away, folder_.path());
  log_info("after");
  const auto written = lines();
  ASSERT_EQ(written.size(), 3u);
  EXPECT_TRUE(written[0].ends_with("info: before"));
  EXPECT_EQ(written[1], "(10 lines before this one could not be written)");
  EXPECT_TRUE(written[2].ends_with("info: after"));
}

TEST(LogLevel, NamesGoThereAndBack) {
  for (const auto level :
       {LogLevel::Debug, LogLevel::Info, LogLevel::Notice, LogLevel::Warning, LogLevel::Error}) {
    EXPECT_EQ(parse_log_level(name_of(level)), level);
  }
  EXPECT_EQ(parse_log_level("INFO"), std::nullopt);
}

}  // namespace
}  // namespace cb
