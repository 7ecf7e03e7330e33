// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/prng.h"
#include "core/volume/batch.h"
#include "core/volume/dirty_map.h"
#include "core/volume/message.h"
#include "core/volume/superblock.h"

namespace cb::core::volume {
namespace {

constexpr uint64_t kVolume = 1024 * kBlock;

BatchHeader batch() {
  BatchHeader header;
  header.position = 7 * kBlock;
  header.generation = {0x1122334455667788u, 0x99aabbccddeeff00u};
  header.epoch = 6;
  header.synced = 5 * kBlock;
  header.committed = 4 * kBlock;
  header.entries.push({EntryType::Write, 4096, 8192, 0, 0xdeadbeef});
  header.entries.push({EntryType::Write, 512, 512, 4096, 1});
  header.entries.push({EntryType::Zero, 65536, 0, 0, 0});
  header.entries.push({EntryType::Discard, 4096, kVolume - 4096, 0, 0});
  header.payload_length = 8192;
  header.digest = digest_after({1, 2}, header);
  return header;
}

std::vector<std::byte> bytes_of(const BatchHeader& header) {
  std::vector<std::byte> bytes(kBlock);
  bytes.resize(encode(header, bytes));
  return bytes;
}

Record record() {
  Record r;
  r.counter = 41;
  r.instance_high = 0x0102030405060708u;
  r.instance_low = 9;
  r.ring_length = 64 * kBlock;
  r.volume_length = kVolume;
  r.node = 1;
  r.standing = Standing::CatchingUp;
  r.epoch = 12;
  r.tail = 20 * kBlock;
  r.tail_digest = {3, 4};
  r.checkpoint = 30 * kBlock;
  r.checkpoint_digest = {5, 6};
  r.synced = 40 * kBlock;
  r.committed = 35 * kBlock;
  r.map = {true, true, 1, 77, 2 * kBlock, 20 * kBlock};
  r.copying = 99;
  r.epochs.push({2, {1, 1}, 0, {}, 0});
  r.epochs.push({12, {2, 1}, 10 * kBlock, {7, 8}, 1});
  return r;
}

std::vector<std::byte> bytes_of(const Record& r) {
  std::vector<std::byte> bytes(kBlock);
  encode(r, bytes);
  return bytes;
}

TEST(BatchFormat, GivesBackWhatWasWritten) {
  const auto decoded = decode_batch(bytes_of(batch()), kVolume);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, batch());
}

TEST(BatchFormat, HasTheLayoutOfTheDocument) {
  const auto bytes = bytes_of(batch());
  EXPECT_EQ(bytes.size(), 96u + 4 * 32u);
  EXPECT_EQ(bytes[0], std::byte{'C'});
  EXPECT_EQ(bytes[3], std::byte{'1'});
  EXPECT_EQ(bytes[9], std::byte{0x70});        // position 0x7000, little-endian
  EXPECT_EQ(bytes[16], std::byte{0x88});       // generation, high half first
  EXPECT_EQ(bytes[48], std::byte{6});          // epoch
  EXPECT_EQ(bytes[72 + 1], std::byte{0x20});   // payload length 0x2000
  EXPECT_EQ(bytes[76], std::byte{4});          // entries
  EXPECT_EQ(bytes[96], std::byte{1});          // the first entry's type
  EXPECT_EQ(bytes[96 + 20], std::byte{0xef});  // its crc
}

TEST(BatchFormat, EveryFlippedBitIsRefused) {
  const auto good = bytes_of(batch());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_batch(bad, kVolume)) << "bit " << bit;
  }
}

TEST(BatchFormat, EveryShorterLengthIsRefused) {
  const auto good = bytes_of(batch());
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(decode_batch(ConstBytes(good).first(length), kVolume)) << length;
  }
}

// A checksum proves only who computed it: what it covers must make sense by itself.
TEST(BatchFormat, AValidChecksumOverNonsenseIsRefused) {
  const auto refused = [](auto&& spoil) {
    BatchHeader header = batch();
    spoil(header);
    return !decode_batch(bytes_of(header), kVolume);
  };
  EXPECT_TRUE(refused([](BatchHeader& h) { h.position += 1; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.position = UINT64_MAX / kBlock * kBlock; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.synced = h.position + kBlock; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.committed = h.position + kBlock; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.generation = {}; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.payload_length = kPayloadMax + 4096; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.payload_length = 4096; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.payload_length = 3 * 4096; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries.clear(); }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[0].length = 0; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[0].length = 100; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[0].offset = kVolume; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[0].offset = UINT64_MAX - 511; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[1].payload_offset = 0; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[1].length = 8192; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[2].crc = 1; }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[2].type = static_cast<EntryType>(0); }));
  EXPECT_TRUE(refused([](BatchHeader& h) { h.entries[3].offset += 512; }));
}

TEST(BatchFormat, TheFullestBatchFitsItsBlock) {
  BatchHeader header = batch();
  header.entries.clear();
  for (int i = 0; i < kEntriesMax; ++i) {
    header.entries.push({EntryType::Zero, 512, 0, 0, 0});
  }
  header.payload_length = 0;
  const auto bytes = bytes_of(header);
  EXPECT_LE(bytes.size(), kBlock);
  EXPECT_TRUE(decode_batch(bytes, kVolume));
}

TEST(Digest, IsTheSameOnBothNodesAndForNothingElse) {
  const BatchHeader header = batch();
  BatchHeader other = header;
  other.synced = other.committed = 0;  // what each node fills in for itself
  EXPECT_EQ(digest_after({1, 2}, header), digest_after({1, 2}, other));
  EXPECT_FALSE(digest_after({1, 3}, header) == digest_after({1, 2}, header));
  other = header;
  other.entries[0].crc ^= 1;
  EXPECT_FALSE(digest_after({1, 2}, header) == digest_after({1, 2}, other));
  other = header;
  other.generation.low ^= 1;
  EXPECT_FALSE(digest_after({1, 2}, header) == digest_after({1, 2}, other));
}

