// SPDX-License-Identifier: Apache-2.0
//
// The bed of the eBPF tests: a network namespace of this process alone with one veth pair, near <->
// far, a private bpffs, and the programs attached to `near` by the product's own loader. Tests hand
// frames to the programs with BPF_PROG_TEST_RUN, or put them on the wire at `far`.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "edge/kernel.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/native.h"

namespace cb::test {

inline constexpr Mac kNear{{2, 0, 0, 0, 0, 1}};
inline constexpr Mac kFar{{2, 0, 0, 0, 0, 2}};
inline constexpr Mac kBroadcast{{255, 255, 255, 255, 255, 255}};
inline constexpr Ipv4 kNearIp{{192, 0, 2, 1}};
inline constexpr Ipv4 kFarIp{{192, 0, 2, 2}};
inline constexpr uint16_t kPort = 7388;
inline constexpr uint64_t kMillisecond = 1'000'000;
inline constexpr uint64_t kSecond = 1'000'000'000;

uint64_t now_ns();  // CLOCK_BOOTTIME

// Runs a program and waits for it; fails the test when it exits with anything but 0. Returns what
// it printed.
std::string run(const std::vector<std::string>& command);

// A folder with a bpffs of its own under root()/sys/fs/bpf, unmounted and removed with the object.
// The mount is in a mount namespace of this process.
class Root {
 public:
  Root();
  ~Root();
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  const std::string& path() const { return path_; }
  std::string pins() const { return path_ + "/sys/fs/bpf/crossbeat"; }

 private:
  std::string path_;
};

// A network namespace of a test's own; back in the former one when the object is gone.
class Network {
 public:
  Network();
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

 private:
  Fd former_;
};

// A veth pair, gone with the object.
class Cable {
 public:
  Cable(std::string near, std::string far, Mac near_mac = kNear, Mac far_mac = kFar,
        int mtu = 1500);
  ~Cable();
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;
  // What a veth needs to deliver frames that the other end's XDP program sends back.
  void pass_xdp_at_far();
  const std::string near, far;
};

// Puts whole frames on an interface and takes them from it.
class Wire {
 public:
  explicit Wire(const std::string& interface);
  void send(const Bytes& frame);
  bool try_send(const Bytes& frame);  // false: the guard (or another filter) refused
  // The next frame that `wanted` accepts; nothing after the given time.
  std::optional<Bytes> receive(const std::function<bool(const Bytes&)>& wanted,
                               int within_ms = 2000);

 private:
  Fd fd_;
};

struct RunResult {
  uint32_t verdict = 0;
  Bytes out;
  uint32_t nanoseconds = 0;  // per run
};

enum class Program { Direct, Network, GuardIn, GuardOut, DirectTc };

class Bed {
 public:
  // The one bed that most tests share; made when first asked for.
  static Bed& shared();
  Bed();
  ~Bed();

  edge::Kernel& kernel() { return *kernel_; }
  int fd(Program program) const { return fds_[static_cast<size_t>(program)].get(); }
  RunResult run(Program program, const Bytes& frame, int repeat = 1);

  // As after a first start: nothing paired, nothing counted. Our boot is `boot`.
  void reset(uint64_t boot = 0x1111);
  // Pairs a slot with its far twin, who gets the mirrored keys. Keys and ids come from the seed.
  void pair(unsigned slot, NativeNode& far, uint64_t seed, uint64_t far_boot = 0x2222);
  // What near's probe thread does; bookkeeping in the maps.
  Heartbeat probe(unsigned slot, unsigned link, uint64_t now = now_ns());
  // The maps as a native node. The counters of CPUs are not part of it.
  NativeNode copy();

  uint64_t dropped(cb_drop why);     // since reset
  uint64_t dropped_in_all();         // since reset
  std::vector<cb_change> changes();  // since last asked

 private:
  std::unique_ptr<Root> root_;
  std::unique_ptr<Cable> cable_;
  std::unique_ptr<edge::Kernel> kernel_;
  std::array<Fd, 5> fds_;
  std::array<uint64_t, CB_DROPS> drops_before_{};
  std::array<cb_keys, CB_PAIRINGS_MAX> keys_{};
  int ifindex_ = 0;
};

// From far to near.
Bytes direct_frame(const Heartbeat& hb, Mac to = kNear, Mac from = kFar);
Bytes network_frame(const Heartbeat& hb, bool checksummed = false);
// The heartbeat at the end of a frame.
Heartbeat heartbeat_of(const Bytes& frame);
// Tags again after a test has changed a field.
void sign(Heartbeat& hb, const NativeNode& sender, unsigned slot = 0);

}  // namespace cb::test
