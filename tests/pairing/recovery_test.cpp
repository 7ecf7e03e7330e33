// SPDX-License-Identifier: Apache-2.0
//
// A primary that lost its pairing gets it back from its secondary, and nobody else does.
#include <gtest/gtest.h>

#include "tests/pairing/pair_run.h"

namespace cb::pairing {
namespace {

using test::PairRun;

constexpr const char* kNode = "[node]\nrole = \"primary\"\n";

// The two are paired; then the primary loses everything.
PairRun after_the_loss() {
  PairRun run;
  EXPECT_TRUE(run.go()) << run.failure.what;
  run.secondary.restored = [](const config::Pair& pair) {
    Restored restored;
    restored.pair = pair;
    restored.pair.self_role = core::Role::Primary;
    restored.term = 77;
    restored.node = kNode;
    return restored;
  };
  run.primary_disk.pair.reset();
  run.primary.virtual_addresses.clear();
  run.recover = true;
  return run;
}

TEST(Recovery, GivesThePairingBackWithItsKeyItsTermAndTheConfiguration) {
  PairRun run = after_the_loss();
  const config::Pair held = *run.secondary_disk.pair;
  const int saves = run.secondary_disk.saves;
  ASSERT_TRUE(run.go()) << run.failure.what;
  ASSERT_TRUE(run.restored);
  EXPECT_EQ(run.restored->pair.id, held.id);
  EXPECT_EQ(run.restored->pair.key, held.key);
  EXPECT_EQ(run.restored->pair.virtual_addresses, held.virtual_addresses);
  EXPECT_EQ(run.restored->pair.self_role, core::Role::Primary);
  EXPECT_EQ(run.restored->term, 77u);
  EXPECT_EQ(run.restored->node, kNode);
  EXPECT_EQ(*run.secondary_disk.pair, held) << "the secondary goes on as it was";
  EXPECT_EQ(run.secondary_disk.saves, saves);
}

TEST(Recovery, NeedsTheCode) {
  PairRun run = after_the_loss();
  (void)run.new_code();
  EXPECT_FALSE(run.go(code_text(make_code())));
  EXPECT_EQ(run.failure.refusal, Refusal::WrongCode);
  EXPECT_FALSE(run.restored);
  const std::string code = run.new_code();
  ASSERT_TRUE(run.go(code));
  EXPECT_FALSE(run.go(code)) << "a code works once";
  EXPECT_EQ(run.failure.refusal, Refusal::NoCode);
}

TEST(Recovery, IsRefusedWhereThereIsNothingToGiveBack) {
  PairRun run = after_the_loss();
  run.secondary_disk.pair.reset();
  const std::string code = run.new_code();
  EXPECT_FALSE(run.go(code));
  EXPECT_EQ(run.failure.refusal, Refusal::NothingToRecover);
  EXPECT_EQ(run.desk.tries_left(run.now), kCodeTries);
}

TEST(Recovery, IsRefusedToAnotherVersion) {
  PairRun run = after_the_loss();
  run.primary.version = "0.2.0";
  EXPECT_FALSE(run.go());
  EXPECT_EQ(run.failure.refusal, Refusal::SoftwareVersion);
}

TEST(Recovery, TheKeyIsNotToBeReadOnItsWay) {
  PairRun run = after_the_loss();
  ASSERT_TRUE(run.go());
  const auto& key = run.secondary_disk.pair->key;
  const std::string plain(reinterpret_cast<const char*>(key.data()), key.size());
  for (const std::string& message : run.seen) {
    EXPECT_EQ(message.find(plain), std::string::npos);
    EXPECT_EQ(message.find("role = "), std::string::npos);
  }
}

TEST(Recovery, WhoBendsAnyByteOnTheWayStopsIt) {
  std::vector<std::size_t> sizes;
  {
    PairRun run = after_the_loss();
    ASSERT_TRUE(run.go());
    for (const std::string& message : run.seen) {
      sizes.push_back(message.size());
    }
  }
  PairRun run = after_the_loss();
  for (std::size_t index = 0; index < sizes.size(); ++index) {
    for (std::size_t at = 0; at < sizes[index]; at += index < 2 ? 3 : 1) {
      run.middle = [&](int i, std::string& bytes) {
        if (static_cast<std::size_t>(i) == index && at < bytes.size()) {
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
        }
      };
      EXPECT_FALSE(run.go()) << index << " " << at;
      EXPECT_FALSE(run.restored) << index << " " << at;
    }
  }
}

TEST(Recovery, AHelloThatWantsItBackPairsNobody) {
  // The secondary takes a Commit only in a pairing, and gives back only in a recovery.
  PairRun run = after_the_loss();
  run.middle = [&](int index, std::string& bytes) {
    if (index == 6) {
      bytes[5] = static_cast<char>(Kind::Commit);
    }
  };
  EXPECT_FALSE(run.go());
  run.recover = false;
  run.primary.virtual_addresses = test::primary_node().virtual_addresses;
  run.middle = [&](int index, std::string& bytes) {
    if (index == 6) {
      bytes[5] = static_cast<char>(Kind::Restore);
    }
  };
  const config::Pair held = *run.secondary_disk.pair;
  EXPECT_FALSE(run.go());
  EXPECT_EQ(*run.secondary_disk.pair, held);
}

}  // namespace
}  // namespace cb::pairing
