// SPDX-License-Identifier: Apache-2.0
//
// One turn of the thread: sleep until the earliest path is due; send its probe, or look whether one
// is overdue; wake the control loop when that changed. A late wake-up sends one probe, never a
// volley to catch up: time in which we did not run must not produce unanswered probes.
#include "edge/prober.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/awake.h"
#include "base/check.h"
#include "base/clock.h"
#include "edge/aside.h"

namespace cb::edge {
namespace {

constexpr int64_t kIdleNs = 50'000'000;  // nothing to probe: look again for a new table
constexpr int kBurstProbes = 24;         // how long a burst lasts, in probes per path
constexpr int64_t kNeverNs = INT64_MAX;
// A takeover is over by then; a peer that stays away is nothing to stay awake for.
constexpr Duration kAwakeFor = Duration::from_ms(30);

// Two bytes in front put the heartbeat on an 8-byte boundary behind the 14 bytes of Ethernet.
struct DirectFrame {
  uint8_t front[2];
  ethhdr ethernet;
  struct cb_heartbeat heartbeat;  // the function of the same name hides the bare name
};
constexpr size_t kDirectFrameBytes = sizeof(ethhdr) + sizeof(struct cb_heartbeat);
static_assert(offsetof(DirectFrame, heartbeat) == 2 + sizeof(ethhdr));
static_assert(CB_LINKS == 2);  // index ^ 1 is the other link

// struct sched_attr is not in Debian 12's libc headers.
struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

bool set_scheduler(SchedAttr attr) noexcept {
  attr.size = sizeof attr;
  return syscall(SYS_sched_setattr, 0, &attr, 0U) == 0;
}

// The ladder. Asked again whenever the shortest interval changes, since a deadline task's period is
// its interval, within bounds.
Scheduling take_scheduling(int64_t period_ns) noexcept {
  constexpr uint64_t kResetOnFork = 1;
  constexpr uint64_t kReclaim = 2;
  SchedAttr deadline{};
  deadline.policy = 6;  // SCHED_DEADLINE
  deadline.flags = kResetOnFork | kReclaim;
  // A turn costs some 25 us, and a burst has many at once: a short period's runtime would be used
  // up in the middle of one, and the thread held back until the next period begins.
  constexpr uint64_t kPeriodMinNs = 1'000'000;
  // A new period begins only when the one before is over: who has used up a long one's runtime
  // (the first burst after the start did) is held back for all of it.
  constexpr uint64_t kPeriodMaxNs = 2'000'000;
  constexpr uint64_t kRuntimeMaxNs = 400'000;
  deadline.period = std::clamp(static_cast<uint64_t>(period_ns), kPeriodMinNs, kPeriodMaxNs);
  deadline.deadline = deadline.period;
  deadline.runtime = std::min(deadline.period * 2 / 5, kRuntimeMaxNs);
  if (set_scheduler(deadline)) {
    return Scheduling::Deadline;
  }
  SchedAttr fifo{};
  fifo.policy = SCHED_FIFO;
  fifo.flags = kResetOnFork;
  fifo.priority = 60;
  if (set_scheduler(fifo)) {
    return Scheduling::Fifo;
  }
  (void)setpriority(PRIO_PROCESS, 0,
                    -20);  // ignored: the last rung of the ladder; the facts say "nice"
  return Scheduling::Nice;
}

int64_t now_ns() noexcept { return boottime_now().as_ns(); }

void sleep_until(int64_t at_ns) noexcept {
  const timespec at{.tv_sec = at_ns / 1'000'000'000, .tv_nsec = at_ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, nullptr) == EINTR) {
  }
}

// What the send said about the probe. EHOSTUNREACH and ECONNREFUSED are news about an earlier
// datagram: this destination cannot be reached, which is just what an unanswered probe says.
bool left(ssize_t sent) noexcept {
  return sent > 0 || errno == EHOSTUNREACH || errno == ECONNREFUSED;
}

}  // namespace

const char* text_of(Scheduling scheduling) noexcept {
  switch (scheduling) {
    case Scheduling::Deadline: return "deadline";
    case Scheduling::Fifo: return "fifo";
    case Scheduling::Nice: return "nice";
  }
  return "?";
}

struct Prober::Shared {
  struct Schedule {
    int64_t due_ns = 0;
    int64_t look_ns =
        kNeverNs;  // when the answer to the newest probe is due, if that is before due_ns
    int burst_left = 0;
    int overdue = 0;  // as seen after the last probe
  };

