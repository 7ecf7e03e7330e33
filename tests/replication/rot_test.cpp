// SPDX-License-Identifier: Apache-2.0
//
// A home image that is not what was written into it: never given to anybody, mended from the peer.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

constexpr std::uint64_t kAt = 1u << 20;

// Behind the node's back, as a disk does it.
void put(const std::string& path, std::uint64_t offset, const std::vector<std::byte>& bytes) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(::fsync(fd.get()), 0);
}

std::vector<std::byte> get(const std::string& path, std::uint64_t offset, std::size_t length) {
  std::vector<std::byte> bytes(length);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::pread(fd.get(), bytes.data(), length, static_cast<off_t>(offset)),
            static_cast<ssize_t>(length));
  return bytes;
}

std::string home(Node& node) { return node.folder() + "/home"; }

// Written, and in both images.
std::vector<std::byte> write_and_settle(Pair& pair) {
  const auto data = random_bytes(pair.prng, 64u << 10);
  EXPECT_EQ(pair.a().write(kAt, data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
  EXPECT_TRUE(pair.until([&] {
    // The checkpoints as well: what is behind one is written anew by whoever starts.
    const auto end = pair.a().state().issued;
    return pair.a().state().record.checkpoint == end && pair.b().state().record.checkpoint == end;
  }));
  return data;
}

struct Harm {
  const char* what;
  void (*plant)(const std::string& path, Prng& prng);
};

void flip_a_bit(const std::string& path, Prng& /*prng*/) {
  auto block = get(path, kAt + 8192, 4096);
  block[777] ^= std::byte{0x10};
  put(path, kAt + 8192, block);
}

void tear(const std::string& path, Prng& prng) {
  put(path, kAt + 8192 + 2048, random_bytes(prng, 2048));
}

void misdirect(const std::string& path, Prng& /*prng*/) {
  put(path, kAt + 8192, get(path, kAt + 32768, 8192));
}

class Rot : public testing::TestWithParam<Harm> {};

TEST_P(Rot, OfTheWritersImageIsMendedFromThePeersBeforeAnybodyReadsIt) {
  Pair pair;
  pair.bring_into_step();
  const auto data = write_and_settle(pair);
  GetParam().plant(home(pair.a()), pair.prng);
  ASSERT_NE(get(home(pair.a()), kAt, data.size()), data);
  EXPECT_EQ(pair.a().read(kAt, data.size()), data);
  EXPECT_GE(pair.a().engine().sums().facts().mended, 1u);
  EXPECT_EQ(pair.a().engine().sums().facts().lost, 0u);
  EXPECT_EQ(get(home(pair.a()), kAt, data.size()), data);
}

TEST_P(Rot, WithoutAPeerIsAnErrorAndNeverData) {
  Pair pair;
  pair.bring_into_step();
  const auto data = write_and_settle(pair);
  pair.wire->cut(true);
  GetParam().plant(home(pair.a()), pair.prng);
  std::optional<int> result;
  pair.a().read(kAt + 8192, 4096, [&](int error, const auto&) { result = error; });
  ASSERT_TRUE(pair.until([&] { return result.has_value(); }));
  EXPECT_EQ(*result, EBADMSG);
  EXPECT_GE(pair.a().engine().sums().facts().lost, 1u);
  // What is around it is served, and with the peer back all of it.
  EXPECT_EQ(pair.a().read(kAt, 4096), std::vector(data.begin(), data.begin() + 4096));
  pair.wire->cut(false);
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_EQ(pair.a().read(kAt, data.size()), data);
}

TEST_P(Rot, OfTheStandbysImageIsFoundByTheScrubBeforeItIsNeeded) {
  Pair pair;
  pair.bring_into_step();
  const auto data = write_and_settle(pair);
  pair.b().kill();
  GetParam().plant(home(pair.b()), pair.prng);
  pair.b().start();
  ASSERT_TRUE(pair.until([&] { return pair.b().engine().sums().facts().mended >= 1; }));
  ASSERT_TRUE(pair.until([&] { return get(home(pair.b()), kAt, data.size()) == data; }));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Rot,
                         testing::Values(Harm{"Bit", flip_a_bit}, Harm{"Torn", tear},
                                         Harm{"Misdirected", misdirect}),
                         [](const auto& kind) { return std::string(kind.param.what); });

TEST(Sums, ThatRottedThemselvesAreMendedWhenBothImagesAreAlike) {
  Pair pair;
  pair.bring_into_step();
  const auto data = write_and_settle(pair);
  pair.a().kill();
  put(pair.a().folder() + "/sums", (kAt / 4096 + 2) * 4, filled(4, 9));
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  EXPECT_EQ(pair.a().read(kAt, data.size()), data);
  EXPECT_EQ(pair.a().engine().sums().facts().lost, 0u);
}

TEST(Sums, OfAVolumeThatHadNoneAreLearnedFromWhatIsRead) {
  Pair pair;
  pair.bring_into_step();
  const auto data = write_and_settle(pair);
  pair.a().kill();
  std::filesystem::remove(pair.a().folder() + "/sums");
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
  ASSERT_TRUE(pair.a().engine().sums().checks());
  EXPECT_EQ(pair.a().read(kAt, data.size()), data);
  flip_a_bit(home(pair.a()), pair.prng);
  EXPECT_EQ(pair.a().read(kAt, data.size()), data);
  EXPECT_EQ(pair.a().engine().sums().facts().mended, 1u);
}

// Writes of all lengths, down to a sector, killed at any moment; overlapping reads meanwhile.
TEST(Sums, AccuseNoImageThatWasOnlyKilled) {
  Pair pair;
  pair.bring_into_step();
  for (int life = 0; life < 6; ++life) {
    int answered = 0;
    for (int i = 0; i < 120; ++i) {
      const std::uint64_t offset = pair.prng.below(8192) * 512;
      const std::uint64_t length = (1 + pair.prng.below(life % 2 == 0 ? 8 : 80)) * 512;
      if (pair.prng.chance(1, 8)) {
        pair.a().zero(offset, length, true, [&](int) { ++answered; });
      } else {
        pair.a().write(offset, random_bytes(pair.prng, length), [&](int) { ++answered; });
      }
      pair.a().read(pair.prng.below(1024) * 4096, 65536,
                    [](int error, const auto&) { EXPECT_EQ(error, 0); });
      pair.turn();
    }
    const int wanted = static_cast<int>(pair.prng.below(120));
    ASSERT_TRUE(pair.until([&] { return answered >= wanted; }));
    EXPECT_EQ(pair.a().engine().sums().facts().rotten, 0u);
    EXPECT_EQ(pair.b().engine().sums().facts().rotten, 0u);
    Node& killed = life % 3 == 2 ? pair.b() : pair.a();
    killed.kill();
    killed.start();
    ASSERT_EQ(pair.a().promote(), 0);
    ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
    for (std::uint64_t at = 0; at < kVolume; at += 1u << 20) {
      pair.a().read(at, 1u << 20);
    }
    EXPECT_EQ(pair.a().engine().sums().facts().rotten, 0u);
    EXPECT_EQ(pair.b().engine().sums().facts().rotten, 0u);
  }
}

}  // namespace
}  // namespace cb::replication
