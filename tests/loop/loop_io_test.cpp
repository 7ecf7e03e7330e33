// SPDX-License-Identifier: Apache-2.0
//
// What the loop does with descriptors: receive, send, accept, connect, write, sync.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <tuple>

#include "loop/loop.h"
#include "tests/loop/ends.h"
#include "tests/loop/turning.h"

namespace cb::loop {
namespace {

using test::open_loop;
using test::Pair;
using test::Pipe;
using test::turn_until;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// On each form of ring that a kernel may give us, and with both kinds of socket.
class LoopIoOfForm : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(NewestToOldest, LoopIoOfForm, testing::Range(0u, kLoopForms));

class LoopSockets : public testing::TestWithParam<std::tuple<unsigned, int>> {
 protected:
  std::unique_ptr<Loop> loop = open_loop({std::get<0>(GetParam())});
  int flags = std::get<1>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(NewestToOldest, LoopSockets,
                         testing::Combine(testing::Range(0u, kLoopForms),
                                          testing::Values(0, int{SOCK_NONBLOCK})));

TEST_P(LoopSockets, RecvWaitsForBytesAndTellsTheEnd) {
  Pair pair(flags);
  std::vector<std::string> got;
  const auto take = [&](int n, std::span<const std::byte> bytes) {
    got.push_back(std::to_string(n) + ":" + text_of(bytes));
  };
  loop->recv(pair.a.get(), 100, take);
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_TRUE(got.empty());
  ASSERT_EQ(::write(pair.b.get(), "hello", 5), 5);
  EXPECT_TRUE(turn_until(*loop, [&] { return got.size() == 1; }));
  pair.b.reset();
  loop->recv(pair.a.get(), 100, take);
  EXPECT_TRUE(turn_until(*loop, [&] { return got.size() == 2; }));
  EXPECT_EQ(got, (std::vector<std::string>{"5:hello", "0:"}));
}

TEST_P(LoopSockets, SendSendsAllAlsoWhenTheReaderIsSlow) {
  Pair pair(flags);
  std::string big(3 << 20, 'x');
  for (size_t i = 0; i < big.size(); ++i) {
    big[i] = static_cast<char>('a' + i % 23);
  }
  int error = -1;
  loop->send(pair.a.get(), big, [&](int e) { error = e; });
  std::string got;
  std::function<void()> more = [&] {
    loop->recv(pair.b.get(), 10'000, [&](int n, std::span<const std::byte> bytes) {
      ASSERT_GT(n, 0);
      got += text_of(bytes);
      if (got.size() < big.size()) {
        more();
      }
    });
  };
  more();
  EXPECT_TRUE(turn_until(*loop, [&] { return error >= 0 && got.size() >= big.size(); }));
  EXPECT_EQ(error, 0);
  EXPECT_EQ(got, big);
}

TEST_P(LoopIoOfForm, SendingToAClosedEndIsAnErrorAndNoSignal) {
  auto loop = open_loop({GetParam()});
  Pair pair;
  pair.b.reset();
  int error = -1;
  loop->send(pair.a.get(), "x", [&](int e) { error = e; });
  EXPECT_TRUE(turn_until(*loop, [&] { return error >= 0; }));
  EXPECT_EQ(error, EPIPE);
}

TEST_P(LoopIoOfForm, AForgottenRecvIsNeverCalledAndItsBytesAreSafe) {
  auto loop = open_loop({GetParam()});
  Pair pair;
  bool called = false;
  const OperationId id =
      loop->recv(pair.a.get(), 100, [&](int, std::span<const std::byte>) { called = true; });
  ASSERT_TRUE(loop->turn(Instant{}));
  EXPECT_TRUE(loop->is_pending(id));
  loop->forget(id);
  EXPECT_FALSE(loop->is_pending(id));
  ASSERT_EQ(::write(pair.b.get(), "hello", 5), 5);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_FALSE(called);
}

TEST_P(LoopIoOfForm, AcceptsOneConnectionAfterAnotherUntilForgotten) {
  auto loop = open_loop({GetParam()});
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // autobind: an abstract name of the kernel's choice
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  ASSERT_EQ(listen(listener.get(), 10), 0);
  std::vector<Fd> accepted;
  const OperationId id =
      loop->accept(listener.get(), [&](Fd fd) { accepted.push_back(std::move(fd)); });
  std::vector<Fd> clients;
  for (size_t i = 1; i <= 5; ++i) {
    clients.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(clients.back().get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_TRUE(turn_until(*loop, [&] { return accepted.size() == i; }));
  }
  EXPECT_NE(fcntl(accepted[0].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(accepted[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  loop->forget(id);
  clients.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(clients.back().get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop->turn(Instant{}));
  }
  EXPECT_EQ(accepted.size(), 5u);
}

TEST_P(LoopIoOfForm, WritesAndSyncsAFile) {
  auto loop = open_loop({GetParam()});
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const int fd = fileno(file);
  std::vector<int> answers;
  loop->write(fd, 4, "world", [&](int error) {
    answers.push_back(error);
    loop->fsync(fd, false, [&](int e) { answers.push_back(e); });
  });
  EXPECT_TRUE(turn_until(*loop, [&] { return answers.size() == 2; }));
  EXPECT_EQ(answers, (std::vector<int>{0, 0}));
  std::array<char, 16> bytes{};
  EXPECT_EQ(pread(fd, bytes.data(), bytes.size(), 0), 9);
  EXPECT_STREQ(bytes.data() + 4, "world");
  std::fclose(file);
}

TEST_P(LoopIoOfForm, AWriteThatFailsSaysWhy) {
  auto loop = open_loop({GetParam()});
  Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  int error = -1;
  loop->write(full.get(), 0, "x", [&](int e) { error = e; });
  EXPECT_TRUE(turn_until(*loop, [&] { return error >= 0; }));
  EXPECT_EQ(error, ENOSPC);
}

TEST_P(LoopIoOfForm, MoreOperationsThanTheQueueHoldsAllComplete) {
  auto loop = open_loop({GetParam()});
  constexpr int kMany = 3000;
  Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  int done = 0;
  for (int i = 0; i < kMany; ++i) {
    loop->write(null.get(), 0, "x", [&](int error) {
      EXPECT_EQ(error, 0);
      ++done;
    });
  }
  EXPECT_TRUE(turn_until(*loop, [&] { return done == kMany; }));
}

TEST_P(LoopSockets, ConnectsAndSaysWhenNobodyListens) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  const auto bytes = std::as_bytes(std::span(&address, 1));
  for (const bool listening : {false, true}) {
    if (listening) {
      ASSERT_EQ(listen(listener.get(), 1), 0);
    }
    const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    int error = -1;
    loop->connect(client.get(), bytes, [&](int e) { error = e; });
    EXPECT_TRUE(turn_until(*loop, [&] { return error >= 0; }));
    EXPECT_EQ(error, listening ? 0 : ECONNREFUSED);
  }
}

TEST_P(LoopIoOfForm, EndsWithOperationsStillUnderWay) {
  Pair pair;
  Pipe pipe;
  auto loop = open_loop({GetParam()});
  loop->recv(pair.a.get(), 1 << 20, [](int, std::span<const std::byte>) { FAIL(); });
  loop->watch(pipe.reader.get(), [] { FAIL(); });
  loop->after(Duration::from_s(1000), [] { FAIL(); });
  ASSERT_TRUE(loop->turn(Instant{}));
  const Instant before = boottime_now();
  loop.reset();
  EXPECT_LT(boottime_now() - before, Duration::from_s(1));
}

}  // namespace
}  // namespace cb::loop