  std::function<void()> wake;
  std::atomic<const ProbePaths*> offered{
      nullptr};  // set_paths() hands over; the thread takes and clears it
  std::atomic<bool> taken{false};
  std::atomic<bool> stop{false};
  std::array<std::atomic<uint32_t>, CB_PAIRINGS_MAX> burst_asked{};
  std::atomic<uint32_t> doorbell{0};
  alignas(64) __u64 granting = 0;  // written through the atomics of bpf/heartbeat.h

  std::atomic<Scheduling> scheduling{Scheduling::Nice};
  std::array<std::atomic<uint64_t>, kLatenessBuckets> lateness{};
  std::atomic<uint64_t> lateness_max_ns{0};
  std::atomic<uint64_t> wakeups{0};
  std::atomic<uint64_t> sends_failed{0};

  // the thread's own
  Awake awake;
  Aside aside;
  bool news = false;         // a first overdue probe
  bool wake_wanted = false;  // the control loop has something to judge
  ProbePaths paths{};
  std::array<Schedule, kProbePathsMax> schedule{};
  std::array<uint32_t, CB_PAIRINGS_MAX> burst_seen{};

  void take_table() noexcept;
  void take_bursts() noexcept;
  void start_burst(int slot) noexcept;
  int64_t earliest() const noexcept;
  bool is_silent(int index) const noexcept;
  Duration interval_of(int index) const noexcept;
  void note_lateness(int64_t late_ns) noexcept;
  void probe(int index, int64_t now) noexcept;
  void look(int index, int64_t now, bool sent) noexcept;
  void tell(int64_t now) noexcept;
  ssize_t send_probe(const ProbePath& path, DirectFrame& frame) noexcept;
};

Result<std::unique_ptr<Prober>> Prober::start(std::function<void()> wake) {
  std::unique_ptr<Prober> prober(new Prober);
  prober->shared_ = std::make_unique<Shared>();
  prober->shared_->wake = std::move(wake);
  prober->shared_->awake = Awake::open();
  prober->shared_->aside = Aside(gettid());
  prober->thread_ = std::thread([p = prober.get()] { p->run(); });
  pthread_setname_np(prober->thread_.native_handle(), "cb-probe");
  return prober;
}

Prober::~Prober() {
  shared_->stop.store(true);
  thread_.join();  // at most one idle period or one interval away
}

void Prober::set_paths(const ProbePaths& paths) {
  shared_->taken.store(false);
  shared_->offered.store(&paths);
  // The thread looks at every wake-up, kIdleNs apart at most. Waiting here keeps `paths` and the
  // old sockets alive.
  shared_->taken.wait(false);
}

void Prober::burst(int slot) noexcept {
  shared_->burst_asked[static_cast<size_t>(slot)].fetch_add(1, std::memory_order_relaxed);
}

uint64_t Prober::granting() const noexcept {
  return std::atomic_ref<__u64>(shared_->granting).load(std::memory_order_seq_cst);
}

ProberFacts Prober::facts() const noexcept {
  ProberFacts facts;
  facts.scheduling = shared_->scheduling.load();
  for (size_t i = 0; i < facts.lateness.size(); ++i) {
    facts.lateness[i] = shared_->lateness[i].load(std::memory_order_relaxed);
  }
  facts.lateness_max_ns = shared_->lateness_max_ns.load(std::memory_order_relaxed);
  facts.wakeups = shared_->wakeups.load(std::memory_order_relaxed);
  facts.sends_failed = shared_->sends_failed.load(std::memory_order_relaxed);
  facts.keeps_awake = shared_->awake.can();
  return facts;
}

void Prober::Shared::take_table() noexcept {
  const ProbePaths* table = offered.exchange(nullptr);
  if (table == nullptr) {
    return;
  }
  int64_t shortest = kIdleNs;
  const int64_t now = now_ns();
  for (size_t i = 0; i < paths.size(); ++i) {
    const bool kept = paths[i].used && (*table)[i].used;
    paths[i] = (*table)[i];
    if (!paths[i].used) {
      continue;
    }
    paths[i].view.granting = &granting;
    if (!kept) {
      schedule[i] = Schedule{.due_ns = now, .look_ns = kNeverNs, .burst_left = 0, .overdue = 0};
      // Sequences only grow within a boot, also over a restart that lost the pins: replay
      // protection needs it.
      cb_probes& probes = *paths[i].probes;
      if (probes.sequence < static_cast<uint64_t>(now)) {
        for (__u64& sent : probes.sent_ns) {
          sent = 0;
        }
        CB_WRITE_ONCE(probes.sequence, static_cast<uint64_t>(now));
      }
    }
    shortest = std::min(shortest, paths[i].timing.interval.as_ns());
  }
  scheduling.store(take_scheduling(shortest));
  taken.store(true);
  taken.notify_one();
}

void Prober::Shared::start_burst(int slot) noexcept {
  for (int link = 0; link < CB_LINKS; ++link) {
    const auto index = static_cast<size_t>(slot * CB_LINKS + link);
    if (paths[index].used && paths[index].burst_interval < paths[index].timing.interval) {
      if (schedule[index].burst_left == 0) {
        schedule[index].due_ns = now_ns();  // at once, and not late
      }
      schedule[index].burst_left = kBurstProbes;
    }
  }
}

void Prober::Shared::take_bursts() noexcept {
  for (size_t slot = 0; slot < burst_asked.size(); ++slot) {
    const uint32_t asked = burst_asked[slot].load(std::memory_order_relaxed);
    if (asked != burst_seen[slot]) {
      burst_seen[slot] = asked;
      start_burst(static_cast<int>(slot));
    }
  }
}

int64_t Prober::Shared::earliest() const noexcept {
  int64_t at = now_ns() + kIdleNs;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].used) {
      at = std::min({at, schedule[i].due_ns, schedule[i].look_ns});
    }
  }
  return at;
}

