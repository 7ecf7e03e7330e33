// SPDX-License-Identifier: Apache-2.0
//
// Somebody in the middle, and machines that stop at the worst moment.
#include <gtest/gtest.h>

#include "tests/pairing/pair_run.h"

namespace cb::pairing {
namespace {

using test::address;
using test::PairRun;
using test::prefix;

// The secondary saves when it has message 6 (Commit); the primary when it has message 7
// (Committed).
constexpr int kCommit = 6;
constexpr int kCommitted = 7;

// Whatever happened: never two halves that differ, and never a primary alone with a pairing.
void expect_consistent(const PairRun& run, const std::string& what) {
  if (run.primary_disk.pair) {
    ASSERT_TRUE(run.secondary_disk.pair) << what;
    EXPECT_EQ(run.primary_disk.pair->id, run.secondary_disk.pair->id) << what;
    EXPECT_EQ(run.primary_disk.pair->key, run.secondary_disk.pair->key) << what;
  }
}

void expect_outcome_of_loss_at(const PairRun& run, int index, const std::string& what) {
  expect_consistent(run, what);
  EXPECT_EQ(run.secondary_disk.pair.has_value(), index > kCommit) << what;
  EXPECT_EQ(run.primary_disk.pair.has_value(), index > kCommitted) << what;
  EXPECT_EQ(static_cast<bool>(run.failure), index <= kCommitted) << what;
  if (run.failure) {
    EXPECT_FALSE(run.failure.next.empty()) << what;
  }
}

TEST(Middle, WhoBendsAMessageStopsThePairing) {
  std::vector<std::size_t> sizes;
  {
    PairRun straight;
    ASSERT_TRUE(straight.go());
    for (const std::string& message : straight.seen) {
      sizes.push_back(message.size());
    }
  }
  for (int index = 0; index < PairRun::kMessages; ++index) {
    for (std::size_t at = 0; at < sizes[static_cast<std::size_t>(index)]; ++at) {
      PairRun run;
      run.middle = [&](int i, std::string& bytes) {
        if (i == index) {
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
        }
      };
      (void)run.go();
      expect_outcome_of_loss_at(run, index,
                                "message " + std::to_string(index) + " byte " + std::to_string(at));
    }
  }
}

TEST(Middle, WhoCutsAMessageStopsThePairing) {
  for (int index = 0; index < PairRun::kMessages; ++index) {
    for (const bool mend_length : {false, true}) {
      for (std::size_t keep = 1; keep < 300; keep += keep < 48 ? 1 : 13) {
        PairRun run;
        bool cut = false;
        run.middle = [&](int i, std::string& bytes) {
          if (i == index && keep < bytes.size() && (!mend_length || keep >= kHeaderBytes)) {
            cut = true;
            bytes.resize(keep);
            if (mend_length) {
              bytes[6] = static_cast<char>((keep - kHeaderBytes) >> 8);
              bytes[7] = static_cast<char>((keep - kHeaderBytes) & 0xff);
            }
          }
        };
        (void)run.go();
        if (cut) {
          expect_outcome_of_loss_at(
              run, index, "message " + std::to_string(index) + " cut to " + std::to_string(keep));
        }
      }
    }
  }
}

TEST(Middle, WhoAltersAHelloThatStillReadsWellStopsThePairing) {
  const std::vector<std::function<void(Hello&)>> changes = {
      [](Hello& h) { h.virtual_addresses = {prefix("10.66.0.66/24")}; },
      [](Hello& h) { h.name = "evil"; },
      [](Hello& h) { h.udi = "evil"; },
      [](Hello& h) { h.automatic_failover = !h.automatic_failover; },
      [](Hello& h) { h.automatic_failback = !h.automatic_failback; },
      [](Hello& h) { h.failover_wait += Duration::from_ms(1); },
      [](Hello& h) { h.instance_number += 1; },
      [](Hello& h) { h.version = h.product_version = "0.1.0"; },
      [](Hello& h) { h.direct = !h.direct; },
      [](Hello& h) { h.nonce[0] ^= 1; },
      [](Hello& h) { h.networks.push_back(prefix("10.67.0.1/24")); },
      [](Hello& h) { h.protocol_max = 7; },
      [](Hello& h) {
        h.held = HeldPairing{5, {}};
      },
  };
  for (const int index : {0, 1}) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (index == 1 && i == 0) {
        continue;  // a secondary has no virtual address
      }
      PairRun run;
      run.middle = [&](int at, std::string& bytes) {
        if (at == index) {
          auto hello = decode_hello(std::string_view(bytes).substr(kHeaderBytes));
          ASSERT_TRUE(hello);
          changes[i](*hello);
          const auto altered = encode_hello(*hello);
          ASSERT_TRUE(altered);
          bytes = frame_bytes(Kind::Hello, *altered);
        }
      };
      EXPECT_FALSE(run.go());
      EXPECT_EQ(run.failure.refusal, Refusal::WrongCode) << index << " " << i;
      EXPECT_FALSE(run.primary_disk.pair || run.secondary_disk.pair) << index << " " << i;
    }
  }
}

