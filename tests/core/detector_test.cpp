// SPDX-License-Identifier: Apache-2.0
#include "core/detector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/prng.h"
#include "bpf/crossbeat_wire.h"

namespace cb::core {
namespace {

// Two links whose probes and answers a test plays by hand.
class Links : public testing::Test {
 protected:
  Links() {
    detector.timing[0] = {2_ms, 2_ms, 5};
    detector.timing[1] = {2_ms, 2_ms, 5};
    for (size_t i = 0; i < 2; ++i) {
      views[i].configured = true;
      views[i].sent_ns = sent[i];
    }
  }
  void probe(size_t link) {
    const uint64_t sequence = ++views[link].sent_sequence;
    sent[link][sequence % CB_PROBE_RING] = static_cast<uint64_t>(now.as_ns());
  }
  void lose(size_t link) {  // a probe that never left
    const uint64_t sequence = ++views[link].sent_sequence;
    sent[link][sequence % CB_PROBE_RING] = 0;
  }
  void answer(size_t link) {
    views[link].answered_sequence = views[link].sent_sequence;
    views[link].frame_at = now;
  }
  std::vector<EventKind> judged() {
    std::vector<EventKind> kinds;
    for (const Event& e : judge(detector, views, now)) {
      kinds.push_back(e.kind);
    }
    return kinds;
  }
  bool said(EventKind kind) {
    const auto kinds = judged();
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
  void live(int rounds) {  // probes and answers on both links
    for (int i = 0; i < rounds; ++i) {
      for (size_t link = 0; link < 2; ++link) {
        probe(link);
        answer(link);
      }
      judged();
      now += 2_ms;
    }
  }

  Detector detector;
  std::array<LinkView, kLinks> views;
  std::array<std::array<uint64_t, CB_PROBE_RING>, 2> sent{};
  Instant now = Instant::from_ns(0) + 10_s;
};

TEST_F(Links, SilenceTakesTheConfiguredNumberOfUnansweredProbesOnEveryLink) {
  live(3);
  for (int i = 1; i <= 4; ++i) {
    probe(0);
    probe(1);
    now += 2_ms;
    EXPECT_FALSE(said(EventKind::PeerSilent)) << i;
  }
  probe(0);
  probe(1);
  now += 1_ms;
  EXPECT_FALSE(said(EventKind::PeerSilent)) << "the fifth is not overdue yet";
  now += 1_ms;
  EXPECT_TRUE(said(EventKind::PeerSilent));
  EXPECT_TRUE(detector.peer_silent);
}

TEST_F(Links, OneSilentLinkIsNotASilentPeer) {
  live(3);
  for (int i = 0; i < 20; ++i) {
    probe(0);
    probe(1);
    answer(1);
    now += 2_ms;
    EXPECT_FALSE(said(EventKind::PeerSilent));
  }
  EXPECT_EQ(detector.link[0], Detector::Link::Silent);
  EXPECT_EQ(detector.link[1], Detector::Link::Answers);
  EXPECT_FALSE(detector.suspect) << "a link that is long gone makes nobody suspect";
}

TEST_F(Links, TimeInWhichWeDidNotRunProvesNothing) {
  live(3);
  now += 3600_s;
  EXPECT_TRUE(judged().empty());
  EXPECT_EQ(detector.unanswered[0], 0);
}

TEST_F(Links, ProbesThatNeverLeftProveNothing) {
  live(3);
  for (int i = 0; i < 30; ++i) {
    lose(0);
    lose(1);
    now += 2_ms;
  }
  EXPECT_TRUE(judged().empty());
}

TEST_F(Links, AFrameOfThePeerEndsTheCountThoughOurProbesGoUnanswered) {
  live(3);
  for (int i = 0; i < 40; ++i) {
    probe(0);
    probe(1);
    now += 2_ms;
    if (i % 4 == 3) {
      views[0].frame_at = now;  // it is heard, it only does not hear us
      views[1].frame_at = now;
    }
    EXPECT_FALSE(said(EventKind::PeerSilent)) << i;
  }
}

TEST_F(Links, AnOldFrameDoesNotHideLaterProbes) {
  live(3);
  probe(0);
  views[0].frame_at = now;  // came with the probe, not after it
  for (int i = 0; i < 5; ++i) {
    now += 2_ms;
    probe(0);
  }
  now += 2_ms;
  EXPECT_EQ(overdue(views[0], detector.timing[0], now), 5);
}

TEST_F(Links, SuspicionComesBeforeSilenceAndEndsWithAnAnswer) {
  live(3);
  probe(0);
  probe(1);
  now += 2_ms;
  EXPECT_FALSE(said(EventKind::PeerSuspect)) << "one lost probe is an everyday thing";
  probe(0);
  probe(1);
  now += 2_ms;
  EXPECT_TRUE(said(EventKind::PeerSuspect));
  answer(1);
  EXPECT_TRUE(said(EventKind::PeerAnswered));
  EXPECT_FALSE(detector.suspect);
}

TEST_F(Links, LostCarrierIsSilenceOfThatLinkAtOnceAndOfThePeerOnlyWithTheOther) {
  live(3);
  views[0].carrier = false;
  EXPECT_TRUE(said(EventKind::LinkSilent));
  EXPECT_FALSE(detector.peer_silent);
  views[1].carrier = false;
  EXPECT_TRUE(said(EventKind::PeerSilent));
}

TEST_F(Links, CarrierAloneDoesNotBringALinkBack) {
  live(3);
  views[0].carrier = false;
  judged();
  now += 1_s;
  views[0].carrier = true;
  EXPECT_FALSE(said(EventKind::LinkAnswered));
  EXPECT_EQ(detector.link[0], Detector::Link::Silent);
  probe(0);
  now += 1_ms;
  answer(0);
  EXPECT_TRUE(said(EventKind::LinkAnswered));
}

TEST_F(Links, APeerThatWasNeverHeardBecomesSilentAndThenAnswers) {
  for (int i = 0; i < 5; ++i) {
    probe(0);
    probe(1);
    now += 2_ms;
  }
  EXPECT_TRUE(said(EventKind::PeerSilent));
  probe(1);
  now += 1_ms;
  answer(1);
  EXPECT_TRUE(said(EventKind::PeerAnswered));
}

TEST_F(Links, AFlickerDuringSilenceIsFollowedByANewSilence) {
  live(3);
  for (int i = 0; i < 5; ++i) {
    probe(0);
    probe(1);
    now += 2_ms;
  }
  ASSERT_TRUE(said(EventKind::PeerSilent));
  // A frame comes, but by the time that we look both links miss probes again.
  now += 1_us;
  views[0].frame_at = now;
  for (int i = 0; i < 2; ++i) {
    now += 1_us;
    probe(0);
    now += 2_ms;
  }
  judged();
  ASSERT_TRUE(detector.peer_silent);
  for (int i = 0; i < 5; ++i) {
    probe(0);
    probe(1);
    now += 2_ms;
  }
  EXPECT_TRUE(said(EventKind::PeerSilent))
      << "it was another silence: whoever waits must hear of it";
}

TEST_F(Links, NothingConfiguredIsNeverSilent) {
  views[0].configured = views[1].configured = false;
  now += 100_s;
  EXPECT_TRUE(judged().empty());
}

TEST_F(Links, TheNextJudgementIsWhenTheNextProbeIsOverdue) {
  live(3);
  EXPECT_TRUE(next_judgement(detector, views, now).is_never());
  probe(0);
  const Instant due = now + 2_ms;
  now += 1_ms;
  probe(1);
  EXPECT_EQ(next_judgement(detector, views, now), due);
  now = due;
  EXPECT_EQ(next_judgement(detector, views, now), due + 1_ms);
}

// The count against a model that looks at every probe ever sent.
TEST(Overdue, AgreesWithANaiveModelOverRandomHistories) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Prng prng(seed);
    std::array<uint64_t, CB_PROBE_RING> ring{};
    LinkView view{.configured = true, .sent_ns = ring};
    const LinkTiming timing{2_ms, 2_ms, 5};
    std::vector<std::pair<uint64_t, Instant>> all;  // sequence, when it left
    Instant now = Instant::from_ns(0) + 1_s;
    for (int i = 0; i < 120; ++i) {
      now += prng.between(1_us, 3_ms);
      const uint64_t sequence = ++view.sent_sequence;
      const bool left = !prng.chance(1, 5);
      ring[sequence % CB_PROBE_RING] = left ? static_cast<uint64_t>(now.as_ns()) : 0;
      if (left) {
        all.emplace_back(sequence, now);
      }
      if (prng.chance(1, 6)) {
        view.answered_sequence = sequence - prng.below(std::min<uint64_t>(sequence, 3));
      }
      if (prng.chance(1, 8)) {
        view.frame_at = now - prng.between(0_us, 2_ms);
      }
      int expected = 0;
      for (const auto& [number, when] : all) {
        const bool kept = number + CB_PROBE_RING > view.sent_sequence;
        if (kept && number > view.answered_sequence && when > view.frame_at && when + 2_ms <= now) {
          ++expected;
        }
      }
      ASSERT_EQ(overdue(view, timing, now), expected) << "seed " << seed << " probe " << i;
    }
  }
}

TEST(Monitor, IsStaleFromItsGraceOnAndSaidOnce) {
  MonitorWatch watch;
  EXPECT_FALSE(judge_monitor(watch, 499_ms, 500_ms).has_value());
  EXPECT_EQ(judge_monitor(watch, 500_ms, 500_ms), EventKind::PeerMonitorStale);
  EXPECT_FALSE(judge_monitor(watch, 900_ms, 500_ms).has_value());
  EXPECT_EQ(judge_monitor(watch, 1_ms, 500_ms), EventKind::PeerMonitorFresh);
}

}  // namespace
}  // namespace cb::core