void Prober::Shared::note_lateness(int64_t late_ns) noexcept {
  const auto late = static_cast<uint64_t>(late_ns < 1 ? 1 : late_ns);
  const auto bucket = static_cast<size_t>(std::bit_width(late) - 1);
  lateness[bucket < kLatenessBuckets ? bucket : kLatenessBuckets - 1].fetch_add(
      1, std::memory_order_relaxed);
  if (late > lateness_max_ns.load(std::memory_order_relaxed)) {
    lateness_max_ns.store(late, std::memory_order_relaxed);
  }
}

ssize_t Prober::Shared::send_probe(const ProbePath& path, DirectFrame& frame) noexcept {
  if (path.link == core::Link::Network) {
    return send(path.socket, &frame.heartbeat, sizeof frame.heartbeat, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  // Unicast to the peer once an authenticated frame told its address, broadcast on the cable until
  // then and when the last answers are missing (the peer's card may have been replaced).
  static constexpr uint8_t kNobody[ETH_ALEN] = {};
  const uint64_t behind = path.probes->sequence - path.view.path->answered_sequence;
  const bool known = memcmp(path.view.path->peer_mac, kNobody, ETH_ALEN) != 0;
  if (known && behind < static_cast<uint64_t>(path.timing.probes_lost) * 2) {
    memcpy(frame.ethernet.h_dest, path.view.path->peer_mac, ETH_ALEN);
  } else {
    memset(frame.ethernet.h_dest, 0xff, ETH_ALEN);
  }
  memcpy(frame.ethernet.h_source, path.self_mac.bytes.data(), ETH_ALEN);
  frame.ethernet.h_proto = htons(CB_ETHERTYPE);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(CB_ETHERTYPE);
  to.sll_ifindex = path.ifindex;
  to.sll_halen = ETH_ALEN;
  memcpy(to.sll_addr, frame.ethernet.h_dest, ETH_ALEN);
  return sendto(path.socket, &frame.ethernet, kDirectFrameBytes, MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

// Silence is proved: now whoever moves the address needs the processor more than we do.
bool Prober::Shared::is_silent(int index) const noexcept {
  const auto i = static_cast<size_t>(index);
  return schedule[i].overdue >= paths[i].timing.probes_lost;
}

// While another link of the pairing does not answer, this one carries the lease alone, and must be
// asked as often as that one was. A peer that answers nowhere is asked at the ordinary rate again.
Duration Prober::Shared::interval_of(int index) const noexcept {
  const auto i = static_cast<size_t>(index);
  if (schedule[i].burst_left > 0) {
    return is_silent(index) ? std::min(paths[i].burst_interval * 3, paths[i].timing.interval)
                            : paths[i].burst_interval;
  }
  const size_t other = i ^ 1;
  if (paths[other].used && schedule[other].overdue > 0 && schedule[i].overdue == 0) {
    return std::min(paths[i].timing.interval, paths[other].timing.interval);
  }
  return paths[i].timing.interval;
}

void Prober::Shared::probe(int index, int64_t now) noexcept {
  const auto i = static_cast<size_t>(index);
  const ProbePath& path = paths[i];
  Schedule& plan = schedule[i];
  cb_probes& probes = *path.probes;

  const uint64_t sequence = probes.sequence + 1;
  const auto stamp = static_cast<uint64_t>(now);
  DirectFrame frame;
  const auto link = static_cast<uint32_t>(path.link);
  // Our facts are being written for some nanoseconds now and then: one more try is enough, the next
  // probe is near.
  if (cb_make_probe(&path.view, &frame.heartbeat, link, sequence, stamp) == 0 &&
      cb_make_probe(&path.view, &frame.heartbeat, link, sequence, stamp) == 0) {
    plan.due_ns = now + 10'000;
    return;
  }
  // Stored before it leaves: the answer may be back before send() returns.
  CB_WRITE_ONCE(probes.sent_ns[sequence % CB_PROBE_RING], stamp);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  CB_WRITE_ONCE(probes.sequence, sequence);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool sent = left(send_probe(path, frame));
  if (!sent) {
    CB_WRITE_ONCE(probes.sent_ns[sequence % CB_PROBE_RING], 0);
    sends_failed.fetch_add(1, std::memory_order_relaxed);
  }

  const int64_t interval = interval_of(index).as_ns();
  if (plan.burst_left > 0) {
    --plan.burst_left;
  }
  plan.due_ns += interval;
  if (plan.due_ns <= now) {
    plan.due_ns = now + interval;  // we were late: no volley
  }
  look(index, now, sent);
  if (is_silent(index)) {
    // One wake-up for all silent paths, and none only to look: the next probe sees an answer early
    // enough.
    plan.due_ns = now - now % interval + interval;
    plan.look_ns = kNeverNs;
    return;
  }
  const bool answered = CB_READ_ONCE(path.view.path->answered_sequence) >= sequence;
  const int64_t answer_due = now + path.timing.answer_within.as_ns();
  plan.look_ns = answered || answer_due >= plan.due_ns ? kNeverNs : answer_due;
}

// `sent`: the newest probe could be sent.
void Prober::Shared::look(int index, int64_t now, bool sent) noexcept {
  const auto i = static_cast<size_t>(index);
  const ProbePath& path = paths[i];
  Schedule& plan = schedule[i];
  const cb_probes& probes = *path.probes;
  const core::LinkView view{
      .configured = true,
      .carrier = true,
      .sent_sequence = probes.sequence,
      .answered_sequence = CB_READ_ONCE(path.view.path->answered_sequence),
      .frame_at = Instant::from_ns(static_cast<int64_t>(path.view.path->frame_ns)),
      .sent_ns = std::span<const uint64_t>(reinterpret_cast<const uint64_t*>(probes.sent_ns),
                                           CB_PROBE_RING)};
  // What cannot be sent (no carrier) is no evidence of the peer, but this link is as good as
  // silent.
  const int overdue =
      sent ? core::overdue(view, path.timing, Instant::from_ns(now)) : path.timing.probes_lost;
  // The first overdue probe asks all links at once; the loop looks when its judgement could change.
  // It is woken after the probes of this turn have left: waking costs more than sending.
  if (plan.overdue == 0 && overdue > 0) {
    news = true;
    start_burst(index / CB_LINKS);
  }
  if (overdue > plan.overdue && (overdue <= 2 || overdue == path.timing.probes_lost)) {
    wake_wanted = true;
  }
  plan.overdue = overdue;
}

void Prober::Shared::tell(int64_t now) noexcept {
  if (news && earliest() <= now_ns()) {
    return;  // the burst leaves first
  }
  if (news) {
    awake.hold_until(Instant::from_ns(now) + kAwakeFor);
    aside.make_way(Instant::from_ns(now) + kAwakeFor);
  }
  if (wake_wanted) {
    wake();
  }
  news = false;
  wake_wanted = false;
  awake.release_when_over(Instant::from_ns(now));
  aside.release_when_over(Instant::from_ns(now));
}

void Prober::run() noexcept {
  Shared& s = *shared_;
  s.scheduling.store(take_scheduling(kIdleNs));
  while (!s.stop.load(std::memory_order_relaxed)) {
    s.take_table();
    s.take_bursts();
    const int64_t due = s.earliest();
    if (due > now_ns()) {
      sleep_until(due);
    }
    const int64_t now = now_ns();
    s.wakeups.fetch_add(1, std::memory_order_relaxed);
    s.note_lateness(now - due);
    for (int i = 0; i < kProbePathsMax; ++i) {
      Shared::Schedule& plan = s.schedule[static_cast<size_t>(i)];
      if (!s.paths[static_cast<size_t>(i)].used) {
        continue;
      }
      if (plan.look_ns <= now) {
        plan.look_ns = kNeverNs;
        s.look(i, now_ns(), true);
      }
      if (plan.due_ns <= now) {
        s.probe(i, now_ns());
      }
    }
    s.tell(now);
  }
}

Result<Fd> open_direct_socket(const std::string& interface) {
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
               0));  // protocol 0: it receives nothing
  if (!fd) {
    return fail(errno, "open a packet socket for " + interface + " (needs CAP_NET_RAW)");
  }
  const int one = 1;
  // ignored: without the bypass probes only take the longer way through the queueing discipline.
  (void)setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  return fd;
}

Result<Fd> open_network_socket(const std::string& interface, Ipv4 self, Ipv4 peer, uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail(errno, "open a UDP socket for heartbeats");
  }
  const int one = 1;
  const int priority = 7;
  const int tos = 0xc0;  // CS6, network control (RFC 4594)
  // ignored: priority and TOS are courtesies of the network, not conditions.
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
  (void)setsockopt(fd.get(), IPPROTO_IP, IP_TOS, &tos, sizeof tos);
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one);  // the tag is stronger
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                 static_cast<socklen_t>(interface.size())) != 0) {
    return fail(errno, "bind the heartbeat socket to " + interface);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  memcpy(&address.sin_addr, self.bytes.data(), 4);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno, "bind the heartbeat socket to UDP port " + std::to_string(port) + " on " +
                           interface + " (is the health-monitor address configured there?)");
  }
  memcpy(&address.sin_addr, peer.bytes.data(), 4);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno, "point the heartbeat socket at the peer");
  }
  return fd;
}

}  // namespace cb::edge
