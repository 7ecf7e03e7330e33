// SPDX-License-Identifier: Apache-2.0
//
// The heartbeat's rules, in the kernel: what proves life, what moves a lease, what is told to the
// monitor. The far node is the same code, natively.
#include <linux/bpf.h>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

using Kind = Outcome::Kind;

class Conversation : public ::testing::Test {
 protected:
  void SetUp() override {
    bed.reset();
    bed.pair(kSlot, far, 5);
    bed.changes();
  }

  // far's frame arrives at near. Returns what near sent back, if it did.
  std::optional<Heartbeat> arrive(const Heartbeat& hb) {
    const RunResult result = bed.run(Program::Direct, direct_frame(hb));
    if (result.verdict == XDP_TX) {
      return heartbeat_of(result.out);
    }
    EXPECT_EQ(result.verdict, static_cast<uint32_t>(XDP_DROP));
    return std::nullopt;
  }
  // far's answer to a frame of near, not yet delivered.
  Heartbeat far_answers(const Heartbeat& probe, uint64_t now = now_ns()) {
    Bytes frame = Frame(kFar, kNear).heartbeat(probe).bytes();
    EXPECT_EQ(far.receive(CB_LINK_DIRECT, frame, now, kFar).kind, Kind::Answer);
    return heartbeat_of(frame);
  }
  Heartbeat far_probe(uint64_t now = now_ns()) { return far.probe(0, CB_LINK_DIRECT, now); }
  Heartbeat near_probe(uint64_t now = now_ns()) { return bed.probe(kSlot, CB_LINK_DIRECT, now); }
  // Each proves to be alive to the other.
  void meet() {
    const Heartbeat answer = far_answers(near_probe());
    EXPECT_FALSE(arrive(answer).has_value());
    const auto back = arrive(far_probe());
    ASSERT_TRUE(back.has_value());
    Bytes frame = direct_frame(*back);
    ASSERT_EQ(far.receive(CB_LINK_DIRECT, frame, now_ns(), kFar).kind, Kind::Taken);
    bed.changes();
  }
  void expect_refused(const Heartbeat& hb, cb_drop why) {
    const NativeNode before = bed.copy();
    const uint64_t drops = bed.dropped(why);
    EXPECT_FALSE(arrive(hb).has_value());
    EXPECT_EQ(bed.dropped(why), drops + 1);
    const NativeNode after = bed.copy();
    EXPECT_EQ(std::memcmp(before.paths.data(), after.paths.data(), sizeof before.paths), 0);
    EXPECT_EQ(std::memcmp(before.leases.data(), after.leases.data(), sizeof before.leases), 0);
  }

  static constexpr unsigned kSlot = 6;
  Bed& bed = Bed::shared();
  NativeNode far;
  cb_path& path() { return bed.kernel().paths()[kSlot * CB_LINKS + CB_LINK_DIRECT]; }
  cb_lease& lease() { return bed.kernel().leases()[kSlot]; }
  cb_pair& pair() { return bed.kernel().pairs()[kSlot]; }
  cb_node& node() { return *bed.kernel().node(); }
};

// ---- probes

TEST_F(Conversation, AProbeIsAnsweredOnceHoweverOftenItArrives) {
  meet();
  const Heartbeat first = far_probe();
  const Heartbeat second = far_probe();
  EXPECT_TRUE(arrive(second).has_value());
  expect_refused(second, CB_DROP_REPLAYED_PROBE);
  expect_refused(first, CB_DROP_REPLAYED_PROBE);
}

TEST_F(Conversation, AnUnprovedBootIsAnsweredButMovesNothingAndIsGrantedNothing) {
  pair().grant_us = 5000;
  far.pairs[0].grant_us = 5000;
  const auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->grant_us, 0u);
  EXPECT_EQ(lease().granted_until_ns, 0u);
  EXPECT_EQ(lease().lease_until_ns, 0u);
  EXPECT_EQ(path().frame_ns, 0u);
  EXPECT_EQ(path().heard_ns, 0u);
  EXPECT_EQ(path().peer.received_ns, 0u);
  EXPECT_EQ(path().probes_received, 1u);
  EXPECT_TRUE(bed.changes().empty());
}

