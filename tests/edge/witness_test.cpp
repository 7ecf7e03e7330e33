// SPDX-License-Identifier: Apache-2.0
//
// The node's end against the real service, over a socket that loses what the test says.
#include "edge/witness.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"
#include "witness/service.h"

namespace cb::test {
namespace {

using core::Verdict;
using core::volume::Kind;
using core::volume::Register;
using core::witness::Holder;
using core::witness::Result;
using edge::WitnessAnswer;
using edge::WitnessEdge;
using witness::Service;
using witness::Store;

constexpr Duration kSoon = Duration::from_s(5);

class WitnessClient : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(witness::crypto_ready());
    enrolment.pairing = 0x77;
    enrolment.key.fill(5);
    open_socket();
    restart();
    ASSERT_TRUE(store->add(enrolment));
    primary = client(0);
    secondary = client(1);
    ASSERT_TRUE(until([&] {
      return store->find(enrolment.pairing)->record.met == 3 && primary->facts().answers &&
             secondary->facts().answers;
    }));
  }
  void TearDown() override {
    primary.reset();
    secondary.reset();
    if (socket) {
      loop->unwatch(socket.get());
    }
  }
  void open_socket() {
    socket = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    socklen_t length = sizeof name;
    ASSERT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
    port = ntohs(name.sin_port);
    loop->watch(socket.get(), [this] { serve(); });
  }
  void restart() {
    service.reset();
    store.reset();
    auto opened = Store::open(folder.at("state"));
    ASSERT_TRUE(opened) << to_text(opened.error());
    store = *std::move(opened);
    service = std::make_unique<Service>(*store);
  }
  void serve() {
    std::array<std::byte, 512> bytes;
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t count = ::recvfrom(socket.get(), bytes.data(), bytes.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &length);
    ASSERT_GE(count, 0);
    ++came;
    if (deaf) {
      return;
    }
    const std::span<const std::byte> datagram(bytes.data(), static_cast<size_t>(count));
    const auto reply = service->on_datagram(datagram, boottime_now());
    service->settle();
    const auto asked = witness::decode(datagram);
    const bool request = asked && asked->type == witness::Type::Request;
    if (!reply || (request && lose_answers > 0 && lose_answers-- > 0)) {
      return;
    }
    for (const witness::Datagram& bytes_before : injected) {
      ::sendto(socket.get(), bytes_before.data(), bytes_before.size(), 0,
               reinterpret_cast<sockaddr*>(&from), length);
    }
    ::sendto(socket.get(), reply->data(), reply->size(), 0, reinterpret_cast<sockaddr*>(&from),
             length);
    if (request) {
      recorded = *reply;
    }
  }
  std::unique_ptr<WitnessEdge> client(core::volume::Node node) {
    WitnessEdge::Options options;
    options.address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    options.port = port;
    options.pairing = enrolment.pairing;
    options.node = node;
    options.key = enrolment.key;
    options.deadline = deadline;
    options.holds = [this] { return holds; };
    options.on_change = [this](bool answers, const std::string& text) {
      changes.emplace_back(answers, text);
    };
    auto opened = WitnessEdge::open(*loop, std::move(options));
    EXPECT_TRUE(opened) << to_text(opened.error());
    return *std::move(opened);
  }
  bool until(const std::function<bool()>& condition) { return turn_until(*loop, condition); }
  Verdict grant(WitnessEdge& edge, std::uint64_t term, Duration within = kSoon) {
    std::optional<Verdict> verdict;
    edge.grant(term, boottime_now() + within, [&](Verdict said, const std::string& text) {
      EXPECT_FALSE(verdict) << "answered twice";
      verdict = said;
      said_text = text;
    });
    EXPECT_TRUE(until([&] { return verdict.has_value(); }));
    return verdict.value_or(Verdict::Isolated);
  }
  WitnessAnswer swap(WitnessEdge& edge, const Register& expected, const Register& wanted,
                     Duration within = kSoon) {
    std::optional<WitnessAnswer> answer;
    edge.swap(expected, wanted, boottime_now() + within,
              [&](const WitnessAnswer& said) { answer = said; });
    EXPECT_TRUE(until([&] { return answer.has_value(); }));
    return answer.value_or(WitnessAnswer{});
  }
  static Register at(std::uint64_t epoch) {
    return {epoch, {epoch + 1, 4}, Kind::Together, static_cast<core::volume::Node>(epoch % 2)};
  }
  const core::witness::Record& record() { return store->find(enrolment.pairing)->record; }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
  witness::Enrolment enrolment;
  std::unique_ptr<Store> store;
  std::unique_ptr<Service> service;
  Fd socket;
  std::uint16_t port = 0;
  Duration deadline = Duration::from_s(30);
  bool holds = false;
  bool deaf = false;
  int lose_answers = 0;
  int came = 0;
  std::vector<witness::Datagram> injected;  // sent as the witness, before each true answer
  witness::Datagram recorded{};
  std::string said_text;
  std::vector<std::pair<bool, std::string>> changes;
  std::unique_ptr<WitnessEdge> primary;
  std::unique_ptr<WitnessEdge> secondary;
};

