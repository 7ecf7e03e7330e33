// SPDX-License-Identifier: Apache-2.0
//
// The wizard in a real terminal: the program itself behind a pseudo-terminal, typed at as a person
// would. Each step waits for the prompt that it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/setup/question.h"
#include "tests/cli/setup/bed.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string program() {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path() / "bin/crossbeat";
}

class Typed {
 public:
  explicit Typed(const std::string& root) {
    int terminal = -1;
    pid_ = forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      const std::string path = program();
      execl(path.c_str(), "crossbeat", "--root", root.c_str(), "setup", nullptr);
      _exit(127);
    }
    terminal_.reset(terminal);
  }
  ~Typed() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;

  // Waits until the words appear after all that was waited for before; false when they do not.
  bool sees(const std::string& words) {
    const Instant deadline = boottime_now() + Duration::from_s(20);
    while (boottime_now() < deadline) {
      if (const auto at = all_.find(words, seen_); at != std::string::npos) {
        seen_ = at + words.size();
        return true;
      }
      if (!read_more()) {
        break;
      }
    }
    ADD_FAILURE() << "'" << words << "' never appeared after:\n" << all_.substr(seen_);
    return false;
  }
  void type(const std::string& text) {
    ASSERT_EQ(write(terminal_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void answer(const std::string& prompt, const std::string& text) {
    ASSERT_TRUE(sees(prompt)) << "to answer '" << text << "'";
    type(text + "\n");
  }
  // The exit code, or 128 + the signal.
  int end() {
    while (read_more()) {
    }
    return reap();
  }
  // The terminal is gone, as when a connection breaks.
  int hang_up() {
    terminal_.reset();
    return reap();
  }
  int kill_it() {
    kill(pid_, SIGKILL);
    return reap();
  }
  const std::string& all() const { return all_; }

 private:
  int reap() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  bool read_more() {
    pollfd ready{.fd = terminal_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 20'000) <= 0) {
      return false;
    }
    std::array<char, 4096> part;
    const ssize_t count = read(terminal_.get(), part.data(), part.size());
    for (ssize_t i = 0; i < count; ++i) {
      if (part[static_cast<std::size_t>(i)] != '\r') {
        all_ += part[static_cast<std::size_t>(i)];
      }
    }
    return count > 0;
  }

  pid_t pid_ = -1;
  Fd terminal_;
  std::string all_;
  std::size_t seen_ = 0;
};

// The questions of a primary over the network, in order, with the answers of the first worked
// scenario; used whole, and cut off at each place.
using Talk = std::vector<std::pair<const char*, const char*>>;
const Talk kPrimaryTalk = {
    {"Set up with the wizard (yes/no) [yes]: ", "yes"},
    {"Configure the host name? (Y)es/(S)kip/(U)se default [Yes]: ", "yes"},
    {"Host name [mse]: ", "mse1"},
    {"Configure the domain name? (Y)es/(S)kip/(U)se default [Yes]: ", "s"},
    {"Configure High Availability? (Y)es/(S)kip/(U)se default [Yes]: ", "y"},
    {"Role [1 for Primary, 2 for Secondary] [1]: ", "1"},
    {"Health monitor interface [eth0/eth1] [eth0]: ", ""},
    {"Direct connect interface [eth0/eth1/none] [none]: ", "none"},
    {"Virtual IP address: ", "10.10.10.11"},
    {"Network mask [255.255.255.0]: ", ""},
    {"Start in HA recovery mode (yes/no) [no]: ", "no"},
    {"Configure the parameters of eth0? (Y)es/(S)kip/(U)se default [Yes]: ", "Yes"},
    {"Eth0 IP address: ", "10.10.10.12"},
    {"Network mask [255.255.255.0]: ", "255.255.255.0"},
    {"Default gateway address: ", "10.10.10.1"},
    {"Configure the parameters of eth1? (Y)es/(S)kip/(U)se default [Skip]: ", "s"},
    {"Configure DNS? (Y)es/(S)kip/(U)se default [Yes]: ", "skip"},
    {"Configure the time zone? (Y)es/(S)kip/(U)se default [Yes]: ", "y"},
    {"#? [America/New_York]: ", "11"},
    {"Configure NTP? (Y)es/(S)kip/(U)se default [Yes]: ", ""},
    {"Enable NTP (yes/no) [no]: ", "yes"},
    {"NTP servers (names or addresses, with a comma between): ", "10.10.10.10"},
};

// The questions of a secondary with a cable, and those of a name server and of a place.
const Talk kSecondaryTalk = {
    kPrimaryTalk[0],
    kPrimaryTalk[1],
    {"Host name [mse]: ", "mse2"},
    {"Configure the domain name? (Y)es/(S)kip/(U)se default [Yes]: ", "y"},
    {"Domain name [none]: ", "example.com"},
    kPrimaryTalk[4],
    {"Role [1 for Primary, 2 for Secondary] [1]: ", "2"},
    {"Health monitor interface [eth0/eth1] [eth0]: ", "eth0"},
    {"Direct connect interface [eth0/eth1/none] [none]: ", "eth1"},
    {"Configure the parameters of eth0?", "y"},
    {"Eth0 IP address: ", "10.10.10.13"},
    {"Network mask [255.255.255.0]: ", "24"},
    {"Default gateway address: ", "10.10.10.1"},
    {"Configure the parameters of eth1? (Y)es/(S)kip/(U)se default [Yes]: ", ""},
    {"Eth1 IP address: ", "1.1.1.2"},
    {"Network mask [255.255.255.0]: ", "255.0.0.0"},
    {"Configure DNS?", "y"},
    {"Name servers", "10.10.10.5"},
    {"Configure the time zone?", "y"},
    {"#? [America/New_York]: ", "8"},
    {"Which of these?\n#?: ", "Brussels"},
    {"Configure NTP?", "s"},
};

constexpr const char* kSummary = R"(-----BEGIN-----

Host name=mse1
    Role=1, Health Monitor Interface=eth0, Direct connect interface=none
    Virtual IP Address=10.10.10.11, Virtual IP Netmask=255.255.255.0
Eth0 IP address=10.10.10.12, Eth0 network mask=255.255.255.0
Default gateway=10.10.10.1
Time zone=UTC
Enable NTP=yes, NTP servers=10.10.10.10

-----END-----
)";

constexpr const char* kReview = "Is this right (yes, no, or ^): ";

class SetupTerminal : public testing::Test {
 protected:
  void talk(Typed& typed, std::size_t count = kPrimaryTalk.size()) {
    talk(typed, kPrimaryTalk, count);
  }
  void talk(Typed& typed, const Talk& list, std::size_t count = 100) {
    for (std::size_t i = 0; i < std::min(count, list.size()) && !HasFatalFailure(); ++i) {
      typed.answer(list[i].first, list[i].second);
    }
  }
  SetupTree tree_;
};

TEST_F(SetupTerminal, ForwardsThroughEveryQuestionOfAPrimary) {
  Typed typed(tree_.root());
  talk(typed);
  ASSERT_TRUE(typed.sees(kSummary));
  ASSERT_TRUE(typed.sees("What changes on this machine:"));
  typed.answer(kReview, "yes");
  EXPECT_EQ(typed.end(), 0) << typed.all();
  EXPECT_THAT(typed.all(), HasSubstr("Done: everything was applied."));
  EXPECT_EQ(tree_.read("etc/hostname"), "mse1\n");
  EXPECT_THAT(tree_.read("etc/crossbeat/crossbeat.toml"),
              HasSubstr("address = \"10.10.10.11/24\""));
}

TEST_F(SetupTerminal, ASecondaryIsAskedNeitherForAVirtualAddressNorForRecovery) {
  Typed typed(tree_.root());
  talk(typed, kSecondaryTalk);
  ASSERT_TRUE(
      typed.sees("    Role=2, Health Monitor Interface=eth0, Direct connect interface=eth1\n"
                 "Eth0 IP address=10.10.10.13, Eth0 network mask=255.255.255.0\n"
                 "Default gateway=10.10.10.1\n"
                 "Eth1 IP address=1.1.1.2, Eth1 network mask=255.0.0.0\n"
                 "DNS servers=10.10.10.5\n"
                 "Time zone=Europe/Brussels\n\n-----END-----"));
  typed.answer(kReview, "y");
  EXPECT_EQ(typed.end(), 0);
  EXPECT_THAT(typed.all(), Not(HasSubstr("Virtual IP")));
  EXPECT_THAT(typed.all(), Not(HasSubstr("recovery")));
}

TEST_F(SetupTerminal, CaretGoesBackOneQuestionAndRemembersTheOthers) {
  Typed typed(tree_.root());
  talk(typed, 8);
  typed.answer("Virtual IP address: ", "^");
  typed.answer("Direct connect interface [eth0/eth1/none] [none]: ", "^");
  typed.answer("Health monitor interface [eth0/eth1] [eth0]: ", "^");
  typed.answer("Role [1 for Primary, 2 for Secondary] [1]: ", "^");
  typed.answer("Configure High Availability?", "^");
  typed.answer("Configure the domain name?", "^");
  typed.answer("Host name [mse]: ", "^");
  typed.answer("Configure the host name?", "^");
  ASSERT_TRUE(typed.sees("This is the first question."));
  typed.answer("Configure the host name?", "y");
  typed.answer("Host name [mse]: ", "mse7");
  typed.answer("Configure the domain name?", "^");
  typed.answer("Host name [mse]: ", "mse1");
  for (std::size_t i = 3; i < kPrimaryTalk.size(); ++i) {
    typed.answer(kPrimaryTalk[i].first, kPrimaryTalk[i].second);
  }
  ASSERT_TRUE(typed.sees(kSummary));
  typed.answer(kReview, "^");
  typed.answer("NTP servers (names or addresses, with a comma between): ", "ntp.example.com");
  ASSERT_TRUE(typed.sees("NTP servers=ntp.example.com"));
  typed.answer(kReview, "no");
  typed.answer("Configure the host name?", "s");
  typed.type("\x04");  // the end of the input
  EXPECT_EQ(typed.end(), 1);
}

TEST_F(SetupTerminal, BadAnswersAreExplainedAndAskedAgain) {
  Typed typed(tree_.root());
  typed.answer("Set up with the wizard", "perhaps");
  typed.answer("Please answer yes or no.", "yes");
  typed.answer("Configure the host name?", "maybe");
  typed.answer("please answer yes, skip or use default", "y");
  typed.answer("Host name [mse]: ", "-mse");
  typed.answer("'-mse' cannot be a host name", "mse1");
  typed.answer("Configure the domain name?", "y");
  typed.answer("Domain name [none]: ", "a..b");
  typed.answer("'a..b' cannot be a domain", "none");
  typed.answer("Configure High Availability?", "y");
  typed.answer("Role", "3");
  typed.answer("please answer 1 for Primary", "1");
  typed.answer("Health monitor interface", "wlan0");
  typed.answer("there is no interface wlan0", "eth0");
  typed.answer("Direct connect interface", "eth0");
  typed.answer("the cable needs another one", "none");
  typed.answer("Virtual IP address: ", "10.10.10");
  typed.answer("'10.10.10' is not an IPv4 address", "224.0.0.1");
  typed.answer("is not the address of one machine", "10.10.10.255");
  typed.answer("Network mask", "255.0.255.0");
  typed.answer("is not a network mask", "24");
  typed.answer("is the network itself or its broadcast address", "^");
  typed.answer("Virtual IP address: ", "10.10.10.11");
  typed.answer("Network mask", "24");
  typed.answer("recovery mode", "perhaps");
  typed.answer("please answer yes or no", "n");
  typed.answer("Configure the parameters of eth0?", "y");
  typed.answer("Eth0 IP address: ", "10.10.10.11");
  typed.answer("10.10.10.11 is the virtual address", "10.10.20.12");
  typed.answer("Network mask", "24");
  typed.answer("would not be in the subnet of 10.10.20.12", "^");
  typed.answer("Eth0 IP address: ", "10.10.10.12");
  typed.answer("Network mask", "24");
  typed.answer("Default gateway address: ", "10.9.9.1");
  typed.answer("the gateway must be in the subnet of eth0", "none");
  ASSERT_TRUE(typed.sees("Give the same answer once more to keep it."));
  typed.answer("Default gateway address: ", "10.10.10.1");
  typed.answer("Configure the parameters of eth1?", "s");
  typed.answer("Configure DNS?", "y");
  typed.answer("Name servers", "dns.example.com");
  typed.answer("is not an address", "none");
  typed.answer("Configure the time zone?", "y");
  typed.answer("#?", "13");
  typed.answer("please answer with a number of the list", "8");
  typed.answer("Europe/Brussels", "Brussels");
  typed.answer("Configure NTP?", "y");
  typed.answer("Enable NTP", "y");
  typed.answer("NTP servers", "");
  typed.answer("This question needs an answer", "10.10.10.10");
  ASSERT_TRUE(typed.sees("Time zone=Europe/Brussels"));
  typed.answer(kReview, "");
  ASSERT_TRUE(typed.sees("Please answer yes, no or ^."));
  typed.answer(kReview, "yes");
  EXPECT_EQ(typed.end(), 0) << typed.all();
}

TEST_F(SetupTerminal, UseDefaultAsksOnlyForWhatHasNone) {
  Typed typed(tree_.root());
  talk(typed, 1);
  typed.answer("Configure the host name?", "u");
  typed.answer("Configure the domain name?", "s");
  typed.answer("Configure High Availability?", "use default");
  typed.answer("Virtual IP address: ", "10.10.10.11");
  ASSERT_TRUE(typed.sees("Configure the parameters of eth0?"));
  EXPECT_THAT(typed.all(), Not(HasSubstr("Health monitor interface")));
}

// Every question that there is, each once left by Ctrl-C, by the end of the input, by a terminal
// that is gone, and by a kill in the middle of an answer.
TEST_F(SetupTerminal, InterruptedAtAnyQuestionNothingIsChanged) {
  const auto before = tree_.snapshot();
  const std::array<void (*)(Typed&), 4> ways = {
      [](Typed& typed) {
        typed.type("\x03");
        EXPECT_EQ(typed.end(), 128 + SIGINT);
      },
      [](Typed& typed) {
        typed.type("\x04");
        EXPECT_EQ(typed.end(), 1);
      },
      [](Typed& typed) { EXPECT_EQ(typed.hang_up(), 128 + SIGHUP); },
      [](Typed& typed) {
        typed.type("10.1");
        EXPECT_EQ(typed.kill_it(), 128 + SIGKILL);
      },
  };
  for (const Talk& list : {kPrimaryTalk, kSecondaryTalk}) {
    for (std::size_t count = 0; count <= list.size(); ++count) {
      SCOPED_TRACE(count);
      Typed typed(tree_.root());
      talk(typed, list, count);
      ASSERT_TRUE(typed.sees(count == list.size() ? kReview : list[count].first));
      ways[count % ways.size()](typed);
      EXPECT_EQ(tree_.snapshot(), before);
    }
  }
}

// The two talks together meet every question that the wizard has: nothing is left out above.
TEST_F(SetupTerminal, TheTalksMeetEveryQuestion) {
  setup::Current current;
  current.answers.ports = {{.name = "eth0"}, {.name = "eth1"}};
  std::map<std::string, int> asked;  // several have the same prompt
  for (const setup::Question& question : setup::questions(current)) {
    ++asked[question.prompt];
  }
  EXPECT_GE(asked.size(), 20u);
  for (const auto& [prompt, times] : asked) {
    int met = 0;
    for (const Talk& list : {kPrimaryTalk, kSecondaryTalk}) {
      met += static_cast<int>(std::count_if(list.begin(), list.end(), [&](const auto& said) {
        return prompt.starts_with(said.first) ||
               std::string(said.first).find(prompt) != std::string::npos;
      }));
    }
    EXPECT_GE(met, times) << prompt;
  }
}

TEST_F(SetupTerminal, NoAtTheVeryBeginningChangesNothing) {
  const auto before = tree_.snapshot();
  Typed typed(tree_.root());
  typed.answer("Set up with the wizard (yes/no) [yes]: ", "no");
  EXPECT_EQ(typed.end(), 0);
  EXPECT_EQ(tree_.snapshot(), before);
}

}  // namespace
}  // namespace cb::cli::test
