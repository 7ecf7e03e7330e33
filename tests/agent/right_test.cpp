// SPDX-License-Identifier: Apache-2.0
//
// The register without a witness (docs/volume.md): who may be told what it holds, and who may
// change it.
#include "agent/right.h"

#include <gtest/gtest.h>

namespace cb::agent::test {
namespace {

using core::SoloBasis;
using core::volume::Kind;
using core::volume::Standing;

// In command and solo by arbitration, and the ledger says so durably.
core::State alone() {
  core::State s;
  s.settings.paired = true;
  s.settings.has_volume = true;
  s.in_command = true;
  s.solo = SoloBasis::Arbitration;
  s.durable.in_command = true;
  s.durable.solo = true;
  s.durable.peer_stale = true;
  return s;
}

core::State leased() {
  core::State s = alone();
  s.solo = SoloBasis::None;
  return s;
}

RightFacts facts(Standing standing, std::uint64_t epoch, std::optional<Register> kept = {}) {
  return {.self = 1, .standing = standing, .epoch = epoch, .kept = kept};
}

const Register kOwn{8, {1, 2}, Kind::Together, 1};

TEST(RegisterWithoutWitness, TellsNothingToWhoIsNotInCommand) {
  core::State s = alone();
  s.in_command = false;
  EXPECT_FALSE(register_now(s, facts(Standing::Together, 8)));
  EXPECT_FALSE(register_now(s, facts(Standing::Together, 8, kOwn)));
  s.holds_data = true;  // climbing: from the rung that promotes on
  EXPECT_TRUE(register_now(s, facts(Standing::Together, 8)));
}

TEST(RegisterWithoutWitness, AStandbyThatWasInStepFindsItsPeersEpochTogether) {
  const auto now = register_now(alone(), facts(Standing::Together, 8));
  EXPECT_EQ(now, (Register{8, {}, Kind::Together, 0}));
}

TEST(RegisterWithoutWitness, WhatWasWrittenHereLastHoldsUntilALaterEpochIsRecorded) {
  EXPECT_EQ(register_now(alone(), facts(Standing::Together, 8, kOwn)), kOwn);
  EXPECT_EQ(register_now(alone(), facts(Standing::Together, 9, kOwn)),
            (Register{9, {}, Kind::Together, 0}))
      << "the peer has written since, and we joined it";
  EXPECT_EQ(register_now(alone(), facts(Standing::Alone, 7, kOwn)), kOwn)
      << "granted, and not yet recorded";
}

TEST(RegisterWithoutWitness, AnAloneWriterFindsItselfEvenWhenTheFileIsLost) {
  EXPECT_EQ(register_now(alone(), facts(Standing::Alone, 8)), (Register{8, {}, Kind::Alone, 1}));
}

TEST(RegisterWithoutWitness, ACopyThatIsBehindFindsThePeerUnlessTheLossIsAccepted) {
  for (const Standing standing : {Standing::Fresh, Standing::CatchingUp, Standing::Outdated}) {
    EXPECT_EQ(register_now(alone(), facts(standing, 8, kOwn)),
              (Register{8, {}, Kind::Together, 0}));
    core::State forced = alone();
    forced.solo = SoloBasis::Forced;
    EXPECT_EQ(register_now(forced, facts(standing, 8, kOwn)), (Register{8, {}, Kind::Alone, 1}));
  }
}

Register wanted(Kind kind, std::uint64_t epoch) { return {epoch, {7, 7}, kind, 1}; }

TEST(RegisterWithoutWitness, AloneIsGrantedOnlyWhenTheLedgerSaysSoDurably) {
  const RightFacts f = facts(Standing::Together, 8);
  const Register now = *register_now(alone(), f);
  EXPECT_EQ(judge_swap(alone(), f, now, wanted(Kind::Alone, 9)), Right::Granted);
  EXPECT_EQ(judge_swap(leased(), f, now, wanted(Kind::Alone, 9)), Right::Unknown);
  core::State s = alone();
  s.leaving_solo = true;
  EXPECT_EQ(judge_swap(s, f, now, wanted(Kind::Alone, 9)), Right::Unknown);
  s = alone();
  s.durable.solo = false;
  EXPECT_EQ(judge_swap(s, f, now, wanted(Kind::Alone, 9)), Right::Unknown);
  s = alone();
  s.durable.peer_stale = false;
  EXPECT_EQ(judge_swap(s, f, now, wanted(Kind::Alone, 9)), Right::Unknown)
      << "by policy only: the peer could take over with what it has";
}

TEST(RegisterWithoutWitness, TogetherIsGrantedToWhoIsInCommand) {
  const RightFacts f = facts(Standing::Together, 8);
  const Register now = *register_now(leased(), f);
  EXPECT_EQ(judge_swap(leased(), f, now, wanted(Kind::Together, 9)), Right::Granted);
  core::State s = leased();
  s.in_command = false;
  EXPECT_EQ(judge_swap(s, f, now, wanted(Kind::Together, 9)), Right::Unknown);
}

TEST(RegisterWithoutWitness, ASwapFromWhatItNoLongerHoldsIsRefused) {
  const RightFacts f = facts(Standing::Together, 8, kOwn);
  EXPECT_EQ(judge_swap(alone(), f, Register{8, {}, Kind::Together, 0}, wanted(Kind::Alone, 9)),
            Right::Refused);
  EXPECT_EQ(judge_swap(alone(), f, kOwn, wanted(Kind::Alone, 9)), Right::Granted);
}

TEST(RegisterWithoutWitness, NobodyGoesBackOrClaimsForTheOther) {
  const RightFacts f = facts(Standing::Together, 8, kOwn);
  EXPECT_NE(judge_swap(alone(), f, kOwn, wanted(Kind::Alone, 8)), Right::Granted);
  Register other = wanted(Kind::Alone, 9);
  other.holder = 0;
  EXPECT_NE(judge_swap(alone(), f, kOwn, other), Right::Granted);
}

}  // namespace
}  // namespace cb::agent::test