TEST_F(Conversation, AProbeThatEchoesATimeOfOursThatHasNotComeIsRefused) {
  meet();
  Heartbeat hb = far_probe();
  hb.heard_boot = CB_BE64(node().boot);
  hb.heard_ns = CB_BE64(now_ns() + 3600 * kSecond);
  sign(hb, far);
  const uint64_t lease_before = lease().lease_until_ns;
  EXPECT_FALSE(arrive(hb).has_value());
  EXPECT_EQ(bed.dropped(CB_DROP_FUTURE), 1u);
  EXPECT_EQ(lease().lease_until_ns, lease_before);
}

// A monitor that is held up, or killed, in the middle of writing: its kernel answers on, with what
// it last published. It is held up often: the probe thread has the higher priority.
TEST_F(Conversation, HalfWrittenFactsKeepNobodyFromBeingAnswered) {
  meet();
  cb_facts& next = pair().facts[(pair().turn + 1) & 1];
  next.term = 0xdead;
  next.flags = ~0u;
  pair().grant_us = 1000;
  auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE64(answer->term), 9u);
  EXPECT_EQ(CB_BE32(answer->flags), uint32_t{CB_FACT_ELIGIBLE | CB_FACT_IN_STEP});
  EXPECT_EQ(CB_BE32(answer->grant_us), 1000u);
  EXPECT_EQ(bed.dropped(CB_DROP_BUSY), 0u);
  node().exit_ns = now_ns();
  answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE64(answer->term), 9u);
  EXPECT_NE(CB_BE32(answer->flags) & CB_FACT_MONITOR_EXITED, 0u);
}

TEST_F(Conversation, TheNextFactsReplaceWhatAKilledMonitorLeftHalfWritten) {
  meet();
  pair().facts[(pair().turn + 1) & 1].term = 0xdead;
  cb_facts facts{};
  facts.term = 10;
  bed.kernel().write_facts(kSlot, facts);
  auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE64(answer->term), 10u);
  facts.term = 11;
  bed.kernel().write_facts(kSlot, facts);
  answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE64(answer->term), 11u);
}

TEST_F(Conversation, TheAnswerSaysHowLongTheMonitorHasNotRunAndThatItIsGone) {
  meet();
  node().beat_ns = now_ns() - 40 * kMillisecond;
  auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_GE(CB_BE32(answer->monitor_age_us), 40'000u);
  EXPECT_LT(CB_BE32(answer->monitor_age_us), 20'000'000u);
  EXPECT_EQ(CB_BE32(answer->flags) & CB_FACT_MONITOR_EXITED, 0u);
  node().beat_ns = 0;  // never completed a turn
  node().exit_ns = now_ns();
  answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE32(answer->monitor_age_us), 0xffffffffu);
  EXPECT_NE(CB_BE32(answer->flags) & CB_FACT_MONITOR_EXITED, 0u);
}

// ---- answers

TEST_F(Conversation, AnAnswerCountsOnceAndOnlyForAProbeThatIsOutstanding) {
  const Heartbeat answer = far_answers(near_probe());
  Heartbeat never_sent = answer;
  never_sent.sequence = CB_BE64(CB_BE64(answer.sequence) + 1);
  sign(never_sent, far);
  expect_refused(never_sent, CB_DROP_UNMATCHED_ANSWER);
  Heartbeat zero = answer;
  zero.sequence = 0;
  sign(zero, far);
  expect_refused(zero, CB_DROP_UNMATCHED_ANSWER);
  Heartbeat wrong_stamp = answer;
  wrong_stamp.heard_ns = CB_BE64(CB_BE64(answer.heard_ns) + 1);
  sign(wrong_stamp, far);
  expect_refused(wrong_stamp, CB_DROP_UNMATCHED_ANSWER);

  EXPECT_FALSE(arrive(answer).has_value());
  EXPECT_EQ(path().answers_received, 1u);
  EXPECT_EQ(path().answered_sequence, 1u);
  expect_refused(answer, CB_DROP_STALE_ANSWER);
}

