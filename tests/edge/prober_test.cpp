// SPDX-License-Identifier: Apache-2.0
//
// The probe thread against plain memory and a socket that is read or not: what is looked at is the
// schedule that it wrote down, never how long something took.
#include "edge/prober.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/clock.h"

namespace cb::edge {
namespace {

constexpr Duration kInterval = 300_ms;
constexpr Duration kAnswerWithin = 2_ms;
constexpr Duration kBurst = 1_ms;

class ProberTest : public testing::Test {
 protected:
  ProberTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
    node.boot = 1;
    pair.pairing = 5;
    ProbePath& path = paths[CB_LINK_NETWORK];
    path.used = true;
    path.link = core::Link::Network;
    path.timing = {.interval = kInterval, .answer_within = kAnswerWithin, .probes_lost = 4};
    path.burst_interval = kBurst;
    path.view = {&node, &pair, &lease, &seen, &probes, &keys, nullptr};
    path.probes = &probes;
    path.socket = ours.get();
  }

  // Takes the next probe from the wire; its sequence, as the prober counts.
  uint64_t next_probe() {
    struct cb_heartbeat probe;
    EXPECT_EQ(recv(theirs.get(), &probe, sizeof probe, 0), static_cast<ssize_t>(sizeof probe));
    return CB_BE64(probe.sequence);
  }
  int64_t sent_at(uint64_t sequence) const {
    return static_cast<int64_t>(CB_READ_ONCE(probes.sent_ns[sequence % CB_PROBE_RING]));
  }
  void answer(uint64_t sequence) {
    CB_WRITE_ONCE(seen.frame_ns, static_cast<__u64>(boottime_now().as_ns()));
    CB_WRITE_ONCE(seen.answered_sequence, sequence);
  }
  void start() {
    auto started = Prober::start([this] { woken.fetch_add(1); });
    ASSERT_TRUE(bool(started));
    prober = std::move(*started);
    prober->set_paths(paths);
  }

  Fd ours;
  Fd theirs;
  cb_node node{};
  cb_pair pair{};
  cb_lease lease{};
  cb_path seen{};
  cb_probes probes{};
  cb_keys keys{};
  ProbePaths paths{};
  std::atomic<int> woken{0};
  std::unique_ptr<Prober> prober;
};

TEST_F(ProberTest, AskedInVainItAsksAgainInABurstWhenTheAnswerIsDue) {
  start();
  const uint64_t first = next_probe();
  for (uint64_t k = 1; k <= 4; ++k) {
    EXPECT_EQ(next_probe(), first + k);
  }
  EXPECT_GE(sent_at(first + 1) - sent_at(first), kAnswerWithin.as_ns());
  // A burst, however late this machine runs it: the four of them together in less than one interval
  // would otherwise have taken four.
  EXPECT_LT(sent_at(first + 4) - sent_at(first), 4 * kInterval.as_ns());
  while (woken.load() == 0) {
    std::this_thread::yield();
  }
}

TEST_F(ProberTest, AnsweredInTimeItKeepsItsIntervalAndWakesNobody) {
  paths[CB_LINK_NETWORK].timing.answer_within = kInterval * 10;  // this test may be slow
  start();
  uint64_t sequence = next_probe();
  for (int k = 0; k < 3; ++k) {
    answer(sequence);
    const uint64_t next = next_probe();
    EXPECT_EQ(next, sequence + 1);
    // A turn that ran late is not made up for, and shortens the way to the next one.
    EXPECT_GT(sent_at(next) - sent_at(sequence), kInterval.as_ns() / 2);
    sequence = next;
  }
  EXPECT_EQ(woken.load(), 0);
}

}  // namespace
}  // namespace cb::edge
