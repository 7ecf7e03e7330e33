// SPDX-License-Identifier: Apache-2.0
#include "witness/service.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "tests/base/temporary_folder.h"
#include "tests/witness/client.h"

namespace cb::witness {
namespace {

using core::witness::Holder;
using core::witness::Operation;
using core::witness::Result;

class WitnessService : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto_ready());
    restart();
    ASSERT_TRUE(store_->add(enrolment_));
    for (TestNode* node : {&primary_, &secondary_}) {
      ASSERT_TRUE(begin(*node));
      ask(*node, Operation::Read);
    }
  }
  void restart() {
    service_.reset();
    store_.reset();
    store_ = *Store::open(folder_.at("state"));
    service_ = std::make_unique<Service>(*store_);
  }
  std::optional<Datagram> send(const Datagram& bytes) {
    now_ = now_ + Duration::from_s(1);  // below every limit of rate
    return service_->on_datagram(bytes, now_);
  }
  bool begin(TestNode& node) {
    node.renew();
    return node.on_challenge(send(node.hello()));
  }
  std::optional<Message> ask(TestNode& node, Operation operation, std::uint64_t term = 0) {
    return node.answer(send(node.ask(request_of(operation, term))));
  }

  test::TemporaryFolder folder_;
  Enrolment enrolment_ = test_enrolment();
  TestNode primary_{enrolment_, 0};
  TestNode secondary_{enrolment_, 1};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Service> service_;
  Instant now_ = Instant::from_ns(1);
};

TEST_F(WitnessService, GrantsToOneAndRefusesTheOther) {
  const auto granted = ask(primary_, Operation::Grant, 4);
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->result, Result::Done);
  const auto refused = ask(secondary_, Operation::Grant, 5);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->result, Result::Refused);
  EXPECT_EQ(refused->record.holder, Holder::Primary);
}

TEST_F(WitnessService, AnswersALostAnswerAgainWithTheSameBytes) {
  const Datagram request = primary_.ask(request_of(Operation::Grant, 4));
  const auto first = send(request);
  ASSERT_TRUE(primary_.answer(first));
  const auto counts = service_->counts().changes;
  EXPECT_EQ(send(request), first);
  EXPECT_EQ(service_->counts().changes, counts);
}

TEST_F(WitnessService, DropsWhatIsOlderThanTheNewest) {
  const Datagram release = primary_.ask(request_of(Operation::Release));  // held back on its way
  ASSERT_TRUE(ask(primary_, Operation::Grant, 4));
  EXPECT_FALSE(send(release));
  EXPECT_EQ(service_->counts().old, 1u);
  EXPECT_EQ(ask(secondary_, Operation::Grant, 5)->result, Result::Refused);
}

TEST_F(WitnessService, NothingOfAnOldSessionHasAnEffect) {
  const Datagram hello = primary_.hello();
  const Datagram release = primary_.ask(request_of(Operation::Release));
  ASSERT_TRUE(begin(primary_));
  ASSERT_EQ(ask(primary_, Operation::Grant, 4)->result, Result::Done);
  EXPECT_TRUE(primary_.is_no_session(send(release)));
  ASSERT_TRUE(send(hello));  // a recorded hello gets a challenge that fits no recorded request
  EXPECT_TRUE(primary_.is_no_session(send(release)));
  EXPECT_EQ(ask(secondary_, Operation::Grant, 5)->result, Result::Refused);
}

TEST_F(WitnessService, NothingRecordedBeforeARestartHasAnEffect) {
  const Datagram hello = primary_.hello();
  const Datagram release = primary_.ask(request_of(Operation::Release));
  ASSERT_EQ(ask(primary_, Operation::Grant, 4)->result, Result::Done);
  restart();
  ASSERT_TRUE(send(hello));
  EXPECT_TRUE(primary_.is_no_session(send(release)));
  ASSERT_TRUE(begin(secondary_));
  EXPECT_EQ(ask(secondary_, Operation::Grant, 5)->result, Result::Refused);
}

TEST_F(WitnessService, NothingRecordedBeforeItWasForgottenHasAnEffect) {
  primary_.renew();
  const Datagram hello = primary_.hello();
  ASSERT_TRUE(primary_.on_challenge(send(hello)));
  const Datagram read = primary_.ask(request_of(Operation::Read));
  now_ = now_ + Duration::from_s(1);
  ASSERT_EQ(service_->on_command("forget " + pairing_text(enrolment_.pairing), now_).find("error"),
            std::string::npos);
  ASSERT_EQ(service_->on_command("add " + enrolment_line(enrolment_), now_).find("error"),
            std::string::npos);
  ASSERT_TRUE(send(hello));
  EXPECT_TRUE(primary_.is_no_session(send(read)));
  EXPECT_EQ(store_->find(enrolment_.pairing)->record.met, 0);
}

