// SPDX-License-Identifier: Apache-2.0
//
// A volume's register kept by the pairing's witness (docs/volume.md, "With a witness"): two nodes,
// the witness's own rule, and a line to it that loses questions and answers.
#include "agent/volume_register.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace cb::agent::test {
namespace {

using core::SoloBasis;
using core::volume::Kind;
using core::volume::Node;
using core::volume::Standing;
using core::witness::Operation;
using core::witness::Record;
using core::witness::Request;
using core::witness::Result;
using edge::KeptRegister;
using edge::WitnessAnswer;

constexpr std::uint64_t kPairing = 77;
const VolumeRegister::Own kInStep8{Standing::Together, 8};

Request request(Operation operation, const Register& expected = {}, const Register& wanted = {}) {
  Request out;
  out.operation = operation;
  out.expected = expected;
  out.wanted = wanted;
  return out;
}

struct Witness {
  Record record;
  bool away = false;          // hears nothing
  bool loses_answer = false;  // does it, and the answer does not arrive
  unsigned asked = 0;

  WitnessAnswer ask(const Request& what) {
    ++asked;
    if (away) {
      return {};
    }
    const auto outcome = core::witness::apply(record, what);
    return loses_answer ? WitnessAnswer{} : WitnessAnswer{outcome.result, record, ""};
  }
};

struct Side {
  Side(Node node, Witness& at) : self(node), witness(at) {
    RegisterWays ways;
    ways.state = [this]() -> const core::State& { return state; };
    ways.kept = [this] { return kept; };
    ways.keep = [this](const KeptRegister& value, const loop::Done& done) {
      if (keep_fails == 0) {
        kept = value;
      }
      done(keep_fails);
    };
    ways.accepts_loss = [this] { return accepts_loss; };
    ways.pairing = kPairing;
    ways.heard = [this] { return heard; };
    ways.read = [this](const auto& done) { done(ask(request(Operation::Read))); };
    ways.swap = [this](const Register& expected, const Register& wanted, const auto& done) {
      done(ask(request(Operation::Swap, expected, wanted)));
    };
    ways.know = [this](const Register& value) { known = value; };
    asked = std::make_unique<VolumeRegister>(node, std::move(ways));
    command();
  }

  // In command and solo by arbitration, and the ledger says so durably.
  void command() {
    state.settings.paired = true;
    state.settings.has_volume = true;
    state.in_command = true;
    state.solo = SoloBasis::Arbitration;
    state.durable.in_command = true;
    state.durable.solo = true;
    state.durable.peer_stale = true;
  }
  WitnessAnswer ask(Request what) {
    what.node = self;
    what.known = known;
    const WitnessAnswer answer = witness.ask(what);
    heard = answer.result ? answer.record : heard;
    return answer;
  }
  // As the edge does it every second.
  void meet(const VolumeRegister::Own& own) {
    asked->look(own);
    ask(request(Operation::Read));
    asked->look(own);
  }
  std::optional<Register> read(const VolumeRegister::Own& own) {
    std::optional<Register> out;
    asked->read(own, [&](int error, const Register& seen) {
      out = error == 0 ? std::optional(seen) : std::nullopt;
    });
    return out;
  }
  // 1 granted, 0 refused, -1 nobody knows.
  int swap(const VolumeRegister::Own& own, const Register& from, const Register& to) {
    int out = -2;
    asked->swap(own, from, to, [&](int error, bool granted) {
      out = error != 0 ? -1 : granted ? 1 : 0;
    });
    return out;
  }

  Node self;
  Witness& witness;
  core::State state;
  std::optional<KeptRegister> kept;
  int keep_fails = 0;
  bool accepts_loss = false;
  Record heard;
  Register known;
  std::unique_ptr<VolumeRegister> asked;
};

Register of(std::uint64_t epoch, Kind kind, Node holder) {
  return {epoch, {epoch, 1}, kind, holder};
}

class RegisterAtTheWitness : public testing::Test {
 protected:
  void SetUp() override {
    a.kept = KeptRegister{of(8, Kind::Together, 0), 0};
    a.meet(kInStep8);
    b.meet(kInStep8);
    a.meet(kInStep8);
    ASSERT_EQ(witness.record.volume, of(8, Kind::Together, 0));
  }
  Witness witness;
  Side a{0, witness};
  Side b{1, witness};
};

TEST_F(RegisterAtTheWitness, BothNodesReadTheSame) {
  EXPECT_EQ(a.read(kInStep8), of(8, Kind::Together, 0));
  EXPECT_EQ(b.read(kInStep8), of(8, Kind::Together, 0));
  EXPECT_EQ(b.kept->witness, kPairing);
}

TEST_F(RegisterAtTheWitness, OfTwoThatWantToBeAloneOneIsGrantedIt) {
  const Register seen = *a.read(kInStep8);
  ASSERT_EQ(b.read(kInStep8), seen);
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Alone, 1)), 1);
  EXPECT_EQ(a.swap(kInStep8, seen, of(10, Kind::Alone, 0)), 0);
  EXPECT_EQ(a.read(kInStep8), of(9, Kind::Alone, 1)) << "and what it reads deposes it";
}