TEST_F(WitnessClient, IsGrantedOrRefused) {
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
  EXPECT_EQ(grant(*secondary, 5), Verdict::Refused);
  EXPECT_NE(said_text.find("held by the primary, for term 4"), std::string::npos) << said_text;
  primary->release();
  ASSERT_TRUE(until([&] { return record().holder == Holder::Nobody; }));
  EXPECT_EQ(grant(*secondary, 5), Verdict::Granted);
}

TEST_F(WitnessClient, AsksAgainForAnAnswerThatWasLost) {
  lose_answers = 3;
  EXPECT_EQ(grant(*secondary, 5), Verdict::Granted);
  EXPECT_EQ(lose_answers, 0);
  EXPECT_EQ(record().counter, 3u);  // met twice, and one grant however often it was asked
}

TEST_F(WitnessClient, WithoutAnAnswerNobodyKnows) {
  deaf = true;
  EXPECT_EQ(grant(*secondary, 5, Duration::from_ms(30)), Verdict::Unavailable);
  EXPECT_FALSE(swap(*primary, {}, at(2), Duration::from_ms(30)).result);
}

TEST_F(WitnessClient, AGrantWhoseAnswerWasLostIsGivenBackByRelease) {
  lose_answers = 1'000;
  EXPECT_EQ(grant(*secondary, 5, Duration::from_ms(30)), Verdict::Unavailable);
  EXPECT_EQ(record().holder, Holder::Secondary);
  secondary->release();
  ASSERT_TRUE(until([&] { return record().holder == Holder::Nobody; }));
  lose_answers = 0;
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
}

TEST_F(WitnessClient, WhatWasTakenBackIsNotAnswered) {
  deaf = true;
  const auto take_back = secondary->grant(
      5, boottime_now() + kSoon,
      [](Verdict, const std::string&) { ADD_FAILURE() << "answered after it was taken back"; });
  const int before = came;
  const auto answered = service->counts().answered;
  ASSERT_TRUE(until([&] { return came > before; }));
  take_back();
  deaf = false;
  secondary->release();  // what is still on its way may be granted
  ASSERT_TRUE(until([&] { return service->counts().answered > answered + 1; }));
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
}

TEST_F(WitnessClient, ANewGrantOvertakesAnUnheardRelease) {
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
  deaf = true;
  primary->release();
  const int before = came;
  ASSERT_TRUE(until([&] { return came > before; }));
  deaf = false;
  EXPECT_EQ(grant(*primary, 6), Verdict::Granted);
  EXPECT_EQ(grant(*secondary, 7), Verdict::Refused);
}

TEST_F(WitnessClient, AForcedNodeTakesTheAddressAndKeepsAskingUntilItHasIt) {
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
  deaf = true;
  secondary->seize(5);
  const int before = came;
  ASSERT_TRUE(until([&] { return came > before + 2; }));
  deaf = false;
  ASSERT_TRUE(until([&] { return record().holder == Holder::Secondary; }));
  EXPECT_EQ(grant(*primary, 6), Verdict::Refused);
  secondary->release();
  ASSERT_TRUE(until([&] { return record().holder == Holder::Nobody; }));
  EXPECT_EQ(grant(*primary, 6), Verdict::Granted);
}

TEST_F(WitnessClient, SwapsOnceAndReadsWhatIsThere) {
  EXPECT_EQ(swap(*primary, {}, at(2)).result, Result::Done);
  const WitnessAnswer refused = swap(*secondary, {}, at(3));
  EXPECT_EQ(refused.result, Result::Refused);
  EXPECT_EQ(refused.record.volume, at(2));
  EXPECT_EQ(swap(*secondary, at(2), at(3)).result, Result::Done);
  std::optional<WitnessAnswer> read;
  primary->read(boottime_now() + kSoon, [&](const WitnessAnswer& said) { read = said; });
  ASSERT_TRUE(until([&] { return read.has_value(); }));
  EXPECT_EQ(read->record.volume, at(3));
}