TEST(Middle, AnOptionalFieldAddedOnTheWayIsNoticed) {
  PairRun run;
  run.middle = [&](int at, std::string& bytes) {
    if (at == 0) {
      bytes = frame_bytes(Kind::Hello, bytes.substr(kHeaderBytes) + std::string("\xf0\x00\x00", 3));
    }
  };
  EXPECT_FALSE(run.go());
  EXPECT_EQ(run.failure.refusal, Refusal::WrongCode);
}

TEST(Middle, WhoAnswersInThePeersPlaceNeedsTheCode) {
  // The stranger runs a secondary of its own towards the primary, with a code of its own.
  PairRun run;
  CodeDesk honest;
  const std::string code = honest.create(run.now);
  (void)run.desk.create(run.now);
  EXPECT_FALSE(run.go(code));
  EXPECT_EQ(run.failure.refusal, Refusal::WrongCode);
  EXPECT_FALSE(run.primary_disk.pair);
}

TEST(Middle, WhoSendsThePrimaryItsOwnMessagesIsRefused) {
  PairRun run;
  PrimarySession session(run.primary, address("10.66.0.2"), *parse_code(run.new_code()),
                         PrimarySession::Aim::Pair);
  FrameReader reader;
  ASSERT_TRUE(reader.feed(session.begin().send));
  (void)session.on_frame(*reader.next());
  EXPECT_EQ(session.state(), PrimarySession::State::Ended);
  EXPECT_TRUE(session.failure());
}

void replay_to(SecondarySession& secondary, const std::vector<std::string>& recorded, Instant now) {
  for (std::size_t index = 0; index < recorded.size(); index += 2) {
    FrameReader reader;
    ASSERT_TRUE(reader.feed(recorded[index]));
    Move move = secondary.on_frame(*reader.next(), now);
    if (move.next == Move::Next::Look) {
      move = secondary.on_looked({});
    }
    ASSERT_NE(move.next, Move::Next::Save);
  }
}

TEST(Middle, AReplayedRunIsRefused) {
  PairRun run;
  ASSERT_TRUE(run.go());
  run.secondary.pairs.clear();
  (void)run.desk.create(run.now);
  SecondarySession secondary(run.secondary, run.desk, address("10.66.0.1"));
  replay_to(secondary, run.seen, run.now);
  EXPECT_EQ(secondary.refusal(), Refusal::WrongCode);
}

TEST(Middle, AReplayedProofOfTheVeryCodeThatIsLiveIsRefused) {
  PairRun run;
  run.middle = [](int index, std::string& bytes) {
    if (index == 4) {  // recorded, and not let through
      bytes.clear();
    }
  };
  EXPECT_FALSE(run.go());
  ASSERT_EQ(run.seen.size(), 5u);
  ASSERT_TRUE(run.desk.live(run.now));
  SecondarySession secondary(run.secondary, run.desk, address("10.66.0.1"));
  replay_to(secondary, run.seen, run.now);
  EXPECT_EQ(secondary.refusal(), Refusal::WrongCode);
}

TEST(Middle, ARefusalWithoutAKeyCanOnlyEndARun) {
  for (int index = 0; index < PairRun::kMessages; ++index) {
    PairRun run;
    run.middle = [&](int i, std::string& bytes) {
      if (i == index) {
        bytes = frame_bytes(Kind::Refuse, encode_refuse(Refusal::NotNow));
      }
    };
    (void)run.go();
    expect_outcome_of_loss_at(run, index, "refusal in place of " + std::to_string(index));
  }
}