TEST_F(RegisterAtTheWitness, AWitnessThatIsAwayGrantsNothing) {
  const Register seen = *b.read(kInStep8);
  witness.away = true;
  EXPECT_FALSE(b.read(kInStep8));
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Alone, 1)), -1);
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Together, 1)), -1);
  EXPECT_EQ(witness.record.volume, seen);
  witness.away = false;
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Alone, 1)), 1);
}

TEST_F(RegisterAtTheWitness, ALostAnswerIsReadAgainAndKeptBeforeItIsTold) {
  const Register seen = *b.read(kInStep8);
  witness.loses_answer = true;
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Alone, 1)), -1);
  EXPECT_NE(b.kept->value, of(9, Kind::Alone, 1)) << "not assumed";
  witness.loses_answer = false;
  b.keep_fails = EIO;
  EXPECT_FALSE(b.read(kInStep8)) << "found, but it cannot be kept";
  b.keep_fails = 0;
  EXPECT_EQ(b.read(kInStep8), of(9, Kind::Alone, 1));
  EXPECT_EQ(b.kept->value, of(9, Kind::Alone, 1));
}

TEST_F(RegisterAtTheWitness, IsNotGrantedBeforeThisNodeHasItDurably) {
  b.keep_fails = EIO;
  EXPECT_EQ(b.swap(kInStep8, of(8, Kind::Together, 0), of(9, Kind::Alone, 1)), -1);
  EXPECT_EQ(witness.record.volume, of(9, Kind::Alone, 1)) << "it is read again";
}

TEST_F(RegisterAtTheWitness, OnlyWhoIsInCommandAsksAndAloneOnlyWithTheLedger) {
  const Register seen = *b.read(kInStep8);
  b.state.durable.solo = false;
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Alone, 1)), -1);
  b.state.in_command = false;
  const unsigned asked = witness.asked;
  EXPECT_FALSE(b.read(kInStep8));
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Together, 1)), -1);
  EXPECT_EQ(witness.asked, asked);
  b.state.holds_data = true;
  EXPECT_EQ(b.swap(kInStep8, seen, of(9, Kind::Together, 1)), 1);
}

TEST_F(RegisterAtTheWitness, NobodyGoesBackOrClaimsForTheOther) {
  const Register seen = *b.read(kInStep8);
  EXPECT_EQ(b.swap(kInStep8, seen, of(8, Kind::Together, 1)), -1);
  EXPECT_EQ(b.swap(kInStep8, seen, of(10, Kind::Together, 0)), -1);
}

TEST_F(RegisterAtTheWitness, AWitnessThatLostItsMemoryLearnsTheNewestFromBothBeforeItAnswers) {
  ASSERT_EQ(a.swap(kInStep8, of(8, Kind::Together, 0), of(10, Kind::Alone, 0)), 1);
  witness.record = Record{};
  b.meet(kInStep8);
  EXPECT_FALSE(b.read(kInStep8)) << "it has not heard the other node";
  EXPECT_EQ(b.swap(kInStep8, of(8, Kind::Together, 0), of(9, Kind::Alone, 1)), -1);
  a.meet({Standing::Alone, 10});
  EXPECT_EQ(b.read(kInStep8), of(10, Kind::Alone, 0));
}

TEST_F(RegisterAtTheWitness, ANodeWhoseFileIsLostTellsWhatItsVolumeKnows) {
  a.kept.reset();
  a.asked->look({Standing::Alone, 12});
  EXPECT_EQ(a.known, (Register{12, {}, Kind::Alone, 0}));
  b.asked->look({Standing::Together, 12});
  EXPECT_EQ(b.known, (Register{12, {}, Kind::Together, 0}));
  b.kept.reset();
  b.asked->look({Standing::Outdated, 12});
  EXPECT_EQ(b.known, Register{});
}

