// SPDX-License-Identifier: Apache-2.0
#include "pairing/session.h"

#include <gtest/gtest.h>

#include "tests/pairing/pair_run.h"

namespace cb::pairing {
namespace {

using test::address;
using test::other_pair;
using test::PairRun;
using test::prefix;

bool nothing_saved(const PairRun& run) {
  return !run.primary_disk.pair && !run.secondary_disk.pair && run.primary_disk.saves == 0 &&
         run.secondary_disk.saves == 0;
}

TEST(Pairing, GivesBothNodesTheSamePairing) {
  PairRun run;
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.refusal, Refusal::None);
  EXPECT_EQ(run.seen.size(), static_cast<std::size_t>(PairRun::kMessages));
  ASSERT_TRUE(run.primary_disk.pair && run.secondary_disk.pair);
  const config::Pair& ours = *run.primary_disk.pair;
  const config::Pair& theirs = *run.secondary_disk.pair;

  EXPECT_NE(ours.id, 0u);
  EXPECT_NE(ours.key, (std::array<std::uint8_t, 32>{}));
  EXPECT_EQ(ours.self_role, core::Role::Primary);
  EXPECT_EQ(ours.primary_hm, address("10.66.0.1"));
  EXPECT_EQ(ours.secondary_hm, address("10.66.0.2"));
  EXPECT_EQ(ours.virtual_addresses, std::vector{prefix("10.66.0.11/24")});
  EXPECT_EQ(ours.peer_name, "mse2");
  EXPECT_EQ(ours.peer_udi, "AIR-MSE-VA-K9:V01:mse2_5678");
  EXPECT_EQ(ours.peer_version, "0.1.0");
  EXPECT_TRUE(ours.automatic_failover);  // the primary's settings
  EXPECT_FALSE(ours.automatic_failback);
  EXPECT_EQ(ours.failover_wait, Duration::from_s(7));
  EXPECT_EQ(ours.instance_number, 5);
  EXPECT_TRUE(ours.direct);

  config::Pair expected = ours;
  expected.self_role = core::Role::Secondary;
  expected.peer_name = "mse1";
  expected.peer_udi = "AIR-MSE-VA-K9:V01:mse1_1234";
  EXPECT_EQ(theirs, expected);
}

TEST(Pairing, TellsTheVersionOfTheProduct) {
  PairRun run;
  run.primary.product_version = run.secondary.product_version = "8.0.110.0";
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.primary_disk.pair->peer_version, "8.0.110.0");
  EXPECT_EQ(run.secondary_disk.pair->peer_version, "8.0.110.0");
}

TEST(Pairing, GivesASecondPrimaryANumberOfItsOwn) {
  PairRun run;
  run.primary.instance_number = 3;
  run.secondary.pairs = {other_pair(0)};
  ASSERT_EQ(run.secondary.pairs[0].instance_number, 3);
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.primary_disk.pair->instance_number, 4);
  EXPECT_EQ(run.secondary_disk.pair->instance_number, 4);
}

TEST(Pairing, UsesTheCableOnlyWhenBothHaveOne) {
  PairRun run;
  run.secondary.direct = false;
  ASSERT_TRUE(run.go());
  EXPECT_FALSE(run.primary_disk.pair->direct);
  EXPECT_FALSE(run.secondary_disk.pair->direct);
}

