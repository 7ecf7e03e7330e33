// SPDX-License-Identifier: Apache-2.0
//
// The kernel edge: loads the eBPF programs, attaches them, pins maps and links under
// <root>/sys/fs/bpf/crossbeat, and gives typed access to the maps. It decides nothing.
//
// Life: Kernel::open() at start. If an earlier monitor of this boot left pins, its maps are kept
// with all that they know and its programs are replaced one by one, atomically: no probe goes
// unanswered and the guard is never off. Destroying a Kernel lets go of descriptors and mappings
// and leaves everything running in the kernel: that is what a crash or a restart does. Only
// detach() takes it all away.
//
// open(), detach() and the set_/clear_ functions make system calls that may block for some
// milliseconds (replacing a program waits for an RCU grace period): open and detach not inside a
// turn, the others as seldom as pairings change. One thread at a time, but for what the pointers
// lead to: that is shared memory, with the writers that bpf/crossbeat_wire.h names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "base/net.h"
#include "base/result.h"
#include "bpf/heartbeat.h"

namespace cb::edge {

inline constexpr std::size_t kPaths =
    std::size_t{CB_PAIRINGS_MAX} * CB_LINKS;  // path: slot * CB_LINKS + link

// How the direct link is answered: by XDP in one of its modes, or by a tc program, which costs
// other traffic nothing.
enum class XdpMode : uint8_t { Auto, Native, Generic, Tc };
const char* text_of(XdpMode mode) noexcept;  // "auto", "native", "generic", "tc"

struct KernelOptions {
  std::string root = "/";      // DESIGN.md section 8
  std::string direct_ifname;   // the cable; empty: there is none
  std::string service_ifname;  // the service network
  // Auto: native XDP where the driver gains by it, tc where it has none or is a veth.
  XdpMode xdp_mode = XdpMode::Auto;
};

// What was got and found, for status and logs.
struct KernelFacts {
  XdpMode xdp_mode = XdpMode::Auto;  // what it is; Auto when there is no direct interface
  bool xdp_frags = false;            // attached for frames longer than a page (large MTU)
  bool kept = false;                 // maps of an earlier monitor were found and taken over
  uint32_t direct_ifindex = 0;       // 0: none
  uint32_t service_ifindex = 0;
  uint32_t tgid =
      0;  // this process as the programs see it (not getpid() in a PID namespace): for monitor_tgid
  std::string release;  // of the running kernel
  std::string pin_directory;
};

class Kernel {
 public:
  // Errors are one sentence for an operator with the next step in it. When it fails, what an
  // earlier monitor had attached still is, and nothing new is.
  static Result<Kernel> open(const KernelOptions& options);

  Kernel(Kernel&&) noexcept;
  Kernel& operator=(Kernel&&) noexcept;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel();

  // A clean stop: programs, filters, links and pins are gone afterwards, and with them leases and
  // the guard, so the virtual addresses must have been removed before. Goes on after an error and
  // returns the first. The mappings stay readable until the Kernel is destroyed. Safe to repeat.
  Result<> detach();

  // Puts back the filters that somebody removed since (`tc qdisc del`, a network manager): a guard
  // that is not there guards nothing. Returns how many. Three questions to the kernel when all is
  // well; not inside a turn.
  Result<int> restore_filters();

  // The direct interface went and came back under its name: another interface, without our program.
  // Attaches to it. Blocks (some milliseconds: loads a program), and may run in another thread than
  // the one that uses this Kernel, which must stay and must not be detached meanwhile. The Kernel
  // itself is as it was until it adopts what came of it.
  class DirectAgain {
    friend class Kernel;
    std::shared_ptr<void> parts_;
  };
  Result<DirectAgain> attach_direct_again() const;
  void adopt(DirectAgain again) noexcept;

  const KernelFacts& facts() const noexcept;

  // ---- the maps in memory. Valid while this Kernel (or what it was moved into) lives.

  // open() has set maps_version; boot, tgid and the rest are the monitor's to set.
  cb_node* node() const noexcept;
  std::span<cb_pair, CB_PAIRINGS_MAX> pairs() const noexcept;
  std::span<cb_lease, CB_PAIRINGS_MAX> leases() const noexcept;
  std::span<cb_path, kPaths> paths() const noexcept;     // slot * CB_LINKS + link
  std::span<cb_probes, kPaths> probes() const noexcept;  // slot * CB_LINKS + link

  // For user-space code that runs heartbeat.h. `keys` are this process's copy: all zero until
  // set_keys. `granting` leads to granting(slot) of this process, not to the map's: a counter that
  // dies with us.
  cb_view view(unsigned slot, unsigned link) const noexcept;
  __u64* granting(unsigned slot) const noexcept;

  // Publishes what we say of ourselves in one pairing; the programs never see half of it. One
  // writer.
  void write_facts(unsigned slot, const cb_facts& facts) const noexcept;
  // A consistent copy of what the peer said last on one path; nothing if it is being written right
  // now.
  std::optional<cb_peer_facts> read_peer(unsigned slot, unsigned link) const noexcept;

  // ---- the maps behind system calls

  // The keys of a pairing, both links. Kept in locked memory besides, wiped when cleared.
  Result<> set_keys(unsigned slot, const cb_keys& keys);
  Result<> clear_keys(unsigned slot);

  // Which slot a pairing id on the wire belongs to. Set keys and pair first, index last; clear in
  // reverse.
  Result<> set_index(uint64_t pairing, unsigned slot);
  Result<> clear_index(uint64_t pairing);  // success when it is not there

  // Which virtual addresses the guard watches, and for whom. Setting an address again moves it.
  Result<> set_address(unsigned slot, const cb_address& address);
  Result<> clear_address(const cb_address& address);  // success when it is not there
  Result<> clear_addresses(unsigned slot);            // all of one slot

  // Forgets everything about a slot but its grants (they must still be waited out): for unpairing,
  // and before a slot is used for another pairing. The index and the addresses of the slot go
  // first.
  Result<> clear_slot(unsigned slot);

  // Counters, summed over the CPUs.
  Result<std::array<uint64_t, CB_DROPS>> drops() const;
  Result<cb_guarded> guarded(unsigned slot) const;  // counters summed, times: the newest

  // ---- changes: readable when the programs have something to say

  int changes_fd() const noexcept;  // an epoll descriptor, for poll; owned by the Kernel
  // Calls take(const cb_change&) for each change that has arrived; returns how many.
  template <class Take>
  int drain_changes(Take&& take) {
    return drain(
        [](void* to, const cb_change& change) {
          (*static_cast<std::remove_reference_t<Take>*>(to))(change);
        },
        const_cast<void*>(static_cast<const void*>(&take)));
  }

 private:
  struct Parts;
  explicit Kernel(std::unique_ptr<Parts> parts) noexcept;
  int drain(void (*take)(void*, const cb_change&), void* to);
  std::unique_ptr<Parts> parts_;
};

// The guard's key: IPv4 as ::ffff:a.b.c.d.
cb_address guard_key(Ipv4 address) noexcept;
cb_address guard_key(Ipv6 address) noexcept;

}  // namespace cb::edge
