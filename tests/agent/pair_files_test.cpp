// SPDX-License-Identifier: Apache-2.0
#include "agent/pair_files.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

#include "config/address.h"
#include "config/config.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::agent {
namespace {

using cb::test::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

config::Pair sample(std::uint64_t id = 7) {
  config::Pair pair;
  pair.id = id;
  pair.self_role = core::Role::Primary;
  pair.primary_hm = *config::parse_address("10.10.10.12");
  pair.secondary_hm = *config::parse_address("10.10.10.13");
  pair.virtual_addresses = {config::Prefix{*config::parse_address("10.10.10.11"), 24}};
  pair.peer_name = "b";
  pair.key.fill(5);
  return pair;
}

class PairFilesTest : public testing::Test {
 protected:
  using LedgerResult = Result<std::unique_ptr<edge::Ledger>>;

  // Whatever is asked of the hands waits until let_go().
  void hold_hands() {
    hands->run(
        [wait = go_.get_future().share()] {
          wait.wait();
          return 0;
        },
        nullptr);
  }
  void let_go() { go_.set_value(); }

  LedgerResult create(const config::Pair& pair) {
    std::optional<LedgerResult> answer;
    files.create(pair, [&](LedgerResult result) { answer.emplace(std::move(result)); });
    EXPECT_FALSE(answer.has_value()) << "not before it is durable";
    EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
    return answer ? std::move(*answer) : LedgerResult(fail(0, "no answer"));
  }
  Result<> remove(const config::Pair& pair) {
    std::optional<Result<>> answer;
    files.remove(pair, [&](Result<> result) { answer.emplace(std::move(result)); });
    EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
    return answer ? *answer : fail(0, "no answer");
  }
  std::vector<config::Pair> on_disk() const {
    const auto loaded = config::load_pairs(root.path());
    EXPECT_THAT(loaded.problems, IsEmpty());
    return loaded.value;
  }
  bool has_ledger() const {
    return std::filesystem::exists(edge::Ledger::path_of(root.path(), "10.10.10.12"));
  }

  cb::test::TemporaryFolder root;
  std::promise<void> go_;
  std::unique_ptr<loop::Loop> loop = cb::test::open_loop();
  std::unique_ptr<loop::Hands> hands = *loop::Hands::start(*loop, {.name = "test", .fifo = {}});
  PairFiles files{*loop, *hands, root.path()};
};

TEST_F(PairFilesTest, APairingIsOnTheDiskWhenItIsAnswered) {
  const LedgerResult ledger = create(sample());
  ASSERT_TRUE(ledger) << to_text(ledger.error());
  EXPECT_THAT(on_disk(), ElementsAre(sample()));
  EXPECT_TRUE((*ledger)->is_new());
  EXPECT_TRUE(has_ledger());
}

TEST_F(PairFilesTest, ASlowDiskDoesNotHoldUpTheLoop) {
  hold_hands();
  std::optional<LedgerResult> created;
  std::optional<Result<>> renewed;
  std::optional<Result<>> removed;
  files.create(sample(), [&](LedgerResult result) { created.emplace(std::move(result)); });
  files.renew(sample(), [&](Result<> result) { renewed.emplace(std::move(result)); });
  files.remove(sample(), [&](Result<> result) { removed.emplace(std::move(result)); });
  bool turned = false;
  loop->after(Duration::from_ms(5), [&] { turned = true; });
  ASSERT_TRUE(turn_until(*loop, [&] { return turned; })) << "the loop goes on";
  EXPECT_FALSE(created || renewed || removed);
  EXPECT_FALSE(has_ledger());
  EXPECT_THAT(on_disk(), IsEmpty()) << "nothing was done in the loop's thread";
  let_go();
  ASSERT_TRUE(turn_until(*loop, [&] { return removed.has_value(); }));
  EXPECT_TRUE(created && *created && renewed && *renewed && *removed) << "in the order of asking";
  EXPECT_THAT(on_disk(), IsEmpty());
}

TEST_F(PairFilesTest, TheLedgerOfAnEarlierPairingIsNotTakenOver) {
  {
    const LedgerResult first = create(sample(7));
    ASSERT_TRUE(first);
  }
  const LedgerResult second = create(sample(8));
  ASSERT_TRUE(second) << to_text(second.error());
  EXPECT_TRUE((*second)->is_new());
  EXPECT_THAT(on_disk(), ElementsAre(sample(8)));
}

TEST_F(PairFilesTest, TheLedgerServesTheLoopThatWillWriteIt) {
  const LedgerResult ledger = create(sample());
  ASSERT_TRUE(ledger);
  core::LedgerRecord record;
  record.term = 41;
  std::optional<int> written;
  (*ledger)->write(record, Instant::never(), [&](int error) { written = error; });
  ASSERT_TRUE(turn_until(*loop, [&] { return written.has_value(); }));
  EXPECT_EQ(*written, 0);
  EXPECT_EQ((*ledger)->record().term, 41u);
}

TEST_F(PairFilesTest, WithoutALedgerThereIsNoPairing) {
  // A folder in the place of the file: it can be neither removed nor opened.
  std::filesystem::create_directories(edge::Ledger::path_of(root.path(), "10.10.10.12"));
  const LedgerResult ledger = create(sample());
  EXPECT_FALSE(ledger);
  EXPECT_THAT(on_disk(), IsEmpty());
}

TEST_F(PairFilesTest, WithoutFilesThereIsNoPairingAndTheErrorSaysWhere) {
  std::filesystem::create_directories(root.at("var/lib/crossbeat"));
  ASSERT_TRUE(std::ofstream(root.at("var/lib/crossbeat/pairs")) << "not a folder");
  const LedgerResult ledger = create(sample());
  ASSERT_FALSE(ledger);
  EXPECT_THAT(to_text(ledger.error()), testing::HasSubstr("var/lib/crossbeat/pairs"));
  EXPECT_FALSE(has_ledger());
}

TEST_F(PairFilesTest, NewSettingsKeepTheLedger) {
  const LedgerResult ledger = create(sample());
  ASSERT_TRUE(ledger);
  config::Pair renewed = sample();
  renewed.peer_name = "beta";
  std::optional<Result<>> answer;
  files.renew(renewed, [&](Result<> result) { answer.emplace(std::move(result)); });
  ASSERT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
  EXPECT_TRUE(*answer);
  EXPECT_THAT(on_disk(), ElementsAre(renewed));
  EXPECT_TRUE(has_ledger());
}

TEST_F(PairFilesTest, ARemovedPairingIsGoneAndItsLedgerGoesWhenItIsTold) {
  {
    const LedgerResult ledger = create(sample());
    ASSERT_TRUE(ledger);
  }
  ASSERT_TRUE(remove(sample()));
  EXPECT_THAT(on_disk(), IsEmpty());
  EXPECT_TRUE(has_ledger()) << "its user may still be writing";
  files.remove_ledger(sample());
  ASSERT_TRUE(turn_until(*loop, [&] { return !has_ledger(); }));
}

}  // namespace
}  // namespace cb::agent