TEST(Pairing, NeverSendsTheKeyOrTheCode) {
  PairRun run;
  const std::string code = run.new_code();
  ASSERT_TRUE(run.go(code));
  std::string transcript;
  for (const std::string& message : run.seen) {
    transcript += message;
  }
  const auto& key = run.primary_disk.pair->key;
  // Not whole, not in parts, not backwards.
  const std::string forwards(key.begin(), key.end());
  const std::string backwards(key.rbegin(), key.rend());
  for (std::size_t at = 0; at + 6 <= forwards.size(); ++at) {
    EXPECT_EQ(transcript.find(forwards.substr(at, 6)), std::string::npos);
    EXPECT_EQ(transcript.find(backwards.substr(at, 6)), std::string::npos);
  }
  const CodeSecret secret = *parse_code(code);
  const std::string plain(secret.data(), secret.data() + secret.size());
  for (std::size_t at = 0; at + 6 <= plain.size(); ++at) {
    EXPECT_EQ(transcript.find(plain.substr(at, 6)), std::string::npos);
  }
  // The search itself works: what is sent in clear is found.
  EXPECT_NE(transcript.find("AIR-MSE-VA-K9:V01:mse1_1234"), std::string::npos);
}

TEST(Pairing, GivesEveryRunAnotherKey) {
  PairRun first;
  PairRun second;
  ASSERT_TRUE(first.go());
  ASSERT_TRUE(second.go());
  EXPECT_NE(first.primary_disk.pair->key, second.primary_disk.pair->key);
  EXPECT_NE(first.primary_disk.pair->id, second.primary_disk.pair->id);
}

TEST(Pairing, WithAWrongCodeSavesNothingAndSaysSo) {
  PairRun run;
  (void)run.new_code();
  EXPECT_FALSE(run.go(code_text(make_code())));
  EXPECT_EQ(run.failure.refusal, Refusal::WrongCode);
  EXPECT_EQ(run.refusal, Refusal::WrongCode);
  EXPECT_NE(run.failure.what.find("10.66.0.2"), std::string::npos);
  EXPECT_TRUE(nothing_saved(run));
  // The primary proved first: the secondary gave nothing away but its share.
  EXPECT_EQ(run.seen.size(), 6u);
  EXPECT_LT(run.seen.back().size(), 16u);
}

TEST(Pairing, AfterThreeWrongCodesNeedsANewOne) {
  PairRun run;
  const std::string right = run.new_code();
  for (int i = 0; i < kCodeTries; ++i) {
    EXPECT_EQ(run.desk.tries_left(run.now), kCodeTries - i);
    EXPECT_FALSE(run.go(code_text(make_code())));
    EXPECT_EQ(run.failure.refusal, Refusal::WrongCode);
  }
  EXPECT_FALSE(run.go(right));
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
  EXPECT_TRUE(nothing_saved(run));
  EXPECT_TRUE(run.go());
}

TEST(Pairing, AfterTwoWrongCodesTakesTheRightOne) {
  PairRun run;
  const std::string right = run.new_code();
  EXPECT_FALSE(run.go(code_text(make_code())));
  EXPECT_FALSE(run.go(code_text(make_code())));
  EXPECT_TRUE(run.go(right)) << run.failure.what;
}

TEST(Pairing, ARunThatIsBrokenOffCostsATry) {
  PairRun run;
  const std::string right = run.new_code();
  run.middle = [](int index, std::string& bytes) {
    if (index == 4) {  // the primary's proof: a stranger who only wanted the share
      bytes.clear();
    }
  };
  for (int i = 0; i < kCodeTries; ++i) {
    EXPECT_FALSE(run.go(right));
  }
  run.middle = [](int, std::string&) {};
  EXPECT_FALSE(run.go(right));
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
}

TEST(Pairing, WithoutACodeOnTheSecondaryIsRefused) {
  PairRun run;
  EXPECT_FALSE(run.go(code_text(make_code())));
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
  EXPECT_NE(run.failure.next.find("crossbeat pairing-code"), std::string::npos);
}

TEST(Pairing, ACodeThatEndsDuringTheRunIsRefused) {
  PairRun run;
  const std::string code = run.new_code();
  run.middle = [&](int index, std::string&) {
    if (index == 4) {
      run.now += kCodeLife;
    }
  };
  EXPECT_FALSE(run.go(code));
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
  EXPECT_TRUE(nothing_saved(run));
}

