// SPDX-License-Identifier: Apache-2.0
//
// Are both images the same? Compared while writes go on; what differs is found, named and counted,
// and mended only where a checksum tells who is right.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "replication/verify_report.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

using Result = CompareFacts::Result;

constexpr std::uint64_t kAt = 5u << 20;

void put(const std::string& path, std::uint64_t offset, const std::vector<std::byte>& bytes) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(::fsync(fd.get()), 0);
}

void settle(Pair& pair) {
  EXPECT_EQ(pair.a().write(kAt, random_bytes(pair.prng, 64u << 10)), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  ASSERT_TRUE(pair.until([&] {
    const auto end = pair.a().state().issued;
    return pair.a().state().record.checkpoint == end && pair.b().state().record.checkpoint == end;
  }));
}

CompareFacts compare(Pair& pair) {
  EXPECT_EQ(pair.a().engine().verify(), 0);
  EXPECT_TRUE(pair.until([&] { return !pair.a().engine().comparison().running; }));
  return pair.a().engine().comparison();
}

// The peer's image holds something else, and its sums say that it was written so.
void forge(Pair& pair, std::uint64_t offset, std::size_t length) {
  pair.b().kill();
  put(pair.b().folder() + "/home", offset, random_bytes(pair.prng, length));
  std::filesystem::remove(pair.b().folder() + "/sums");
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
}

TEST(Compare, FindsTwoImagesTheSameWhileWritesGoOn) {
  Pair pair;
  pair.bring_into_step();
  settle(pair);
  ASSERT_EQ(pair.a().engine().verify(), 0);
  int written = 0;
  int flushed = 0;
  const auto busy = [&] {
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t offset = pair.prng.below(3800) * 4096;
      pair.a().write(offset, random_bytes(pair.prng, (1 + pair.prng.below(16)) * 512), [&](int e) {
        EXPECT_EQ(e, 0);
        ++written;
      });
    }
    pair.a().flush([&](int e) {
      EXPECT_EQ(e, 0);
      ++flushed;
    });
  };
  while (pair.a().engine().comparison().running) {
    if (pair.a().outstanding() < 32) {
      busy();
    }
    pair.turn();
  }
  const CompareFacts facts = pair.a().engine().comparison();
  EXPECT_EQ(facts.result, Result::Same) << text_of(facts);
  EXPECT_EQ(facts.bytes_done, kVolume);
  EXPECT_GT(written, 20);
  EXPECT_GT(flushed, 5);
  ASSERT_TRUE(pair.until([&] { return pair.a().outstanding() == 0; }));
  EXPECT_TRUE(pair.both_in_step());
}

TEST(Compare, NamesTheBlocksThatDifferAndChangesNothing) {
  Pair pair;
  pair.bring_into_step();
  settle(pair);
  forge(pair, kAt + 8192, 12288);
  const auto before = pair.b().content_on_disk();
  const CompareFacts facts = compare(pair);
  EXPECT_EQ(facts.result, Result::Different);
  EXPECT_EQ(facts.differing, 3u);
  EXPECT_EQ(facts.unreadable_here + facts.unreadable_there, 0u);
  const std::uint64_t first = (kAt + 8192) / 4096;
  EXPECT_EQ(facts.first, (std::vector<std::uint64_t>{first, first + 1, first + 2}));
  EXPECT_NE(text_of(facts).find("differ in 3 blocks"), std::string::npos) << text_of(facts);
  EXPECT_TRUE(pair.b().content_on_disk() == before);
  // What is written anew is the same again, and the next comparison says so.
  EXPECT_EQ(pair.a().write(kAt, random_bytes(pair.prng, 64u << 10)), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  EXPECT_EQ(compare(pair).result, Result::Same);
}

TEST(Compare, MendsWhatAChecksumAccuses) {
  Pair pair;
  pair.bring_into_step();
  settle(pair);
  put(pair.b().folder() + "/home", kAt + 4096, random_bytes(pair.prng, 4096));
  put(pair.a().folder() + "/home", kAt + 16384, random_bytes(pair.prng, 4096));
  const CompareFacts facts = compare(pair);
  EXPECT_EQ(facts.result, Result::Same) << text_of(facts);
  EXPECT_EQ(pair.a().engine().sums().facts().mended, 1u);
  EXPECT_EQ(pair.b().engine().sums().facts().mended, 1u);
}

TEST(Compare, IsRefusedWhereNobodyWritesOrNobodyFollows) {
  Pair pair;
  pair.bring_into_step();
  EXPECT_EQ(pair.b().engine().verify(), EROFS);
  pair.wire->cut(true);
  ASSERT_TRUE(pair.until([&] { return !pair.a().state().link; }));
  EXPECT_EQ(pair.a().engine().verify(), ENOTCONN);
  EXPECT_FALSE(pair.a().engine().comparison().running);
}

TEST(Compare, OutlivesThePeersRestartAndEndsWhenItIsTold) {
  Pair pair;
  pair.bring_into_step();
  settle(pair);
  ASSERT_EQ(pair.a().engine().verify(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.a().engine().comparison().bytes_done > 0; }));
  pair.b().kill();
  pair.turn();
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return !pair.a().engine().comparison().running; }));
  EXPECT_EQ(pair.a().engine().comparison().result, Result::Same);
  // Started anew, and ended.
  ASSERT_EQ(pair.a().engine().verify(), 0);
  pair.a().engine().end_verify();
  EXPECT_EQ(pair.a().engine().comparison().result, Result::Incomplete);
  EXPECT_EQ(compare(pair).result, Result::Same) << "whatever was under way";
}

TEST(Compare, IsWhatTheWritersScrubDoes) {
  Pair pair;
  pair.bring_into_step();
  settle(pair);
  forge(pair, kAt, 4096);
  bool told = false;
  ASSERT_TRUE(pair.until([&] {
    told = told || pair.a().compared;
    return pair.a().engine().comparison().differing == 1 && told;
  }));
  EXPECT_EQ(pair.a().engine().comparison().result, Result::None) << "nobody asked for a round";
  EXPECT_GT(pair.a().engine().comparison().compared_bytes, 0u);
}

}  // namespace
}  // namespace cb::replication
