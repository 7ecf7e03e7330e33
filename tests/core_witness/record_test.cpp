// SPDX-License-Identifier: Apache-2.0
#include "core/witness/record.h"

#include <gtest/gtest.h>

namespace cb::core::witness {
namespace {

constexpr volume::Node kPrimary = 0;
constexpr volume::Node kSecondary = 1;

volume::Register at(uint64_t epoch, volume::Kind kind, volume::Node holder) {
  return {epoch, {epoch * 3 + 1, holder + 1u}, kind, holder};
}

Outcome read(Record& record, volume::Node node, bool holds = false, uint64_t term = 0,
             const volume::Register& known = {}) {
  Request request;
  request.node = node;
  request.holds = holds;
  request.term = term;
  request.known = known;
  return apply(record, request);
}

Result grant(Record& record, volume::Node node, uint64_t term) {
  Request request;
  request.operation = Operation::Grant;
  request.node = node;
  request.term = term;
  return apply(record, request).result;
}

Result release(Record& record, volume::Node node) {
  Request request;
  request.operation = Operation::Release;
  request.node = node;
  return apply(record, request).result;
}

Result swap(Record& record, volume::Node node, const volume::Register& expected,
            const volume::Register& wanted) {
  Request request;
  request.operation = Operation::Swap;
  request.node = node;
  request.expected = expected;
  request.wanted = wanted;
  return apply(record, request).result;
}

Record known() {
  Record record;
  record.met = 3;
  return record;
}

TEST(WitnessRecord, GivesTheAddressToOneNodeUntilThatNodeGivesItBack) {
  Record record = known();
  EXPECT_EQ(grant(record, kPrimary, 4), Result::Done);
  EXPECT_EQ(grant(record, kSecondary, 5), Result::Refused);
  EXPECT_EQ(grant(record, kSecondary, 1'000'001), Result::Refused);  // no term outbids a grant
  EXPECT_EQ(release(record, kSecondary), Result::Done);              // not its to give back
  EXPECT_EQ(record.holder, Holder::Primary);
  EXPECT_EQ(release(record, kPrimary), Result::Done);
  EXPECT_EQ(grant(record, kSecondary, 7), Result::Done);
  EXPECT_EQ(record.holder, Holder::Secondary);
  EXPECT_EQ(record.term, 7u);
}

TEST(WitnessRecord, GrantsAgainWhatItHasGranted) {
  Record record = known();
  ASSERT_EQ(grant(record, kPrimary, 4), Result::Done);
  const Record before = record;
  EXPECT_EQ(grant(record, kPrimary, 4), Result::Done);
  EXPECT_EQ(record, before);  // nothing to write
  EXPECT_EQ(grant(record, kPrimary, 2), Result::Done);
  EXPECT_EQ(record.term, 4u);  // the highest of all
}

TEST(WitnessRecord, SwapsTheVolumeOnlyFromWhatIsThere) {
  Record record = known();
  const auto first = at(2, volume::Kind::Alone, kPrimary);
  const auto second = at(3, volume::Kind::Together, kSecondary);
  EXPECT_EQ(swap(record, kSecondary, first, second), Result::Refused);
  EXPECT_EQ(swap(record, kPrimary, {}, first), Result::Done);
  EXPECT_EQ(swap(record, kSecondary, {}, second), Result::Refused);
  auto wrong = first;
  wrong.generation.low += 1;
  EXPECT_EQ(swap(record, kSecondary, wrong, second), Result::Refused);
  EXPECT_EQ(swap(record, kSecondary, first, second), Result::Done);
  EXPECT_EQ(record.volume, second);
}

TEST(WitnessRecord, TheAddressAndTheVolumeDoNotTouchEachOther) {
  Record record = known();
  ASSERT_EQ(grant(record, kPrimary, 4), Result::Done);
  ASSERT_EQ(swap(record, kSecondary, {}, at(2, volume::Kind::Together, kSecondary)), Result::Done);
  EXPECT_EQ(record.holder, Holder::Primary);
  ASSERT_EQ(release(record, kPrimary), Result::Done);
  EXPECT_EQ(record.volume, at(2, volume::Kind::Together, kSecondary));
}

// The peer that comes back must find that somebody went on without it.
TEST(WitnessRecord, AnOperatorsForceTakesTheAddressFromItsHolder) {
  for (Record record : {known(), Record{}}) {
    record.holder = Holder::Primary;
    Request request;
    request.operation = Operation::Seize;
    request.node = kSecondary;
    request.term = 9;
    EXPECT_EQ(apply(record, request).result, Result::Done);
    EXPECT_EQ(record.holder, Holder::Secondary);
    EXPECT_EQ(record.term, 9u);
    EXPECT_NE(grant(record, kPrimary, 10), Result::Done);
  }
}

TEST(WitnessRecord, CountsChangesAndNothingElse) {
  Record record = known();
  ASSERT_EQ(grant(record, kPrimary, 4), Result::Done);
  EXPECT_EQ(record.counter, 1u);
  EXPECT_EQ(grant(record, kSecondary, 5), Result::Refused);
  EXPECT_FALSE(read(record, kSecondary).changed);
  EXPECT_EQ(record.counter, 1u);
}

// What was granted by a record that was lost must not be granted again.
TEST(WitnessRecord, ANewOneGivesNothingBeforeBothNodesHaveSpoken) {
  Record record;
  EXPECT_EQ(grant(record, kSecondary, 5), Result::Learning);
  EXPECT_EQ(swap(record, kSecondary, {}, at(1, volume::Kind::Alone, 1)), Result::Learning);
  EXPECT_EQ(read(record, kSecondary).result, Result::Learning);
  EXPECT_EQ(grant(record, kSecondary, 5), Result::Learning);
  EXPECT_EQ(record.holder, Holder::Nobody);
  EXPECT_EQ(release(record, kPrimary), Result::Learning);
  EXPECT_EQ(read(record, kPrimary).result, Result::Done);
  EXPECT_EQ(release(record, kPrimary), Result::Done);
  EXPECT_EQ(grant(record, kSecondary, 5), Result::Done);
}

TEST(WitnessRecord, ANewOneLearnsWhatTheNodesHold) {
  Record record;
  const auto old = at(6, volume::Kind::Together, kPrimary);
  const auto newer = at(9, volume::Kind::Alone, kSecondary);
  read(record, kSecondary, true, 9, newer);
  read(record, kPrimary, false, 0, old);
  EXPECT_EQ(record.holder, Holder::Secondary);
  EXPECT_EQ(record.volume, newer);
  EXPECT_EQ(grant(record, kPrimary, 12), Result::Refused);
  EXPECT_EQ(swap(record, kPrimary, old, at(10, volume::Kind::Alone, kPrimary)), Result::Refused);
}

TEST(WitnessRecord, OneThatKnowsBelievesNobodyWhoClaimsToHold) {
  Record record = known();
  ASSERT_EQ(grant(record, kPrimary, 4), Result::Done);
  const auto claimed = at(99, volume::Kind::Alone, kSecondary);
  read(record, kSecondary, true, 99, claimed);
  EXPECT_EQ(record.holder, Holder::Primary);
  EXPECT_EQ(record.volume, volume::Register{});
}

}  // namespace
}  // namespace cb::core::witness