TEST(Pairing, UsesACodeOnce) {
  PairRun run;
  const std::string code = run.new_code();
  ASSERT_TRUE(run.go(code));
  EXPECT_FALSE(run.go(code));
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
}

TEST(Pairing, OfTwoRunsWithTheRightCodeTheFirstProofWins) {
  PairRun run;
  const std::string code = run.new_code();
  PrimarySession first(run.primary, address("10.66.0.2"), *parse_code(code),
                       PrimarySession::Aim::Pair);
  PrimarySession second(run.primary, address("10.66.0.2"), *parse_code(code),
                        PrimarySession::Aim::Pair);
  SecondarySession with_first(run.secondary, run.desk, address("10.66.0.1"));
  SecondarySession with_second(run.secondary, run.desk, address("10.66.0.1"));
  const auto cut = [](const std::string& bytes) {
    FrameReader reader;
    EXPECT_TRUE(reader.feed(bytes));
    return *reader.next();
  };
  const auto until_proof = [&](PrimarySession& p, SecondarySession& s) {
    Move move = p.begin();
    for (int i = 0; i < 2; ++i) {
      Move answer = s.on_frame(cut(move.send), run.now);
      answer = answer.next == Move::Next::Look ? s.on_looked({}) : answer;
      move = p.on_frame(cut(answer.send));
      move = move.next == Move::Next::Look ? p.on_looked({}) : move;
    }
    return move;
  };
  const Move proof_of_first = until_proof(first, with_first);
  const Move proof_of_second = until_proof(second, with_second);
  const Move answer = with_second.on_frame(cut(proof_of_second.send), run.now);
  EXPECT_EQ(cut(answer.send).kind, Kind::Proof);
  const Move late = with_first.on_frame(cut(proof_of_first.send), run.now);
  EXPECT_EQ(late.next, Move::Next::End);
  EXPECT_EQ(with_first.refusal(), Refusal::NoCode);
}

// ---- rules, as both sides tell them

TEST(Pairing, RefusesByRuleWithoutUsingATry) {
  struct Row {
    Refusal refusal;
    std::function<void(PairRun&)> change;
  };
  const Row rows[] = {
      {Refusal::SoftwareVersion, [](PairRun& r) { r.secondary.version = "0.2.0"; }},
      {Refusal::PeerNotSecondary, [](PairRun& r) { r.secondary.role = core::Role::Primary; }},
      {Refusal::SelfNotPrimary, [](PairRun& r) { r.primary.role = core::Role::Secondary; }},
      {Refusal::NoVirtualAddress, [](PairRun& r) { r.primary.virtual_addresses.clear(); }},
      {Refusal::VirtualIsHealth,
       [](PairRun& r) { r.primary.virtual_addresses = {prefix("10.66.0.2/24")}; }},
      {Refusal::VirtualNotInSubnet,
       [](PairRun& r) { r.primary.virtual_addresses = {prefix("10.66.1.11/24")}; }},
      {Refusal::NotSameSubnet, [](PairRun& r) { r.secondary.networks = {prefix("10.66.0.2/32")}; }},
      {Refusal::SourceAddress,
       [](PairRun& r) {
         r.primary.hm_address = address("10.66.0.7");
         r.primary.networks = {prefix("10.66.0.7/24")};
       }},
      {Refusal::TargetAddress,
       [](PairRun& r) {
         r.secondary.hm_address = address("10.66.0.8");
         r.secondary.networks = {prefix("10.66.0.8/24")};
       }},
      {Refusal::Capacity,
       [](PairRun& r) {
         for (int i = 0; i < CB_PAIRINGS_MAX; ++i) {
           r.secondary.pairs.push_back(other_pair(i));
         }
       }},
      {Refusal::VirtualInUse,
       [](PairRun& r) {
         r.secondary.pairs = {other_pair(0)};
         r.secondary.pairs[0].virtual_addresses = r.primary.virtual_addresses;
       }},
      {Refusal::AlreadyPaired,
       [](PairRun& r) {
         config::Pair other;
         other.id = 9;
         other.self_role = core::Role::Primary;
         other.primary_hm = r.primary.hm_address;
         other.secondary_hm = address("10.66.0.99");
         r.primary.pairs = {other};
       }},
      {Refusal::BadIdentity, [](PairRun& r) { r.primary.name = std::string(65, 'x'); }},
  };
  for (const Row& row : rows) {
    PairRun run;
    row.change(run);
    const std::string code = run.new_code();
    EXPECT_FALSE(run.go(code));
    EXPECT_EQ(name_of(run.failure.refusal), name_of(row.refusal));
    EXPECT_EQ(run.failure.exit_code, 4) << name_of(row.refusal);
    EXPECT_FALSE(run.failure.next.empty());
    EXPECT_TRUE(nothing_saved(run));
    EXPECT_EQ(run.desk.tries_left(run.now), kCodeTries) << name_of(row.refusal);
  }
}

