// SPDX-License-Identifier: Apache-2.0
#include "core/volume/history.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/volume/dirty_map.h"
#include "core/volume/scan.h"

namespace cb::core::volume {
namespace {

constexpr uint64_t kVolume = 1024 * kBlock;

Epoch epoch(uint64_t number, uint64_t generation, Position start) {
  return {number, {generation, 1}, start, {number, number}, static_cast<Node>(number % 2)};
}

TEST(History, TheSameEpochsAndEndsAreEqual) {
  const Epochs a = {epoch(2, 1, 0), epoch(3, 2, 100)};
  EXPECT_EQ(compare(a, 150, a, 150).relation, Relation::Equal);
  EXPECT_EQ(compare(a, 140, a, 150).relation, Relation::Behind);
  EXPECT_EQ(compare(a, 150, a, 140).relation, Relation::Ahead);
}

TEST(History, ADeadPrimarysTailIsCutWhereItsSuccessorBegan) {
  const Epochs dead = {epoch(2, 1, 0)};
  const Epochs successor = {epoch(2, 1, 0), epoch(3, 2, 100)};
  const Comparison c = compare(dead, 120, successor, 130);
  EXPECT_EQ(c.relation, Relation::Forked);
  EXPECT_EQ(c.common, 100u);
  EXPECT_TRUE(c.digest_known);
  EXPECT_EQ(c.digest, (Digest{3, 3}));
}

TEST(History, ASuccessorThatWroteNothingStillCutsTheTail) {
  const Comparison c = compare({epoch(2, 1, 0)}, 120, {epoch(2, 1, 0), epoch(3, 2, 100)}, 100);
  EXPECT_EQ(c.relation, Relation::Ahead);
  EXPECT_EQ(c.common, 100u);
  EXPECT_TRUE(c.digest_known);
}

TEST(History, OneWhoMissedSeveralEpochsIsBehind) {
  const Epochs theirs = {epoch(2, 1, 0), epoch(3, 2, 100), epoch(5, 3, 100), epoch(7, 4, 300)};
  EXPECT_EQ(compare({epoch(2, 1, 0)}, 80, theirs, 400).relation, Relation::Behind);
}

TEST(History, NothingInCommonIsUnrelatedWhateverTheNumbers) {
  EXPECT_EQ(compare({epoch(2, 1, 0)}, 10, {epoch(2, 9, 0)}, 10).relation, Relation::Unrelated);
  EXPECT_EQ(compare({}, 0, {epoch(2, 9, 0)}, 10).relation, Relation::Unrelated);
}

TEST(History, AFullListForgetsItsOldest) {
  Epochs epochs;
  for (uint64_t i = 0; i < kEpochsMax + 3; ++i) {
    add(epochs, epoch(i + 1, i + 1, i));
  }
  EXPECT_TRUE(epochs.full());
  EXPECT_EQ(epochs.front().number, 4u);
}

// A log of three batches on a ring, as a scan finds it.
class Log {
 public:
  Log() {
    record_.ring_length = 32 * kBlock;
    record_.volume_length = kVolume;
    record_.epochs.push(epoch(2, 1, 0));
  }
  BatchHeader& append(Position synced = 0) {
    BatchHeader header;
    header.position = end_;
    header.generation = record_.epochs.back().generation;
    header.epoch = record_.epochs.back().number;
    header.synced = synced;
    header.entries.push({EntryType::Write, 4096, 0, 0, 1});
    header.payload_length = 4096;
    header.digest = digest_ = digest_after(digest_, header);
    end_ = header.end();
    batches_.push_back(header);
    return batches_.back();
  }
  Scan scan(std::size_t rotten = SIZE_MAX) {
    Scan scan(record_);
    while (!scan.finished()) {
      const BatchHeader* found = nullptr;
      bool fine = true;
      for (std::size_t i = 0; i < batches_.size(); ++i) {
        if (batches_[i].position == scan.next()) {
          found = &batches_[i];
          fine = i != rotten;
        }
      }
      scan.found(found, fine);
    }
    return scan;
  }
  Record record_;
  std::vector<BatchHeader> batches_;
  Position end_ = 0;
  Digest digest_;
};

TEST(Scan, FindsTheEndOfTheLog) {
  Log log;
  log.append();
  log.append();
  EXPECT_EQ(log.scan().end(), log.end_);
  EXPECT_EQ(log.scan().digest(), log.digest_);
  EXPECT_FALSE(log.scan().damaged());
}

TEST(Scan, TheLastBatchOfAFullRingIsRead) {
  Log log;
  for (int i = 0; i < 15; ++i) {
    log.append();
  }
  BatchHeader& header = log.append();  // with the 16th, of two blocks, the ring of 32 is full
  EXPECT_EQ(log.scan().end(), 32 * kBlock);
  // The same where the last one is a header alone.
  const Digest before = log.batches_[14].digest;
  header.entries.clear();
  header.entries.push({EntryType::Zero, 4096, 0, 0, 0});
  header.payload_length = 0;
  header.digest = digest_after(before, header);
  BatchHeader last = header;
  last.position = header.end();
  last.digest = digest_after(header.digest, last);
  log.batches_.push_back(last);
  EXPECT_EQ(log.scan().end(), 32 * kBlock);
}

TEST(Scan, ATornBatchEndsTheLogWhenNothingBehindItWasWrittenLater) {
  Log log;
  log.append();
  log.append();
  log.append();  // on the disk before the second, which was never synced
  EXPECT_EQ(log.scan(1).end(), 2 * kBlock);
  EXPECT_FALSE(log.scan(1).damaged());
}

TEST(Scan, ARottenBatchThatWasSyncedIsDamageAndNotTheEnd) {
  Log log;
  log.append();
  log.append();
  log.append(4 * kBlock);  // written when the second was durable
  EXPECT_EQ(log.scan(1).end(), 2 * kBlock);
  EXPECT_TRUE(log.scan(1).damaged());
  EXPECT_EQ(log.scan(1).durable(), 4 * kBlock);
}

TEST(Scan, TheWatermarkOfTheSuperblockProvesDamageOfTheLastBatch) {
  Log log;
  log.append();
  log.append();
  log.record_.synced = 4 * kBlock;
  EXPECT_FALSE(log.scan().damaged());
  EXPECT_TRUE(log.scan(1).damaged());
}

TEST(Scan, WhatWasCutOffStaysCutOff) {
  Log log;
  log.append();
  log.append(2 * kBlock);
  log.record_.epochs.push(epoch(3, 2, 2 * kBlock));  // a successor began where the second begins
  EXPECT_EQ(log.scan().end(), 2 * kBlock);
  EXPECT_FALSE(log.scan().damaged());
}

TEST(Scan, ABatchWithAnotherPastIsNotPartOfTheLog) {
  Log log;
  log.append();
  log.append().digest.low ^= 1;
  EXPECT_EQ(log.scan().end(), 2 * kBlock);
}

TEST(DirtyMap, FindsWhatWasFoldedAndNothingElse) {
  const uint64_t length = 100 * kExtent + kBlock;
  std::vector<uint64_t> words(DirtyMap::words_for(length));
  DirtyMap map(words, length);
  EXPECT_EQ(map.extents(), 101u);
  BatchHeader header;
  header.entries.push({EntryType::Write, 8192, 64 * kExtent - 4096, 0, 0});
  header.entries.push({EntryType::Discard, kBlock, 100 * kExtent, 0, 0});
  map.fold(header);
  EXPECT_EQ(map.set_count(), 3u);
  EXPECT_EQ(map.next(0), 63u);
  EXPECT_EQ(map.next(64), 64u);
  EXPECT_EQ(map.next(65), 100u);
  EXPECT_FALSE(map.next(101));
  map.clear(64);
  map.clear(64);
  EXPECT_EQ(map.set_count(), 2u);
  map.set_all();
  EXPECT_EQ(map.set_count(), 101u);
}

TEST(DirtyMap, BitsPastTheEndOfTheVolumeMeanNothing) {
  std::vector<uint64_t> words(1, UINT64_MAX);
  DirtyMap map(words, 3 * kExtent);
  EXPECT_EQ(map.set_count(), 3u);
}

}  // namespace
}  // namespace cb::core::volume