TEST_F(Conversation, AnAnswerToAProbeThatFailedToLeaveOrFellOutOfTheRingDoesNotCount) {
  const Heartbeat unsent = far_answers(near_probe());
  cb_probes& probes = bed.kernel().probes()[kSlot * CB_LINKS];
  probes.sent_ns[1] = 0;
  expect_refused(unsent, CB_DROP_UNMATCHED_ANSWER);
  Heartbeat guessed = unsent;
  guessed.heard_ns = 0;
  sign(guessed, far);
  expect_refused(guessed, CB_DROP_UNMATCHED_ANSWER);
  // Even if a probe of the same moment has taken its place in the ring.
  const uint64_t moment = now_ns();
  const Heartbeat old = far_answers(near_probe(moment));
  for (int i = 0; i < CB_PROBE_RING; ++i) {
    near_probe(moment);
  }
  expect_refused(old, CB_DROP_UNMATCHED_ANSWER);
}

TEST_F(Conversation, AnAnswerBehindANewerOneIsStale) {
  const Heartbeat first = far_answers(near_probe());
  const Heartbeat second = far_answers(near_probe());
  EXPECT_FALSE(arrive(second).has_value());
  expect_refused(first, CB_DROP_STALE_ANSWER);
}

TEST_F(Conversation, AnAnswerToAnEarlierLifeOfOursDoesNotCount) {
  const Heartbeat answer = far_answers(near_probe());
  node().boot = 0x9999;
  expect_refused(answer, CB_DROP_OTHER_BOOT);
  node().boot = 0x1111;
  Heartbeat from_nowhere = answer;
  from_nowhere.boot = 0;
  sign(from_nowhere, far);
  expect_refused(from_nowhere, CB_DROP_OTHER_BOOT);
}

TEST_F(Conversation, AnAnswerToAProbeOfTheFutureDoesNotCount) {
  const Heartbeat answer = far_answers(near_probe(now_ns() + 3600 * kSecond));
  expect_refused(answer, CB_DROP_FUTURE);
}

TEST_F(Conversation, ANewBootIsProvedByAnAnswerAndForgetsWhatTheOldOneSaid) {
  meet();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(arrive(far_probe()).has_value());
  }
  const Heartbeat recorded = far_probe();
  const uint64_t sequence = path().probe_sequence;
  EXPECT_GE(sequence, 10u);

  NativeNode reborn;
  reborn.node = far.node;
  reborn.node.boot = 0x4444;
  reborn.pairs = far.pairs;
  reborn.keys = far.keys;
  far = reborn;
  // Its probe alone proves nothing: it could be a recording.
  const auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(path().peer_boot, 0x2222u);
  EXPECT_EQ(path().probe_sequence, sequence);

  // Its clock has begun anew, too.
  EXPECT_FALSE(arrive(far_answers(near_probe(), 5000)).has_value());
  EXPECT_EQ(path().peer_boot, 0x4444u);
  EXPECT_EQ(path().probe_sequence, 0u);
  EXPECT_EQ(path().heard_ns, 5000u);
  const auto changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_PEER_BOOT));
  EXPECT_EQ(changes[0].value, 0x4444u);
  EXPECT_TRUE(arrive(far_probe()).has_value());
  EXPECT_EQ(path().probe_sequence, 2u);

  // A probe recorded from the old boot is answered as a stranger's, and moves nothing.
  const uint64_t frame_ns = path().frame_ns;
  EXPECT_TRUE(arrive(recorded).has_value());
  EXPECT_EQ(path().frame_ns, frame_ns);
  EXPECT_EQ(path().probe_sequence, 2u);
}

