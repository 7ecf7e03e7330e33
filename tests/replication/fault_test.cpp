// SPDX-License-Identifier: Apache-2.0
//
// Disks that fail: nothing more is acknowledged, and everybody who waits is told.
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

struct Failure {
  const char* what;
  int error;
  void (*plant)(Node&, int);
};

void log_write(Node& node, int error) { node.log_disk().write_error = error; }
void log_sync(Node& node, int error) { node.log_disk().sync_error = error; }
void home_write(Node& node, int error) { node.home_disk().write_error = error; }
void superblock_sync(Node& node, int error) { node.superblock_disk().sync_error = error; }

class Faults : public testing::TestWithParam<Failure> {};

TEST_P(Faults, OnTheWriterEndWhatItAcknowledgesUntilARestart) {
  Pair pair;
  pair.bring_into_step();
  const auto before = random_bytes(pair.prng, 8192);
  ASSERT_EQ(pair.a().write(0, before), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  GetParam().plant(pair.a(), GetParam().error);
  // Writes and flushes until it is known; every one is answered.
  for (int i = 0; i < 200 && pair.a().disk_failed == 0; ++i) {
    const int written = pair.a().write(65536, filled(65536, i));
    ASSERT_NE(written, ETIMEDOUT);
    ASSERT_NE(pair.a().flush(), ETIMEDOUT);
    if (GetParam().plant == superblock_sync) {
      pair.wire->cut(true);
      pair.a().engine().go_alone();
    }
  }
  EXPECT_EQ(pair.a().disk_failed, GetParam().error);
  EXPECT_EQ(pair.a().write(0, filled(4096, 1)), EIO);
  EXPECT_EQ(pair.a().flush(), EIO);
  EXPECT_EQ(pair.a().outstanding(), 0u);
  // The disk mends itself, and is not believed: the next sync would succeed.
  GetParam().plant(pair.a(), 0);
  EXPECT_EQ(pair.a().flush(), EIO);
  pair.a().kill();
  pair.wire->cut(false);
  if (GetParam().plant == superblock_sync) {
    return;  // who writes then is the register's to say
  }
  ASSERT_EQ(pair.b().promote(), 0);
  EXPECT_EQ(pair.b().read(0, 8192), before);
}

TEST_P(Faults, OnTheStandbyAreNoFlushOfTheWriters) {
  Pair pair;
  pair.bring_into_step();
  GetParam().plant(pair.b(), GetParam().error);
  std::optional<int> flushed;
  ASSERT_EQ(pair.a().write(0, filled(65536, 1)), 0);
  pair.a().flush([&](int error) { flushed = error; });
  if (GetParam().plant == superblock_sync) {
    return;  // nothing is recorded for a flush
  }
  if (GetParam().plant == home_write) {
    // The log has it: the flush is right. The image fails later, and the node says so.
    ASSERT_TRUE(pair.until([&] { return pair.b().disk_failed != 0; }));
    EXPECT_FALSE(core::eligible(pair.b().state()));
    return;
  }
  ASSERT_TRUE(pair.until([&] { return pair.b().disk_failed != 0; }));
  EXPECT_FALSE(flushed.has_value());
  EXPECT_FALSE(core::eligible(pair.b().state()));
  pair.a().engine().go_alone();
  ASSERT_TRUE(pair.until([&] { return flushed.has_value(); }));
  EXPECT_EQ(*flushed, 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Faults,
                         testing::Values(Failure{"LogWrite", EIO, log_write},
                                         Failure{"LogFull", ENOSPC, log_write},
                                         Failure{"LogSync", EIO, log_sync},
                                         Failure{"HomeWrite", EIO, home_write},
                                         Failure{"HomeFull", ENOSPC, home_write},
                                         Failure{"Superblock", EIO, superblock_sync}),
                         [](const auto& kind) { return std::string(kind.param.what); });

TEST(Fault, AReadThatTheImageCannotGiveIsAnErrorAndNoMore) {
  Pair pair;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  pair.a().home_disk().read_error = EIO;
  std::optional<int> result;
  pair.a().read(1u << 20, 4096, [&](int error, const auto&) { result = error; });
  ASSERT_TRUE(pair.until([&] { return result.has_value(); }));
  EXPECT_EQ(*result, EIO);
  pair.a().home_disk().read_error = 0;
  EXPECT_EQ(pair.a().read(1u << 20, 4096), filled(4096, 0));
}

}  // namespace
}  // namespace cb::replication
