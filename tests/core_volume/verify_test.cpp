// SPDX-License-Identifier: Apache-2.0
//
// Both images at one position: a follower that is asked stands still exactly there, and goes on
// whatever becomes of it. What the two make of it is the simulator's.
#include "tests/core_volume/bench.h"

namespace cb::core::volume {
namespace {

class Asked : public testing::Test {
 protected:
  Asked() {
    bench.follow();
    first = add();
    commit(first);
    apply();
  }

  // A batch that is durable here; where it ends.
  Position add() {
    bench.hear_batch(bench.batch(bench.state().issued)).append().pass(Duration::from_ms(60));
    if (bench.wants(ActionKind::Sync)) {
      bench.sync();
    }
    return bench.state().issued;
  }
  void commit(Position to) {
    Message note = bench.from_peer(MessageKind::Note);
    note.number = bench.state().following.number;
    note.committed = to;
    bench.hear(note);
  }
  void apply() {
    const Action action = bench.take(ActionKind::Apply);
    bench.give({.kind = EventKind::Applied, .position = action.position, .digest = {1, 1}});
  }
  void ask(uint64_t number, Position at) {
    Message m = bench.from_peer(MessageKind::AskSums);
    m.number = number;
    m.position = at;
    bench.hear(m);
  }

  Bench bench{Mode::Sync, Standing::Together, 1};
  Position first = 0;
};

TEST_F(Asked, ReadsAtOnceWhenItIsThereAndHoldsTheImageUntilItHasRead) {
  ask(1, first);
  const Action read = bench.take(ActionKind::ReadSums);
  EXPECT_EQ(read.position, first);
  commit(add());
  EXPECT_FALSE(bench.wants(ActionKind::Apply)) << "the image would move while it is read";
  bench.give({.kind = EventKind::SumsRead, .number = read.number});
  const Message given = bench.take(ActionKind::SendSums).message;
  EXPECT_EQ(given.number, 1u);
  EXPECT_EQ(given.position, first);
  EXPECT_EQ(given.end, first);
  EXPECT_TRUE(bench.wants(ActionKind::Apply));
}

TEST_F(Asked, ForALaterPositionAppliesUpToExactlyThere) {
  const Position second = add();
  ask(1, second);
  EXPECT_FALSE(bench.wants(ActionKind::ReadSums));
  commit(add());
  EXPECT_EQ(bench.state().applying_to, second) << "and not what is committed behind it";
  apply();
  EXPECT_EQ(bench.take(ActionKind::ReadSums).position, second);
}

TEST_F(Asked, ForAnEarlierPositionSaysSo) {
  ask(1, 0);
  const Message refused = bench.said(MessageKind::GiveSums);
  EXPECT_EQ(refused.number, 1u);
  EXPECT_NE(refused.end, refused.position);
  EXPECT_FALSE(bench.wants(ActionKind::ReadSums));
}

TEST_F(Asked, GoesOnWhenTheReadingTakesTooLongAndThenSaysNothing) {
  ask(1, first);
  const Action read = bench.take(ActionKind::ReadSums);
  commit(add());
  bench.pass(Duration::from_ms(600));
  EXPECT_TRUE(bench.wants(ActionKind::Apply));
  bench.give({.kind = EventKind::SumsRead, .number = read.number});
  EXPECT_FALSE(bench.wants(ActionKind::SendSums)) << "the image may have moved meanwhile";
}

TEST_F(Asked, OfAStretchBeyondTheVolumeAnswersNothing) {
  Message m = bench.from_peer(MessageKind::AskSums);
  m.number = 1;
  m.position = first;
  m.extent = 1;  // the volume has less than one stretch
  bench.hear(m);
  EXPECT_FALSE(bench.wants(ActionKind::ReadSums));
}

TEST(Verify, IsRefusedWithoutAPeerInStep) {
  Bench bench;
  bench.serve().give({.kind = EventKind::Verify});
  EXPECT_EQ(bench.take(ActionKind::VerifyDone).error, ENOTCONN);
  EXPECT_FALSE(bench.wants(ActionKind::ReadSums));
}

}  // namespace
}  // namespace cb::core::volume