TEST_F(RegisterAtTheWitness, AnOperatorWhoAcceptsTheLossOverridesIt) {
  ASSERT_EQ(a.swap(kInStep8, of(8, Kind::Together, 0), of(10, Kind::Alone, 0)), 1);
  b.state.solo = SoloBasis::Forced;
  EXPECT_EQ(b.read(kInStep8)->holder, 0) << "forced, but no loss of data was accepted";
  b.accepts_loss = true;
  const Register seen = *b.read(kInStep8);
  EXPECT_EQ(seen, (Register{10, {10, 1}, Kind::Alone, 1}));
  EXPECT_EQ(b.swap(kInStep8, seen, of(11, Kind::Alone, 1)), 1);
  EXPECT_EQ(witness.record.volume, of(11, Kind::Alone, 1));
  EXPECT_EQ(a.read({Standing::Alone, 10}), of(11, Kind::Alone, 1));
}

TEST_F(RegisterAtTheWitness, AnOperatorAlsoOverridesAWitnessThatIsAwayAndItHearsOfItLater) {
  b.state.solo = SoloBasis::Forced;
  witness.away = true;
  EXPECT_FALSE(b.read(kInStep8));
  b.accepts_loss = true;
  const Register seen = *b.read(kInStep8);
  EXPECT_EQ(b.swap(kInStep8, seen, of(11, Kind::Alone, 1)), 1);
  b.accepts_loss = false;  // it was promoted
  witness.away = false;
  EXPECT_EQ(witness.record.volume, of(8, Kind::Together, 0));
  b.meet({Standing::Alone, 11});
  EXPECT_EQ(witness.record.volume, of(11, Kind::Alone, 1));
}

TEST(RegisterBeforeTheWitness, IsOurOwnUntilItHasAnsweredOnceAndThenNeverAgain) {
  Witness witness;
  witness.away = true;  // not enrolled yet: the key comes with the pairing
  Side a{0, witness};
  a.kept = KeptRegister{of(2, Kind::Alone, 0), 0};
  EXPECT_EQ(a.read({Standing::Alone, 2}), of(2, Kind::Alone, 0));
  EXPECT_EQ(a.swap({Standing::Alone, 2}, of(2, Kind::Alone, 0), of(4, Kind::Together, 0)), 1);
  EXPECT_EQ(witness.asked, 0u);

  witness.away = false;
  Side b{1, witness};
  a.meet({Standing::Together, 4});
  EXPECT_EQ(a.kept->witness, 0u) << "it has not heard both nodes: it is no authority yet";
  b.meet({Standing::Together, 4});
  a.meet({Standing::Together, 4});
  EXPECT_EQ(witness.record.volume, of(4, Kind::Together, 0));
  EXPECT_EQ(a.kept->witness, kPairing);

  // Another life of the monitor, and the witness is away.
  witness.away = true;
  a.heard = Record{};
  EXPECT_FALSE(a.read({Standing::Together, 4}));
}

TEST(RegisterBeforeTheWitness, WhatWasGrantedMeanwhileIsToldToIt) {
  Witness witness;
  Side a{0, witness};
  Side b{1, witness};
  a.kept = KeptRegister{of(2, Kind::Alone, 0), 0};
  a.meet({Standing::Alone, 2});
  b.meet({Standing::Fresh, 0});
  // The witness has met both; this node does not know it yet.
  ASSERT_EQ(a.swap({Standing::Alone, 2}, of(2, Kind::Alone, 0), of(4, Kind::Together, 0)), 1);
  EXPECT_EQ(witness.record.volume, of(2, Kind::Alone, 0));
  a.meet({Standing::Together, 4});
  a.meet({Standing::Together, 4});
  EXPECT_EQ(witness.record.volume, of(4, Kind::Together, 0));
  EXPECT_EQ(b.read({Standing::Together, 4}), of(4, Kind::Together, 0));
}

TEST(RegisterBeforeTheWitness, AnotherPairingsWitnessCountsForNothing) {
  Witness witness;
  witness.away = true;
  Side a{0, witness};
  a.kept = KeptRegister{of(6, Kind::Alone, 0), kPairing + 1};
  EXPECT_EQ(a.read({Standing::Alone, 6}), of(6, Kind::Alone, 0));
}

}  // namespace
}  // namespace cb::agent::test