TEST(Pairing, ADryRunChecksTheRulesAndUsesNothing) {
  PairRun run;
  run.dry_run = true;
  (void)run.new_code();
  ASSERT_TRUE(run.go(""));
  EXPECT_TRUE(nothing_saved(run));
  EXPECT_EQ(run.desk.tries_left(run.now), kCodeTries);
  EXPECT_EQ(run.seen.size(), 2u);
  run.secondary.version = "0.2.0";
  EXPECT_FALSE(run.go(""));
  EXPECT_EQ(run.failure.refusal, Refusal::SoftwareVersion);
}

// ---- pairing again

TEST(Pairing, AgainKeepsIdAndKeyAndRenewsTheSettings) {
  PairRun run;
  ASSERT_TRUE(run.go());
  const config::Pair before = *run.primary_disk.pair;
  run.primary.virtual_addresses = {prefix("10.66.0.12/24")};
  run.primary.automatic_failback = true;
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_TRUE(run.renewed);
  for (const auto& disk : {run.primary_disk, run.secondary_disk}) {
    EXPECT_EQ(disk.pair->id, before.id);
    EXPECT_EQ(disk.pair->key, before.key);
    EXPECT_EQ(disk.pair->virtual_addresses, std::vector{prefix("10.66.0.12/24")});
    EXPECT_TRUE(disk.pair->automatic_failback);
  }
}

TEST(Pairing, AgainAfterOneSideLostItReplacesTheOtherHalf) {
  for (const bool primary_lost_it : {true, false}) {
    PairRun run;
    ASSERT_TRUE(run.go());
    const config::Pair before = *run.primary_disk.pair;
    (primary_lost_it ? run.primary_disk : run.secondary_disk).pair.reset();
    ASSERT_TRUE(run.go()) << run.failure.what;
    EXPECT_FALSE(run.renewed);
    EXPECT_NE(run.primary_disk.pair->id, before.id);
    EXPECT_EQ(run.primary_disk.pair->id, run.secondary_disk.pair->id);
    EXPECT_EQ(run.primary_disk.pair->key, run.secondary_disk.pair->key);
  }
}

TEST(Pairing, AgainWithAnotherKeyUnderTheSameIdMakesANewOne) {
  PairRun run;
  ASSERT_TRUE(run.go());
  const config::Pair before = *run.primary_disk.pair;
  run.secondary_disk.pair->key[5] ^= 1;
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_FALSE(run.renewed);
  EXPECT_NE(run.primary_disk.pair->key, before.key);
  EXPECT_EQ(run.primary_disk.pair->key, run.secondary_disk.pair->key);
}

TEST(Pairing, LeavesTheSecondarysOtherPairingsAlone) {
  PairRun run;
  run.secondary.pairs = {other_pair(1), other_pair(2)};
  ASSERT_TRUE(run.go()) << run.failure.what;
  EXPECT_EQ(run.secondary.pairs.size(), 2u);
}

}  // namespace
}  // namespace cb::pairing
