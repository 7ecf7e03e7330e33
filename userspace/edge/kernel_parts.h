// SPDX-License-Identifier: Apache-2.0
//
// What a Kernel holds. For kernel.cpp (life) and kernel_maps.cpp (access) only.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "direct.skel.h"
#include "direct_tc.skel.h"
#include "edge/kernel.h"
#include "edge/kernel_attach.h"
#include "edge/kernel_pins.h"
#include "exit.skel.h"
#include "guard.skel.h"
#include "network.skel.h"

namespace cb::edge {

// Memory that goes away with its owner.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* at, size_t bytes) noexcept : at_(at), bytes_(bytes) {}
  Mapping(Mapping&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (at_ != nullptr) {
      munmap(at_, bytes_);
    }
  }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(at_);
  }

 private:
  void* at_ = nullptr;
  size_t bytes_ = 0;
};

// An array map's values are 8-byte aligned one behind the other, which for these types is an array
// of T.
template <class T>
Result<Mapping> map_values(int fd, size_t count) {
  static_assert(sizeof(T) % 8 == 0);
  const size_t bytes = sizeof(T) * count;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) {
    return explain(errno, "map an eBPF map into memory");
  }
  return Mapping(at, bytes);
}

// A skeleton that is loaded or was never there.
struct Destroy {
  void operator()(direct_bpf* skeleton) const { direct_bpf__destroy(skeleton); }
  void operator()(direct_tc_bpf* skeleton) const { direct_tc_bpf__destroy(skeleton); }
  void operator()(network_bpf* skeleton) const { network_bpf__destroy(skeleton); }
  void operator()(guard_bpf* skeleton) const { guard_bpf__destroy(skeleton); }
  void operator()(exit_bpf* skeleton) const { exit_bpf__destroy(skeleton); }
};
using Direct = std::unique_ptr<direct_bpf, Destroy>;
using DirectTc = std::unique_ptr<direct_tc_bpf, Destroy>;
using Network = std::unique_ptr<network_bpf, Destroy>;
using Guard = std::unique_ptr<guard_bpf, Destroy>;
using Exit = std::unique_ptr<exit_bpf, Destroy>;

struct Kernel::Parts {
  KernelFacts facts;
  Interface service;
  Interface direct;  // index 0: there is none
  XdpMode xdp_mode_wanted = XdpMode::Auto;

  // The maps' descriptors are the guard's skeleton's: it is loaded first and has all of them.
  Guard guard;
  Network network;
  Exit exit;
  Direct direct_program;  // one of these two
  DirectTc direct_tc_program;

  Mapping node, pairs, leases, paths, probes, keys;
  std::array<__u64, CB_PAIRINGS_MAX> granting{};

  ring_buffer* changes = nullptr;
  void (*take)(void*, const cb_change&) = nullptr;
  void* take_to = nullptr;

  // What this open() brought, to be taken back if it fails.
  std::vector<Filter> new_filters;
  bool new_direct = false;
  bool new_direct_filter = false;
  bool new_exit = false;
  bool new_maps = false;
  bool opened = false;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts();
  std::string pin(const char* name) const { return facts.pin_directory + "/" + name; }

  Result<> look_around(const KernelOptions& options);
  Result<> find_direct(const std::string& name);
  Result<> check_kept_maps();
  Result<> load_programs();
  Result<> map_memory();
  int program_for(Filter filter) const;  // descriptor
  Result<> attach_all(const KernelOptions& options);
  Result<> attach_direct(XdpMode mode);
  Result<> attach_direct_xdp(XdpLink& link, const XdpNow& now, XdpMode mode);
  Result<> attach_direct_tc(XdpLink& link);
  Result<> detach_direct_filters(int except);
  Result<int> try_direct(XdpLink& link, bool generic, bool frags);
  Result<> detach_all();
  void take_back();
};

// Is it still the same interface that has this name?
bool is_there(const Interface& interface);

inline int fd_of(const bpf_program* program) { return bpf_program__fd(program); }
inline int fd_of(const bpf_map* map) { return bpf_map__fd(map); }

}  // namespace cb::edge
