// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/prng.h"
#include "config/config.h"
#include "config/volume.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kPairs = "var/lib/crossbeat/pairs";

Pair sample() {
  Pair pair;
  pair.id = 0x0123456789abcdef;
  pair.self_role = core::Role::Secondary;
  pair.primary_hm = address("10.10.10.12");
  pair.secondary_hm = address("10.10.10.13");
  pair.virtual_addresses = {prefix("10.10.10.11/24"), prefix("fd00::11/64")};
  pair.peer_name = "mse1";
  pair.peer_version = "7.2.103.0";
  pair.peer_udi = "AIR-MSE-VA-K9:V01:mse1";
  pair.automatic_failover = true;
  pair.failover_wait = 10_s;
  pair.direct = true;
  pair.instance_number = 3;
  for (std::size_t i = 0; i < pair.key.size(); ++i) {
    pair.key.at(i) = static_cast<uint8_t>(i + 1);
  }
  return pair;
}

Pair without_key(Pair pair) {
  pair.key = {};
  return pair;
}

TEST(PairText, IsReadBackAsItWas) {
  const auto parsed = parse_pair(pair_to_toml(sample()), "x");
  EXPECT_THAT(parsed.problems, IsEmpty());
  EXPECT_EQ(parsed.value, without_key(sample()));
}

TEST(PairText, WithAVolumeIsReadBackAsItWas) {
  Pair pair = sample();
  PairVolume& volume = pair.volume.emplace();
  volume.id = {0xde, 0xad, 0xbe, 0xef};
  volume.volume = default_volume();
  volume.volume.bytes = 3ull << 30;
  volume.volume.mode = Volume::Mode::Strict;
  volume.volume.mount_point = "/srv/data";
  const auto parsed = parse_pair(pair_to_toml(pair), "x");
  EXPECT_THAT(parsed.problems, IsEmpty());
  EXPECT_EQ(parsed.value, without_key(pair));
}

TEST(PairText, RefusesAVolumeThatItCannotTrust) {
  const std::string pair = pair_to_toml(sample()) + "[volume]\n";
  const std::string id = "id = \"00112233445566778899aabbccddeeff\"\n";
  for (const std::string& keys :
       {std::string("size = \"1GiB\"\n"), id, std::string("id = \"0011\"\nsize = \"1GiB\"\n"),
        id + "size = \"1\"\n", id + "size = \"1GiB\"\nmount = \"/\"\n",
        id + "size = \"1GiB\"\nmount_options = \"a b\"\n", id + "size = \"1GiB\"\nunknown = 1\n"}) {
    EXPECT_FALSE(parse_pair(pair + keys, "x").ok()) << keys;
  }
}

TEST(PairText, NeverHoldsTheKey) {
  EXPECT_THAT(pair_to_toml(sample()), testing::Not(HasSubstr("0102030405")));
}

TEST(PairText, OfRandomPairingsIsReadBackAsItWas) {
  Prng prng(7);
  const std::string letters =
      "abcdefghijklmnopqrstuvwxyz0123456789-_.:\"\\#[]{}=,' ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto word = [&] {
    std::string text;
    for (std::uint64_t i = prng.below(40); i > 0; --i) {
      text += letters[prng.below(letters.size())];
    }
    return text;
  };
  for (int i = 0; i < 2000; ++i) {
    Pair pair;
    pair.id = std::max<uint64_t>(1, prng.next());
    pair.self_role = prng.chance(1, 2) ? core::Role::Primary : core::Role::Secondary;
    pair.primary_hm = address("10.0." + std::to_string(prng.below(256)) + ".1");
    pair.secondary_hm = address("10.0." + std::to_string(prng.below(256)) + ".2");
    for (std::uint64_t k = prng.below(5) + 1; k > 0; --k) {
      pair.virtual_addresses.push_back(
          prng.chance(1, 2) ? prefix("10.1.0." + std::to_string(prng.below(255)) + "/24")
                            : prefix("fd00::" + std::to_string(prng.below(9999) + 1) + "/64"));
    }
    pair.peer_name = word();
    pair.peer_version = word();
    pair.peer_udi = word();
    pair.automatic_failover = prng.chance(1, 2);
    pair.automatic_failback = prng.chance(1, 2);
    pair.failover_wait = prng.between(0_s, 3600_s);
    pair.direct = prng.chance(1, 2);
    pair.instance_number = static_cast<int>(prng.between(1, 999));
    const auto parsed = parse_pair(pair_to_toml(pair), "x");
    ASSERT_THAT(parsed.problems, IsEmpty()) << pair_to_toml(pair);
    ASSERT_EQ(parsed.value, pair) << pair_to_toml(pair);
  }
}