// Done, the answer lost, the service restarted: what is asked again is not the same request any
// more.
TEST_F(WitnessClient, ASwapWhoseAnswerWasLostInARestartFindsItsOwnWork) {
  lose_answers = 1;
  std::optional<WitnessAnswer> answer;
  primary->swap({}, at(2), boottime_now() + kSoon,
                [&](const WitnessAnswer& said) { answer = said; });
  ASSERT_TRUE(until([&] { return record().volume == at(2); }));
  restart();
  ASSERT_TRUE(until([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->result, Result::Done);
  EXPECT_EQ(record().counter, 3u);
}

TEST_F(WitnessClient, TheAddressGoesBeforeTheVolume) {
  deaf = true;
  std::vector<std::string> order;
  for (const std::uint64_t epoch : {2, 4}) {
    primary->swap(at(epoch - 2), at(epoch), boottime_now() + kSoon,
                  [&order](const WitnessAnswer&) { order.emplace_back("swap"); });
  }
  const int before = came;
  ASSERT_TRUE(until([&] { return came > before; }));
  primary->grant(4, boottime_now() + kSoon,
                 [&order](Verdict, const std::string&) { order.emplace_back("grant"); });
  deaf = false;
  ASSERT_TRUE(until([&] { return order.size() == 3; }));
  EXPECT_EQ(order, (std::vector<std::string>{"grant", "swap", "swap"}));
}

TEST_F(WitnessClient, GoesOnAfterARestartOfTheWitness) {
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
  for (int i = 0; i < 3; ++i) {
    restart();
    EXPECT_EQ(grant(*secondary, 5), Verdict::Refused);
    EXPECT_EQ(grant(*primary, 6), Verdict::Granted);
  }
}

TEST_F(WitnessClient, BelievesNoForgedAndNoRecordedAnswer) {
  EXPECT_EQ(grant(*primary, 4), Verdict::Granted);
  const witness::Datagram granted = recorded;
  EXPECT_EQ(grant(*secondary, 5), Verdict::Refused);
  witness::Datagram bent = recorded;
  bent[56] = std::byte{1};  // Refused made Done
  injected = {granted, bent, recorded};
  for (std::uint64_t term = 7; term < 27; term += 2) {
    EXPECT_EQ(grant(*secondary, term), Verdict::Refused);
  }
  EXPECT_GE(secondary->facts().dropped, 30u);
}

TEST_F(WitnessClient, AStrangersAnswerIsAHintAndNoVerdict) {
  ASSERT_TRUE(store->forget(enrolment.pairing));
  service = std::make_unique<Service>(*store);
  EXPECT_EQ(grant(*primary, 4, Duration::from_ms(50)), Verdict::Unavailable);
  EXPECT_NE(said_text.find("does not know this pairing"), std::string::npos) << said_text;
}

TEST_F(WitnessClient, AWitnessThatIsNewIsToldWhatIsHeldBeforeItGrants) {
  ASSERT_TRUE(store->forget(enrolment.pairing));
  holds = true;
  secondary->know(at(9));
  primary.reset();
  restart();
  ASSERT_TRUE(store->add(enrolment));
  ASSERT_TRUE(until([&] { return record().met == 2; }));
  EXPECT_EQ(grant(*secondary, 5, Duration::from_ms(100)), Verdict::Unavailable);
  EXPECT_NE(said_text.find("has not heard both nodes"), std::string::npos) << said_text;
  holds = false;
  primary = client(0);
  ASSERT_TRUE(until([&] { return record().met == 3; }));
  EXPECT_EQ(grant(*primary, 6), Verdict::Refused);
  EXPECT_EQ(record().volume, at(9));
}

TEST_F(WitnessClient, SaysOnceThatTheWitnessIsGone) {
  deadline = Duration::from_ms(1);
  secondary = client(1);
  ASSERT_TRUE(until([&] { return secondary->facts().answered > 0; }));
  EXPECT_TRUE(changes.empty());  // that it answers is no news
  loop->unwatch(socket.get());
  socket.reset();
  ASSERT_TRUE(until([&] { return !secondary->facts().answers && !changes.empty(); }));
  EXPECT_FALSE(changes[0].first);
  EXPECT_NE(changes[0].second.find("no answer from 127.0.0.1 port"), std::string::npos);
  open_socket();
  const auto answered = secondary->facts().answered;
  ASSERT_TRUE(until([&] { return secondary->facts().answered > answered; }));
  EXPECT_EQ(changes.size(), 1u);  // at most one a minute
}

}  // namespace
}  // namespace cb::test
