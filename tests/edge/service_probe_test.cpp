// SPDX-License-Identifier: Apache-2.0
//
// The probes over the network, against a server of the test's own on the loopback interface.
#include "edge/service_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/edge/service_fixture.h"

namespace cb::test {
namespace {

class NoDriver final : public service::Driver {
 public:
  void start(const std::vector<std::string>&, Instant, service::Outcome) override {}
  void stop(const std::vector<std::string>&, Instant, service::Outcome) override {}
  void ask(Instant, service::Outcome done) override { done(answer, "as the driver says"); }
  int answer = 0;
};

class ServiceProbeTest : public ServiceEdgeTest {
 protected:
  // Listens on a port that was free.
  void listen() {
    listener = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(listener.get(), any, length), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    ASSERT_EQ(::getsockname(listener.get(), any, &length), 0);
    port = std::to_string(ntohs(address.sin_port));
  }
  // Answers each connection with these bytes once it has asked; nullopt: never.
  void serve(std::optional<std::string> answer, bool then_close = true) {
    listen();
    loop->accept(listener.get(), [this, answer, then_close](Fd fd) {
      auto connection = std::make_shared<Fd>(std::move(fd));
      connections.push_back(connection);
      loop->recv(connection->get(), 4096, [=, this](int n, std::span<const std::byte> bytes) {
        if (n > 0) {
          question.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }
        if (!answer) {
          return;
        }
        loop->send(connection->get(), *answer, [=](int) {
          if (then_close) {
            connection->reset();
          }
        });
      });
    });
  }
  std::pair<bool, std::string> ask(HealthProbe::Kind kind, const std::string& target,
                                   Duration within = 5_s) {
    std::optional<std::pair<bool, std::string>> answer;
    edge::probe(*loop, *hands, {kind, target, 1_s, 1, 1}, driver, {"CROSSBEAT_SERVICE=a"},
                boottime_now() + within, [&](bool good, const std::string& text) {
                  EXPECT_FALSE(answer.has_value()) << "answered twice";
                  answer = {good, text};
                });
    EXPECT_TRUE(until([&] { return answer.has_value(); }));
    return answer.value_or(std::pair<bool, std::string>{false, "never answered"});
  }
  bool good_http(const std::string& answer, bool then_close = true) {
    if (listener) {
      loop->unwatch(listener.get());
      connections.clear();
      hands.reset();
      loop = open_loop();
      hands = std::move(*loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}}));
    }
    serve(answer, then_close);
    return ask(HealthProbe::Kind::Http, "http://127.0.0.1:" + port + "/health").first;
  }
  long descriptors() const {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  }

  NoDriver driver;
  Fd listener;
  std::string port;
  std::vector<std::shared_ptr<Fd>> connections;
  std::string question;
};

TEST_F(ServiceProbeTest, APortThatListensIsGood) {
  listen();
  EXPECT_TRUE(ask(HealthProbe::Kind::Tcp, "127.0.0.1:" + port).first);
  EXPECT_TRUE(ask(HealthProbe::Kind::Tcp, "localhost:" + port).first);
}

TEST_F(ServiceProbeTest, APortThatRefusesIsBad) {
  listen();
  listener.reset();
  const auto [good, text] = ask(HealthProbe::Kind::Tcp, "127.0.0.1:" + port);
  EXPECT_FALSE(good);
  EXPECT_THAT(text, HasSubstr("Connection refused"));
}