TEST_F(Conversation, TheRoundTripIsCounted) {
  const uint64_t start = now_ns();
  EXPECT_FALSE(arrive(far_answers(near_probe())).has_value());
  const uint64_t longest = now_ns() - start;
  EXPECT_GT(path().rtt_last_ns, 0u);
  EXPECT_LE(path().rtt_last_ns, longest);
  EXPECT_EQ(path().rtt_min_ns, path().rtt_last_ns);
  EXPECT_EQ(path().rtt_sum_ns, path().rtt_last_ns);
  const auto bucket = static_cast<unsigned>(63 - __builtin_clzll(path().rtt_last_ns));
  EXPECT_EQ(path().rtt_histogram[bucket], 1u);
  // The last bucket takes all that is longer than it.
  EXPECT_FALSE(arrive(far_answers(near_probe(1))).has_value());
  EXPECT_EQ(path().rtt_histogram[CB_RTT_BUCKETS - 1], 1u);
}

// ---- leases

TEST_F(Conversation, AGrantIsRecordedToItsEndAndNeverShrinks) {
  meet();
  pair().grant_us = 2000;
  auto answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE32(answer->grant_us), 2000u);
  const uint64_t until = CB_BE64(answer->stamp_ns) + 2000 * 1000;
  EXPECT_EQ(lease().granted_until_ns, until);
  EXPECT_EQ(lease().granting, 0u);

  pair().grant_us = 0;
  answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->grant_us, 0u);
  EXPECT_EQ(lease().granted_until_ns, until);

  // However long a grant is asked for, ten seconds are the most.
  pair().grant_us = 0xffffffff;
  answer = arrive(far_probe());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE32(answer->grant_us), CB_GRANT_US_MAX);
  EXPECT_EQ(lease().granted_until_ns, CB_BE64(answer->stamp_ns) + CB_GRANT_US_MAX * 1000ull);
}

TEST_F(Conversation, AnAnswerExtendsOurLeaseFromOurOwnStamp) {
  far.pairs[0].grant_us = 3000;
  meet();  // far grants once our boot is proved to it
  const uint64_t stamp = now_ns();
  const Heartbeat answer = far_answers(near_probe(stamp), stamp + 7 * kSecond);
  EXPECT_FALSE(arrive(answer).has_value());
  EXPECT_EQ(lease().lease_until_ns, stamp + 3000 * 1000) << "whatever the far clock says";
  EXPECT_GE(lease().extended_by_answers, 1u);
}

TEST_F(Conversation, AProbeThatEchoesAStampOfOursExtendsOurLeaseFromThatStamp) {
  meet();
  const uint64_t heard = far.paths[CB_LINK_DIRECT].heard_ns;
  ASSERT_GT(heard, 0u);
  far.pairs[0].grant_us = 4000;
  EXPECT_TRUE(arrive(far_probe()).has_value());
  EXPECT_EQ(lease().lease_until_ns, heard + 4000 * 1000);
  EXPECT_EQ(lease().extended_by_probes, 1u);
}

TEST_F(Conversation, AProbeThatEchoesAnotherBootExtendsNothing) {
  meet();
  far.pairs[0].grant_us = 4000;
  Heartbeat hb = far_probe();
  hb.heard_boot = CB_BE64(0x7777);
  sign(hb, far);
  const uint64_t before = lease().lease_until_ns;
  EXPECT_TRUE(arrive(hb).has_value());
  EXPECT_EQ(lease().lease_until_ns, before);
}

TEST_F(Conversation, ALeaseNeverShrinksAndAGrantIsNeverLongerThanTenSeconds) {
  meet();
  far.pairs[0].grant_us = 9'000'000;
  EXPECT_TRUE(arrive(far_probe()).has_value());
  const uint64_t until = lease().lease_until_ns;
  far.pairs[0].grant_us = 1000;
  EXPECT_TRUE(arrive(far_probe()).has_value());
  EXPECT_EQ(lease().lease_until_ns, until);
  Heartbeat hb = far_probe();
  hb.grant_us = 0xffffffff;
  sign(hb, far);
  EXPECT_TRUE(arrive(hb).has_value());
  EXPECT_EQ(lease().lease_until_ns, CB_BE64(hb.heard_ns) + CB_GRANT_US_MAX * 1000ull);
}