TEST_F(WitnessService, RemembersAGrantOverItsOwnDeath) {
  ASSERT_EQ(ask(secondary_, Operation::Grant, 5)->result, Result::Done);
  restart();
  EXPECT_TRUE(secondary_.is_no_session(send(secondary_.ask(request_of(Operation::Read)))));
  ASSERT_TRUE(begin(primary_));
  EXPECT_EQ(ask(primary_, Operation::Grant, 6)->result, Result::Refused);
  ASSERT_TRUE(begin(secondary_));
  EXPECT_EQ(ask(secondary_, Operation::Read)->record.holder, Holder::Secondary);
}

TEST_F(WitnessService, AnotherKeyAnotherNodeOrABentByteIsNotAnswered) {
  Enrolment other = enrolment_;
  other.key[0] ^= 1;
  EXPECT_FALSE(send(TestNode(other, 0).hello()));
  const Datagram request = primary_.ask(request_of(Operation::Grant, 4));
  for (std::size_t at = 0; at < request.size(); ++at) {
    Datagram bent = request;
    bent[at] ^= std::byte{1};
    const auto reply = send(bent);
    EXPECT_FALSE(primary_.answer(reply)) << at;
    EXPECT_FALSE(secondary_.answer(reply)) << at;
  }
  EXPECT_EQ(store_->find(enrolment_.pairing)->record.holder, Holder::Nobody);
  EXPECT_GT(service_->counts().forged, 100u);
}

TEST_F(WitnessService, AStrangerGetsAHintOfTheSameSizeAndNotMany) {
  TestNode stranger(test_enrolment(9), 0);
  unsigned hints = 0;
  for (int i = 0; i < 100; ++i) {
    const auto reply = service_->on_datagram(stranger.hello(), now_);
    hints += reply ? 1 : 0;
    if (reply) {
      EXPECT_EQ(decode(*reply)->type, Type::Stranger);
    }
  }
  EXPECT_EQ(hints, 10u);
}

TEST_F(WitnessService, HellosAndChangesHaveALimitOfRate) {
  unsigned answered = 0;
  for (int i = 0; i < 100; ++i) {
    answered += service_->on_datagram(primary_.hello(), now_) ? 1 : 0;
  }
  EXPECT_EQ(answered, 20u);
  for (int i = 0; i < 200; ++i) {
    const auto operation = i % 2 == 0 ? Operation::Grant : Operation::Release;
    service_->on_datagram(primary_.ask(request_of(operation, 4)), now_);
  }
  EXPECT_LE(service_->counts().changes, 42u);
  EXPECT_GT(service_->counts().too_many, 100u);
  // What was refused for its rate changed nothing, and goes through later.
  EXPECT_TRUE(ask(primary_, Operation::Grant, 8));
}

TEST_F(WitnessService, WhatItCannotReadItDoesNotAnswerFor) {
  store_->find(enrolment_.pairing)->trouble = "the disk failed";
  const auto reply = ask(primary_, Operation::Grant, 4);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->result, Result::Failed);
  EXPECT_EQ(reply->record, core::witness::Record{});
  EXPECT_NE(service_->on_command("list", now_).find("the disk failed"), std::string::npos);
}

TEST_F(WitnessService, AnswersNothingOfWhatIsNotARequest) {
  Prng prng(3);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> noise(prng.below(600));
    for (std::byte& byte : noise) {
      byte = static_cast<std::byte>(prng.below(256));
    }
    EXPECT_FALSE(service_->on_datagram(noise, now_));
  }
  EXPECT_EQ(service_->counts().malformed, 2000u);
  const auto challenge = send(primary_.hello());
  EXPECT_FALSE(send(*challenge));  // our own words sent back to us
}

TEST_F(WitnessService, ShowsWhoHoldsWhat) {
  ASSERT_TRUE(ask(secondary_, Operation::Grant, 5));
  const std::string list = service_->on_command("list", now_);
  EXPECT_NE(list.find("held by secondary, term 5"), std::string::npos) << list;
  EXPECT_NE(service_->on_command("list --json", now_).find("\"holder\":\"secondary\""),
            std::string::npos);
  EXPECT_NE(service_->on_command("status", now_).find("Witness for 1 pairings"), std::string::npos);
  EXPECT_TRUE(service_->on_command("nonsense", now_).starts_with("error: "));
  EXPECT_TRUE(service_->on_command("add nonsense", now_).starts_with("error: "));
  EXPECT_TRUE(service_->on_command("forget 12", now_).starts_with("error: "));
  EXPECT_EQ(service_->on_command("list", now_).find("0707"), std::string::npos);  // never a key
}

}  // namespace
}  // namespace cb::witness
