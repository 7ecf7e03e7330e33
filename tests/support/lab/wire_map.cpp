// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/wire_map.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <atomic>

#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

// Values of a memory-mapped array stand 8 bytes apart at least.
constexpr size_t kDeadStride = 8;
constexpr size_t kPortStride = (sizeof(wire_port) + 7) / 8 * 8;
static_assert(kPortStride == sizeof(wire_port));

void* map_pinned(const std::string& path, size_t bytes) {
  const Fd map(bpf_obj_get(path.c_str()));
  if (!map) {
    fail_errno("open " + path + " (is the lab up?)");
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED) {
    fail_errno("map " + path);
  }
  return memory;
}

}  // namespace

WireMap::WireMap(const std::string& directory)
    : ports_(static_cast<wire_port*>(
          map_pinned(directory + "/" + kWirePorts, kPortStride * WIRE_PORTS))),
      dead_(static_cast<wire_dead*>(
          map_pinned(directory + "/" + kWireDead, kDeadStride * WIRE_NODES))) {}

WireMap::~WireMap() {
  munmap(ports_, kPortStride * WIRE_PORTS);
  munmap(dead_, kDeadStride * WIRE_NODES);
}

volatile wire_port& WireMap::port(int64_t interface_index) const {
  if (interface_index <= 0 || interface_index >= WIRE_PORTS) {
    fail("no wire ends at interface " + std::to_string(interface_index));
  }
  return ports_[interface_index];
}

void WireMap::set_dead(int64_t node, bool dead) const {
  if (node <= 0 || node >= WIRE_NODES) {
    fail("no node has the number " + std::to_string(node));
  }
  auto* base = reinterpret_cast<char*>(dead_);
  auto* entry = reinterpret_cast<wire_dead*>(base + static_cast<size_t>(node) * kDeadStride);
  std::atomic_ref(entry->dead).store(dead ? 1 : 0, std::memory_order_seq_cst);
}

bool WireMap::dead(int64_t node) const {
  auto* base = reinterpret_cast<char*>(dead_);
  auto* entry = reinterpret_cast<wire_dead*>(base + static_cast<size_t>(node) * kDeadStride);
  return std::atomic_ref(entry->dead).load() != 0;
}

}  // namespace cb::lab