// ---- what the monitor is told

TEST_F(Conversation, TheMonitorIsToldOfChangesAndOfNothingElse) {
  EXPECT_FALSE(arrive(far_answers(near_probe())).has_value());
  auto changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_PEER_BOOT));
  EXPECT_EQ(changes[0].slot, kSlot);
  EXPECT_EQ(changes[0].link, CB_LINK_DIRECT);
  meet();
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(arrive(far_probe()).has_value());
    EXPECT_FALSE(arrive(far_answers(near_probe())).has_value());
  }
  EXPECT_TRUE(bed.changes().empty()) << "a record per heartbeat would wake the monitor for nothing";

  cb_facts_of(&far.pairs[0])->flags = CB_FACT_SERVING;
  const uint64_t before = now_ns();
  EXPECT_TRUE(arrive(far_probe()).has_value());
  EXPECT_TRUE(arrive(far_probe()).has_value());
  changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_FACTS));
  EXPECT_GE(changes[0].at_ns, before);
  const auto facts = bed.kernel().read_peer(kSlot, CB_LINK_DIRECT);
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->flags, static_cast<uint32_t>(CB_FACT_SERVING));
  EXPECT_EQ(facts->term, 7u);
}

TEST_F(Conversation, AGoodbyeIsTold) {
  meet();
  cb_facts_of(&far.pairs[0])->intent = CB_INTENT_GOODBYE;
  EXPECT_TRUE(arrive(far_probe()).has_value());
  const auto changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_FACTS));
  EXPECT_EQ(path().peer.intent, CB_INTENT_GOODBYE);
}

TEST_F(Conversation, TheFirstAnswerAfterALongSilenceIsTold) {
  meet();
  for (int i = 0; i < CB_PROBE_RING; ++i) {
    near_probe();
  }
  EXPECT_FALSE(arrive(far_answers(near_probe())).has_value());
  const auto changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_FIRST_ANSWER));
}

TEST_F(Conversation, ForgedFramesAreToldOfOnceASecondAndCountedAll) {
  Heartbeat hb = far_probe();
  hb.tag ^= 1;
  const uint64_t start = now_ns();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(arrive(hb).has_value());
  }
  const uint64_t seconds = (now_ns() - start) / kSecond + 1;
  EXPECT_EQ(bed.dropped(CB_DROP_TAG), 1000u);
  const auto changes = bed.changes();
  EXPECT_LE(changes.size(), seconds);
  for (const cb_change& change : changes) {
    EXPECT_EQ(change.kind, static_cast<uint32_t>(CB_CHANGE_BAD_TAGS));
    EXPECT_EQ(change.slot, kSlot);
  }
}

TEST_F(Conversation, ForgedFramesOnAPathNotYetComplainedOfAreToldAtOnce) {
  // A slot of this test's own, since the programs remember the second they last told of.
  NativeNode another;
  bed.pair(15, another, 77, 0x5555);
  Heartbeat hb = another.probe(0, CB_LINK_DIRECT, now_ns());
  hb.tag ^= 1;
  EXPECT_FALSE(arrive(hb).has_value());
  const auto changes = bed.changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, static_cast<uint32_t>(CB_CHANGE_BAD_TAGS));
  EXPECT_EQ(changes[0].slot, 15);
  EXPECT_EQ(changes[0].value, 1u);
}

TEST_F(Conversation, OldNewsDoesNotReplaceNewerNews) {
  meet();
  const Heartbeat answer_made_before = far_answers(near_probe());
  cb_facts_of(&far.pairs[0])->term = 8;
  EXPECT_TRUE(arrive(far_probe(now_ns() + kMillisecond)).has_value());
  ASSERT_EQ(path().peer.term, 8u);
  EXPECT_FALSE(arrive(answer_made_before).has_value());
  EXPECT_EQ(path().peer.term, 8u) << "a frame that was overtaken turned the clock back";
  EXPECT_EQ(path().answered_sequence, 2u) << "but it proves life all the same";
}

}  // namespace
}  // namespace cb::test