TEST(PairText, NamesOfThePeerCannotEndTheirString) {
  Pair pair = sample();
  pair.peer_name = "x\"\nid = \"0000000000000001\xff";
  const auto parsed = parse_pair(pair_to_toml(pair), "x");
  EXPECT_THAT(parsed.problems, IsEmpty());
  EXPECT_EQ(parsed.value.id, sample().id);
  EXPECT_EQ(parsed.value.peer_name, "x\"?id = \"0000000000000001?");
}

TEST(PairText, TellsEveryProblemAtOnce) {
  const auto parsed = parse_pair(
      "id = \"0\"\nself_role = \"both\"\nprimary_hm = \"10.0.0.1\"\nsecondary_hm = \"10.0.0.1\"\n"
      "virtual_addresses = [\"10.0.0.9\"]\nfailover = \"always\"\nspare = 1\n",
      "pair.toml");
  ASSERT_EQ(parsed.problems.size(), 6u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(parsed.problems[static_cast<std::size_t>(i)].line, i < 2 ? i + 1 : i + 2);
  }
  EXPECT_EQ(parsed.problems[5].line, 7);
}

TEST(PairText, EmptyIsRefused) { EXPECT_FALSE(parse_pair("", "x").ok()); }

mode_t mode_of(const std::filesystem::path& path) {
  struct stat facts = {};
  EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777;
}

TEST(PairFiles, NoFolderMeansNoPairings) {
  const TemporaryFolder root;
  const auto loaded = load_pairs(root.text());
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.value, IsEmpty());
}

TEST(PairFiles, AreSavedLoadedAndRemoved) {
  const TemporaryFolder root;
  const mode_t mask = umask(0);
  const auto saved = save_pair(root.text(), sample());
  umask(mask);
  ASSERT_TRUE(saved) << to_text(saved.error());
  const auto folder = root.path() / kPairs;
  EXPECT_EQ(mode_of(folder), 0700u);
  EXPECT_EQ(mode_of(folder / "10.10.10.12.toml"), 0600u);
  EXPECT_EQ(mode_of(folder / "10.10.10.12.key"), 0600u);
  EXPECT_EQ(contents(folder / "10.10.10.12.key").size(), 65u);

  Pair other = sample();
  other.id = 2;
  other.primary_hm = address("10.10.10.14");
  other.key.fill(7);
  ASSERT_TRUE(save_pair(root.text(), other));

  auto loaded = load_pairs(root.text());
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.value, testing::ElementsAre(sample(), other));

  ASSERT_TRUE(remove_pair(root.text(), sample()));
  ASSERT_TRUE(remove_pair(root.text(), sample())) << "a second time";
  loaded = load_pairs(root.text());
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.value, testing::ElementsAre(other));
  EXPECT_FALSE(std::filesystem::exists(folder / "10.10.10.12.key"));
}

TEST(PairFiles, SavingAgainReplacesBoth) {
  const TemporaryFolder root;
  ASSERT_TRUE(save_pair(root.text(), sample()));
  Pair again = sample();
  again.id = 99;
  again.key.fill(9);
  ASSERT_TRUE(save_pair(root.text(), again));
  EXPECT_THAT(load_pairs(root.text()).value, testing::ElementsAre(again));
}

