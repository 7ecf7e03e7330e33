// SPDX-License-Identifier: Apache-2.0
//
// Strangers at the listener.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "base/prng.h"
#include "tests/pairing/loop_nodes.h"

namespace cb::pairing {
namespace {

using Listener = test::LoopNodes;

std::optional<Refusal> refusal_in(const std::optional<std::string>& heard) {
  FrameReader reader;
  if (!heard || !reader.feed(*heard)) {
    return std::nullopt;
  }
  const auto frame = reader.next();
  return frame && frame->kind == Kind::Refuse ? decode_refuse(frame->body) : std::nullopt;
}

TEST_F(Listener, AnswersAMessageThatComesByteByByte) {
  listen_on_secondary();
  const Fd socket = stranger();
  for (const char c : frame_bytes(Kind::Ask, encode_ask({1234, {}}))) {
    say(socket, std::string_view(&c, 1));
    ASSERT_TRUE(loop->turn(boottime_now()));
  }
  EXPECT_EQ(refusal_in(hear_out(socket)), Refusal::UnknownPairing);
}

TEST_F(Listener, RefusesWhatIsNotItsProtocolAndLetsTheRefusalArrive) {
  listen_on_secondary();
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: 10.66.0.2\r\n\r\n"), std::string(60'000, 'x'),
        frame_bytes(Kind::Hello, "nonsense"), frame_bytes(Kind::Share, std::string(32, 's')),
        frame_bytes(Kind::Reply, ""),
        frame_bytes(Kind::Ask, encode_ask({7, {}})) +
            frame_bytes(Kind::Ask, encode_ask({7, {}}))}) {
    const Fd socket = stranger();
    say(socket, bytes);
    EXPECT_EQ(refusal_in(hear_out(socket)), Refusal::Malformed) << bytes.substr(0, 20);
  }
  EXPECT_TRUE(asked_to_save.empty());
}

TEST_F(Listener, SurvivesNoise) {
  listen_on_secondary();
  const std::uint64_t seed = 20240607;
  Prng prng(seed);
  const std::string valid = *encode_hello(make_hello(primary, secondary.hm_address));
  for (int i = 0; i < 200; ++i) {
    std::string bytes = frame_bytes(Kind::Hello, valid);
    for (int n = 0; n < 3; ++n) {
      bytes[prng.below(bytes.size())] = static_cast<char>(prng.below(256));
    }
    bytes.resize(1 + prng.below(bytes.size()));
    const Fd socket = stranger("10.66.0.1");
    (void)!::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);  // may be turned away
    ASSERT_TRUE(loop->turn(boottime_now()));
  }
  // The rate lets an honest primary in again soon.
  const PairOutcome outcome = pair_when_there_is_room(*server->create_code());
  EXPECT_TRUE(outcome.pair) << outcome.failure.what;
  EXPECT_GT(server->counters().turned_away, 0u);
}

TEST_F(Listener, ServesOnlyItsNeighbours) {
  listen_on_secondary();
  const Fd far = stranger("127.0.0.1");
  (void)!::send(far.get(), "X", 1, MSG_NOSIGNAL);
  EXPECT_EQ(refusal_in(hear_out(far)).value_or(Refusal::Busy), Refusal::Busy);
  EXPECT_EQ(server->counters().turned_away, 1u);
  EXPECT_EQ(server->counters().accepted, 0u);
}

TEST_F(Listener, HoldsAtMostEightConnections) {
  listen_on_secondary();
  std::vector<Fd> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(stranger());
  }
  ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return server->counters().accepted == 8; }));
  const Fd ninth = stranger();
  EXPECT_EQ(refusal_in(hear_out(ninth)), Refusal::Busy);
  EXPECT_EQ(server->counters().turned_away, 1u);
  // Room again when they go.
  idle.clear();
  const PairOutcome outcome = pair_when_there_is_room(*server->create_code());
  EXPECT_TRUE(outcome.pair) << outcome.failure.what;
}

// Three waits at once, since each takes its full five seconds.
TEST_F(Listener, AndClientGiveUpOnTheSilent) {
  listen_on_secondary();
  const Instant began = boottime_now();
  const Fd silent = stranger();
  const Fd slow = stranger();  // a byte now and then does not buy time
  say(slow, "X");

  // A peer that accepts and says nothing.
  const Fd mute(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(0x0a420002);
  ASSERT_EQ(::bind(mute.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(mute.get(), 4), 0);
  socklen_t length = sizeof at;
  ASSERT_EQ(::getsockname(mute.get(), reinterpret_cast<sockaddr*>(&at), &length), 0);
  const std::uint16_t port_of_server = std::exchange(server_port, ntohs(at.sin_port));
  const PairOutcome outcome = pair(code_text(make_code()));
  server_port = port_of_server;
  EXPECT_EQ(outcome.failure.refusal, Refusal::TimedOut);
  EXPECT_EQ(outcome.failure.exit_code, 5);

  EXPECT_TRUE(hear_out(silent));
  EXPECT_TRUE(hear_out(slow));
  const Duration took = boottime_now() - began;
  EXPECT_GE(took, Duration::from_s(5));
  EXPECT_LE(took, Duration::from_s(8));
  EXPECT_EQ(server->counters().timed_out, 2u);
}

TEST_F(Listener, CanGoWhileStrangersTalk) {
  listen_on_secondary();
  std::vector<Fd> strangers;
  for (int i = 0; i < 5; ++i) {
    strangers.push_back(stranger());
    say(strangers.back(), std::string_view("XBPR\x01", 5));
  }
  ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return server->counters().accepted == 5; }));
  server.reset();
  ASSERT_TRUE(loop->turn(boottime_now()));
  for (const Fd& socket : strangers) {
    EXPECT_TRUE(hear_out(socket));
  }
}

}  // namespace
}  // namespace cb::pairing