TEST(Middle, AMessageOfAnotherKindEndsARun) {
  for (int index = 0; index < PairRun::kMessages; ++index) {
    for (int kind = 1; kind <= 11; ++kind) {
      PairRun run;
      bool changed = false;
      run.middle = [&](int i, std::string& bytes) {
        if (i == index && bytes[5] != kind) {
          changed = true;
          bytes[5] = static_cast<char>(kind);
        }
      };
      (void)run.go();
      if (changed) {
        expect_outcome_of_loss_at(run, index,
                                  std::to_string(index) + " as " + std::to_string(kind));
      }
    }
  }
}

// ---- lost lines and full disks

TEST(LostLine, AtAnyMessageLeavesNothingThatPairingAgainDoesNotMend) {
  for (int index = 0; index < PairRun::kMessages; ++index) {
    PairRun run;
    run.middle = [&](int i, std::string& bytes) {
      if (i == index) {
        bytes.clear();
      }
    };
    (void)run.go();
    expect_outcome_of_loss_at(run, index, "lost " + std::to_string(index));

    run.middle = [](int, std::string&) {};
    ASSERT_TRUE(run.go()) << index << run.failure.what;
    ASSERT_TRUE(run.primary_disk.pair && run.secondary_disk.pair);
    expect_consistent(run, "again after " + std::to_string(index));
  }
}

TEST(LostLine, WhileTheSecondarySavesTellsThePrimaryThatAHalfMayBeLeft) {
  PairRun run;
  run.middle = [](int i, std::string& bytes) {
    if (i == kCommitted) {
      bytes.clear();
    }
  };
  EXPECT_FALSE(run.go());
  EXPECT_NE(run.failure.next.find("replaces"), std::string::npos) << run.failure.next;
}

// A renewal keeps id and key, so a half-saved one does not part a pair that works.
TEST(LostLine, DuringARenewalLeavesThePairWorking) {
  for (int index = 0; index < PairRun::kMessages; ++index) {
    PairRun run;
    ASSERT_TRUE(run.go());
    const config::Pair before = *run.primary_disk.pair;
    run.middle = [&](int i, std::string& bytes) {
      if (i == index) {
        bytes.clear();
      }
    };
    (void)run.go();
    EXPECT_EQ(run.primary_disk.pair->key, before.key) << index;
    EXPECT_EQ(run.secondary_disk.pair->key, before.key) << index;
    EXPECT_EQ(run.primary_disk.pair->id, before.id) << index;
    EXPECT_EQ(run.secondary_disk.pair->id, before.id) << index;
  }
}

TEST(FullDisk, OnTheSecondaryLeavesNothing) {
  PairRun run;
  run.secondary_disk.answer = Refusal::SaveFailed;
  EXPECT_FALSE(run.go());
  EXPECT_EQ(run.failure.refusal, Refusal::SaveFailed);
  EXPECT_FALSE(run.primary_disk.pair || run.secondary_disk.pair);
}

TEST(FullDisk, OnThePrimaryTakesTheSecondarysHalfBack) {
  PairRun run;
  run.primary_disk.answer = Refusal::SaveFailed;
  EXPECT_FALSE(run.go());
  EXPECT_EQ(run.failure.refusal, Refusal::OwnSaveFailed);
  EXPECT_EQ(run.secondary_disk.saves, 1);
  EXPECT_EQ(run.secondary_disk.removals, 1);
  EXPECT_FALSE(run.primary_disk.pair || run.secondary_disk.pair);
}

TEST(FullDisk, OnThePrimaryDuringARenewalRestoresTheFormerPairing) {
  PairRun run;
  ASSERT_TRUE(run.go());
  const config::Pair ours = *run.primary_disk.pair;
  const config::Pair theirs = *run.secondary_disk.pair;
  run.primary.virtual_addresses = {prefix("10.66.0.12/24")};
  run.primary_disk.answer = Refusal::SaveFailed;
  EXPECT_FALSE(run.go());
  EXPECT_EQ(*run.primary_disk.pair, ours);
  EXPECT_EQ(*run.secondary_disk.pair, theirs);
}

TEST(FullDisk, ANodeThatRefusesInItsStateIsHeard) {
  PairRun run;
  run.secondary_disk.answer = Refusal::NotNow;
  EXPECT_FALSE(run.go());
  EXPECT_EQ(run.failure.refusal, Refusal::NotNow);
  EXPECT_EQ(run.failure.exit_code, 4);
}

}  // namespace
}  // namespace cb::pairing