class Spoiled : public testing::Test {
 protected:
  Spoiled() { EXPECT_TRUE(save_pair(root_.text(), sample())); }

  std::filesystem::path toml() const { return root_.path() / kPairs / "10.10.10.12.toml"; }
  std::filesystem::path key() const { return root_.path() / kPairs / "10.10.10.12.key"; }

  // The pairing is not loaded, and this is said.
  void expect_refused(const std::string& why) const {
    const auto loaded = load_pairs(root_.text());
    EXPECT_THAT(loaded.value, IsEmpty());
    ASSERT_EQ(loaded.problems.size(), 1u);
    EXPECT_FALSE(loaded.ok());
    EXPECT_THAT(loaded.problems[0].text(), HasSubstr(why));
    EXPECT_THAT(loaded.problems[0].text(), testing::Not(HasSubstr("0102030405")));
  }

  TemporaryFolder root_;
};

TEST_F(Spoiled, AKeyThatOthersCanReadIsRefused) {
  ASSERT_EQ(chmod(key().c_str(), 0640), 0);
  expect_refused("others can read or change");
}

TEST_F(Spoiled, APairingThatOthersCanWriteIsRefused) {
  ASSERT_EQ(chmod(toml().c_str(), 0602), 0);
  expect_refused("others can read or change");
}

TEST_F(Spoiled, AMissingKeyIsRefused) {
  std::filesystem::remove(key());
  expect_refused("No such file");
}

TEST_F(Spoiled, AShortKeyIsRefused) {
  std::filesystem::resize_file(key(), 64);
  expect_refused("is not a key");
}

TEST_F(Spoiled, ALongKeyIsRefused) {
  write(key(), contents(key()) + "00\n");
  expect_refused("more than");
}

TEST_F(Spoiled, AKeyOfZerosIsRefused) {
  write(key(), std::string(64, '0') + "\n");
  expect_refused("is not a key");
}

TEST_F(Spoiled, AKeyThatIsALinkIsRefused) {
  std::filesystem::rename(key(), root_.path() / "elsewhere");
  std::filesystem::create_symlink(root_.path() / "elsewhere", key());
  expect_refused("open ");
}

TEST_F(Spoiled, AnotherPrimarysFileUnderThisNameIsRefused) {
  std::filesystem::rename(toml(), toml().parent_path() / "10.10.10.99.toml");
  std::filesystem::rename(key(), toml().parent_path() / "10.10.10.99.key");
  expect_refused("is for the primary 10.10.10.12");
}

TEST_F(Spoiled, AKeyWithoutItsPairingIsAWarning) {
  std::filesystem::remove(toml());
  const auto loaded = load_pairs(root_.text());
  EXPECT_TRUE(loaded.ok());
  EXPECT_THAT(loaded.value, IsEmpty());
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_THAT(loaded.problems[0].what, HasSubstr("did not finish"));
}

TEST_F(Spoiled, ACopyWithTheSameIdIsRefused) {
  Pair copy = sample();
  copy.primary_hm = address("10.10.10.20");
  ASSERT_TRUE(save_pair(root_.text(), copy));
  const auto loaded = load_pairs(root_.text());
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.value.size(), 1u);
  EXPECT_THAT(loaded.problems[0].what, HasSubstr("same id"));
}

TEST_F(Spoiled, AFullDiskLeavesTheOldPairingOrNone) {
  // A folder in the way of the new file is a write that fails, also for root.
  std::filesystem::create_directories(toml().string() + ".new/x");
  Pair again = sample();
  again.key.fill(9);
  EXPECT_FALSE(save_pair(root_.text(), again));
  const auto loaded = load_pairs(root_.text());
  EXPECT_THAT(loaded.value, IsEmpty()) << "never the old pairing with the new key";
}

}  // namespace
}  // namespace cb::config::test
