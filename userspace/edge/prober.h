// SPDX-License-Identifier: Apache-2.0
//
// The probe thread: sends the probes of every pairing on every link at their intervals, and nothing
// else. It runs under SCHED_DEADLINE, because real-time throttling can freeze every FIFO thread for
// 50 ms; the ladder down is SCHED_FIFO, then nice, and which one was got is published. It allocates
// nothing, logs nothing and takes no lock after start. Answers are taken in by the kernel programs;
// after each probe the thread only looks at what the kernel counted and wakes the control loop when
// probes are overdue, so that silence is judged without delay while a healthy link wakes nobody. A
// probe that is not answered when its answer is due is noticed then, and the rest of the proof
// follows in a burst: so the interval may be long, and cheap, and detection short.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "bpf/heartbeat.h"
#include "core/detector.h"

namespace cb::edge {

// One pairing on one link. The pointers lead into the mapped maps and stay valid while the prober
// lives.
struct ProbePath {
  bool used = false;
  core::Link link = core::Link::Direct;
  core::LinkTiming timing{};
  Duration burst_interval{};  // while a link of the same pairing is suspect
  cb_view view{};             // `granting` is replaced by the prober's own counter
  cb_probes* probes = nullptr;
  int socket = -1;  // packet (direct) or connected UDP (network); owned by the caller
  int ifindex = 0;  // direct
  Mac self_mac;     // direct
};

inline constexpr int kProbePathsMax = CB_PATHS_MAX;
using ProbePaths = std::array<ProbePath, kProbePathsMax>;  // index: slot * CB_LINKS + link

enum class Scheduling : uint8_t { Deadline, Fifo, Nice };
const char* text_of(Scheduling scheduling) noexcept;

inline constexpr int kLatenessBuckets = 32;  // bucket i: [2^i, 2^(i+1)) ns

struct ProberFacts {
  Scheduling scheduling = Scheduling::Nice;
  std::array<uint64_t, kLatenessBuckets> lateness{};  // of each wake-up against its schedule
  uint64_t lateness_max_ns = 0;
  uint64_t wakeups = 0;
  uint64_t sends_failed = 0;
  bool keeps_awake = false;  // the processors, from the first overdue probe: see base/awake.h
};

class Prober {
 public:
  // `wake` is called from the probe thread when probes are overdue: it must be cheap, lock-free and
  // safe there. The calling thread is taken for the one that `wake` wakes: it is kept off the probe
  // thread's processor while a burst lasts (edge/aside.h).
  static Result<std::unique_ptr<Prober>> start(std::function<void()> wake);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Replaces the table. Returns once the thread uses it, so sockets of removed paths may then be
  // closed. Called from the control loop at pairing and unpairing, not in the course of a failover.
  void set_paths(const ProbePaths& paths);

  // Probe all links of this slot now and at their burst interval for a while.
  void burst(int slot) noexcept;

  // Frames this process is granting at this instant; see bpf/heartbeat.h on stopping grants.
  uint64_t granting() const noexcept;

  ProberFacts facts() const noexcept;

 private:
  Prober() = default;
  void run() noexcept;
  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::thread thread_;
};

// The sockets that probes leave by.
Result<Fd> open_direct_socket(const std::string& interface);
Result<Fd> open_network_socket(const std::string& interface, Ipv4 self, Ipv4 peer, uint16_t port);

}  // namespace cb::edge