TEST_F(ServiceProbeTest, AVersion6AddressIsWrittenInBrackets) {
  Fd six(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (!six || ::bind(six.get(), any, length) != 0) {
    GTEST_SKIP() << "this machine has no IPv6 loopback";
  }
  ASSERT_EQ(::listen(six.get(), 8), 0);
  ASSERT_EQ(::getsockname(six.get(), any, &length), 0);
  EXPECT_TRUE(
      ask(HealthProbe::Kind::Tcp, "[::1]:" + std::to_string(ntohs(address.sin6_port))).first);
}

TEST_F(ServiceProbeTest, AsksForThePath) {
  serve("HTTP/1.1 200 OK\r\n\r\nfine");
  EXPECT_TRUE(ask(HealthProbe::Kind::Http, "http://127.0.0.1:" + port + "/a/b?c=d").first);
  EXPECT_TRUE(question.starts_with("GET /a/b?c=d HTTP/1.")) << question;
  EXPECT_THAT(question, HasSubstr("\r\nHost: 127.0.0.1:" + port + "\r\n"));
  EXPECT_TRUE(question.ends_with("\r\n\r\n"));
}

TEST_F(ServiceProbeTest, AnswersOf200And300AreGood) {
  EXPECT_TRUE(good_http("HTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_TRUE(good_http("HTTP/1.0 204 No Content\r\n\r\n"));
  EXPECT_TRUE(good_http("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"));
  EXPECT_TRUE(good_http("HTTP/1.1 200 OK\r\n\r\n", false)) << "the status is enough";
}

TEST_F(ServiceProbeTest, OtherAnswersAreBad) {
  for (const std::string answer :
       {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\r\n", "HTTP/1.1 2\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "XHTTP/1.1 200 OK\r\n\r\n"}) {
    EXPECT_FALSE(good_http(answer)) << answer;
  }
  EXPECT_FALSE(good_http(std::string(100000, 'x'))) << "a line without end";
}

TEST_F(ServiceProbeTest, AServerThatSaysNothingIsBadAtTheDeadline) {
  serve(std::nullopt);
  const Instant before = boottime_now();
  const auto [good, text] = ask(HealthProbe::Kind::Http, "http://127.0.0.1:" + port, 200_ms);
  EXPECT_FALSE(good);
  EXPECT_THAT(text, HasSubstr("no answer in time"));
  EXPECT_GE(boottime_now() - before, 200_ms);
}

TEST_F(ServiceProbeTest, ADeadlineThatHasPassedIsAnswered) {
  serve(std::nullopt);
  EXPECT_FALSE(ask(HealthProbe::Kind::Http, "http://127.0.0.1:" + port, -1_s).first);
}

TEST_F(ServiceProbeTest, TargetsThatAreNoAddressAreRefusedAndNothingIsSent) {
  serve("HTTP/1.1 200 OK\r\n\r\n");
  const std::string here = "127.0.0.1:" + port;
  for (const std::string target : {"example.com:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536",
                                   ":80", "", "[::1:80", "127.0.0.1:80x"}) {
    const auto [good, text] = ask(HealthProbe::Kind::Tcp, target);
    EXPECT_FALSE(good) << target;
    EXPECT_THAT(text, HasSubstr("no address")) << target;
  }
  for (const std::string& target : std::vector<std::string>{
           "https://" + here + "/", "http://example.com/", "http:///", "http://" + here + "/a b",
           "http://" + here + "/\r\nX-Trap: 1", "http://" + here + "/\x01",
           std::string("http://") + here + "/" + '\0'}) {
    EXPECT_FALSE(ask(HealthProbe::Kind::Http, target).first) << target;
  }
  EXPECT_EQ(question, "");
}

TEST_F(ServiceProbeTest, KindsWithoutANetworkAskTheDriver) {
  EXPECT_TRUE(ask(HealthProbe::Kind::Process, "").first);
  EXPECT_TRUE(ask(HealthProbe::Kind::Unit, "").first);
  driver.answer = ESRCH;
  EXPECT_FALSE(ask(HealthProbe::Kind::Process, "").first);
  EXPECT_EQ(ask(HealthProbe::Kind::Unit, "").second, "as the driver says");
  EXPECT_TRUE(ask(HealthProbe::Kind::None, "").first);
}

TEST_F(ServiceProbeTest, ACommandGetsItsArgumentsAndTheEnvironment) {
  std::ofstream(folder.at("probe"))
      << "#!/bin/sh\n"
      << "echo $# $1 $2 $CROSSBEAT_SERVICE > " << folder.at("said") << "\ntest $1 = good\n";
  std::filesystem::permissions(folder.at("probe"), std::filesystem::perms::owner_all);
  EXPECT_TRUE(ask(HealthProbe::Kind::Command, folder.at("probe") + " good  $HOME").first);
  EXPECT_THAT(lines_of("said"), ElementsAre("2 good $HOME a"));
  const auto [good, text] = ask(HealthProbe::Kind::Command, folder.at("probe") + " bad");
  EXPECT_FALSE(good);
  EXPECT_THAT(text, HasSubstr("exit code 1"));
  EXPECT_FALSE(ask(HealthProbe::Kind::Command, "").first);
}

TEST_F(ServiceProbeTest, LeavesNoDescriptorOpen) {
  serve("HTTP/1.1 200 OK\r\n\r\n");
  const auto once = [&] {
    EXPECT_TRUE(ask(HealthProbe::Kind::Http, "http://127.0.0.1:" + port).first);
    EXPECT_TRUE(until([&] { return !*connections.back(); }));
  };
  once();
  const long before = descriptors();
  for (int i = 0; i < 20; ++i) {
    once();
  }
  EXPECT_TRUE(until([&] { return descriptors() <= before; }));
}

}  // namespace
}  // namespace cb::test
