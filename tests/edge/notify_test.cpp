// SPDX-License-Identifier: Apache-2.0
#include "edge/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/base/temporary_folder.h"

namespace cb::test {
namespace {

// A service manager's end of the socket.
class NotifyTest : public testing::Test {
 protected:
  NotifyTest() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
      unsetenv(name);
    }
  }
  ~NotifyTest() override { unsetenv("NOTIFY_SOCKET"); }

  void listen(const std::string& name) {
    manager = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') {
      address.sun_path[0] = '\0';
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(bind(manager.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  std::string heard() const {
    std::array<char, 1000> bytes{};
    const ssize_t n = recv(manager.get(), bytes.data(), bytes.size(), 0);
    return n < 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(n));
  }

  TemporaryFolder folder;
  Fd manager;
};

TEST_F(NotifyTest, TellsTheServiceManager) {
  listen(folder.at("notify"));
  edge::Notify notify = edge::Notify::open();
  EXPECT_TRUE(notify.connected());
  notify.ready("PRIMARY_ACTIVE");
  EXPECT_EQ(heard(), "READY=1\nSTATUS=PRIMARY_ACTIVE");
  notify.status("two\nlines");
  EXPECT_EQ(heard(), "STATUS=two lines") << "a line end would begin another message";
  notify.status("two lines");
  EXPECT_EQ(heard(), "") << "nothing new";
  notify.watchdog();
  EXPECT_EQ(heard(), "WATCHDOG=1");
  notify.stopping("bye");
  EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=bye");
}

TEST_F(NotifyTest, AbstractSocketsToo) {
  listen("@crossbeat-notify-test-" + std::to_string(getpid()));
  edge::Notify notify = edge::Notify::open();
  notify.ready("x");
  EXPECT_EQ(heard(), "READY=1\nSTATUS=x");
}

TEST_F(NotifyTest, NeverWaitsForAManagerThatDoesNotRead) {
  listen(folder.at("notify"));
  edge::Notify notify = edge::Notify::open();
  for (int i = 0; i < 100'000; ++i) {
    notify.watchdog();  // the socket's queue is full after some hundreds
  }
  EXPECT_EQ(heard(), "WATCHDOG=1");
}

TEST_F(NotifyTest, WithoutAManagerItDoesNothing) {
  edge::Notify notify = edge::Notify::open();
  EXPECT_FALSE(notify.connected());
  notify.ready("x");
  notify.watchdog();
  EXPECT_FALSE(notify.watchdog_interval());
  setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
  EXPECT_FALSE(edge::Notify::open().connected());
  setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(edge::Notify::open().connected());
  setenv("NOTIFY_SOCKET", ("/" + std::string(300, 'x')).c_str(), 1);
  EXPECT_FALSE(edge::Notify::open().connected());
}

TEST_F(NotifyTest, KnowsTheWatchdogThatIsMeantForUs) {
  setenv("WATCHDOG_USEC", "2000000", 1);
  EXPECT_EQ(edge::Notify::open().watchdog_interval(), Duration::from_s(2));
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(edge::Notify::open().watchdog_interval(), Duration::from_s(2));
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(edge::Notify::open().watchdog_interval());
  unsetenv("WATCHDOG_PID");
  for (const char* wrong : {"", "abc", "-5", "0", "5x"}) {
    setenv("WATCHDOG_USEC", wrong, 1);
    EXPECT_FALSE(edge::Notify::open().watchdog_interval()) << wrong;
  }
}

}  // namespace
}  // namespace cb::test