TEST(Superblock, GivesBackWhatWasWritten) {
  const auto decoded = decode_record(bytes_of(record()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, record());
}

TEST(Superblock, HoldsAFullListOfEpochs) {
  Record r = record();
  r.epochs.clear();
  for (uint64_t i = 0; i < kEpochsMax; ++i) {
    r.epochs.push({2 + 2 * i, {i + 1, 5}, i * kBlock, {i, i}, 0});
  }
  const auto decoded = decode_record(bytes_of(r));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->epochs, r.epochs);
}

TEST(Superblock, EveryFlippedBitIsRefused) {
  const auto good = bytes_of(record());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_FALSE(decode_record(bad)) << "bit " << bit;
  }
}

TEST(Superblock, AValidChecksumOverNonsenseIsRefused) {
  const auto refused = [](auto&& spoil) {
    Record r = record();
    spoil(r);
    return !decode_record(bytes_of(r));
  };
  EXPECT_TRUE(refused([](Record& r) { r.node = 2; }));
  EXPECT_TRUE(refused([](Record& r) { r.ring_length = kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.ring_length += 1; }));
  EXPECT_TRUE(refused([](Record& r) { r.volume_length = 0; }));
  EXPECT_TRUE(refused([](Record& r) { r.tail = r.checkpoint + kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.checkpoint = r.tail + r.ring_length + kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.map.to += kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.map.from = r.map.to + kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.map.slot = 2; }));
  EXPECT_TRUE(refused([](Record& r) { r.standing = static_cast<Standing>(9); }));
  EXPECT_TRUE(refused([](Record& r) { r.epochs[0].start = 11 * kBlock; }));
  EXPECT_TRUE(refused([](Record& r) { r.epochs[0].number = 12; }));
  EXPECT_TRUE(refused([](Record& r) { r.epochs[1].writer = 2; }));
  EXPECT_TRUE(refused([](Record& r) { r.epochs[1].generation = {}; }));
}

TEST(Superblock, TheNewerOfTwoCopiesCounts) {
  Record older = record();
  older.counter = 40;
  EXPECT_EQ(newer(older, record())->counter, 41u);
  EXPECT_EQ(newer(record(), older)->counter, 41u);
  EXPECT_EQ(newer(std::nullopt, older)->counter, 40u);
  EXPECT_FALSE(newer(std::nullopt, std::nullopt));
}

TEST(MapFormat, ABlockOfAnotherWritingOrPlaceIsRefused) {
  std::array<std::byte, kBlock> bytes;
  const std::array<uint64_t, 3> words = {1, 2, 0xffffffffffffffffu};
  encode_map_block(7, 3, words, bytes);
  std::array<uint64_t, 3> read{};
  EXPECT_TRUE(decode_map_block(bytes, 7, 3, read));
  EXPECT_EQ(read, words);
  EXPECT_FALSE(decode_map_block(bytes, 8, 3, read));
  EXPECT_FALSE(decode_map_block(bytes, 7, 4, read));
  bytes[100] ^= std::byte{1};
  EXPECT_FALSE(decode_map_block(bytes, 7, 3, read));
}

TEST(MessageFormat, GivesBackWhatWasSaid) {
  for (int kind = 1; kind <= static_cast<int>(MessageKind::GiveBlock); ++kind) {
    Message m;
    m.kind = static_cast<MessageKind>(kind);
    m.session = 5;
    m.to_session = 6;
    m.number = 7;
    m.position = 8 * kBlock;
    m.end = 9 * kBlock;
    m.synced = kBlock;
    m.committed = 2 * kBlock;
    m.flush = 3 * kBlock;
    m.digest = {10, 11};
    m.epoch = {12, {13, 14}, 4 * kBlock, {15, 16}, 1};
    m.copying = 17;
    m.extent = 18;
    m.standing = Standing::Together;
    m.granted = 19;
    m.serving = true;
    m.node = 1;
    m.instance_high = 20;
    m.instance_low = 21;
    m.volume_length = 22;
    std::vector<std::byte> bytes(kMessageBytes + kEpochsMax * kEpochWireBytes);
    const std::size_t used = encode(m, record().epochs, bytes);
    const auto decoded = decode_message(ConstBytes(bytes).first(used));
    ASSERT_TRUE(decoded) << kind;
    EXPECT_EQ(decoded->message, m);
    const bool with_epochs = m.kind == MessageKind::Hello || m.kind == MessageKind::Copy;
    EXPECT_EQ(decoded->epochs.size(), with_epochs ? 2u : 0u);
    EXPECT_EQ(decoded->used, used);
    for (std::size_t length = 0; length < used; ++length) {
      EXPECT_FALSE(decode_message(ConstBytes(bytes).first(length)));
    }
  }
}

// Packets are sealed, so nonsense comes from a peer gone wrong; it must not take this node with it.
TEST(Formats, RandomBytesNeverMakeSense) {
  Prng prng(1);
  std::vector<std::byte> bytes(kBlock);
  for (int round = 0; round < 20000; ++round) {
    for (std::size_t i = 0; i < 512; ++i) {
      bytes[i] = static_cast<std::byte>(prng.next());
    }
    EXPECT_FALSE(decode_batch(bytes, kVolume));
    EXPECT_FALSE(decode_record(bytes));
    bytes[0] = std::byte{1};  // the version, so that more is looked at
    bytes[1] = static_cast<std::byte>(prng.below(13));
    (void)decode_message(bytes);  // the sanitizers watch
  }
}

}  // namespace
}  // namespace cb::core::volume
