// SPDX-License-Identifier: Apache-2.0
//
// The kernel edge's access to the maps.
#include <cstring>
#include <span>

#include "edge/kernel_parts.h"

namespace cb::edge {

namespace {

unsigned path_of(unsigned slot, unsigned link) {
  CB_CHECK(slot < CB_PAIRINGS_MAX && link < CB_LINKS);
  return slot * CB_LINKS + link;
}

// One value of a per-CPU map, for each possible CPU.
template <class T>
Result<std::vector<T>> read_per_cpu(const bpf_map* map, uint32_t key) {
  static_assert(sizeof(T) % 8 == 0);
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return fail(-cpus, "count the CPUs");
  }
  std::vector<T> values(static_cast<size_t>(cpus));
  if (bpf_map_lookup_elem(fd_of(map), &key, values.data()) != 0) {
    return explain(errno, "read a counter of the eBPF programs");
  }
  return values;
}

template <class Key>
Result<> set(const bpf_map* map, const Key& key, const void* value, const char* doing) {
  if (bpf_map_update_elem(fd_of(map), &key, value, BPF_ANY) != 0) {
    return explain(errno, doing);
  }
  return {};
}

template <class Key>
Result<> clear(const bpf_map* map, const Key& key, const char* doing) {
  if (bpf_map_delete_elem(fd_of(map), &key) != 0 && errno != ENOENT) {
    return explain(errno, doing);
  }
  return {};
}

}  // namespace

cb_node* Kernel::node() const noexcept { return parts_->node.as<cb_node>(); }

std::span<cb_pair, CB_PAIRINGS_MAX> Kernel::pairs() const noexcept {
  return std::span<cb_pair, CB_PAIRINGS_MAX>(parts_->pairs.as<cb_pair>(), CB_PAIRINGS_MAX);
}

std::span<cb_lease, CB_PAIRINGS_MAX> Kernel::leases() const noexcept {
  return std::span<cb_lease, CB_PAIRINGS_MAX>(parts_->leases.as<cb_lease>(), CB_PAIRINGS_MAX);
}

std::span<cb_path, kPaths> Kernel::paths() const noexcept {
  return std::span<cb_path, kPaths>(parts_->paths.as<cb_path>(), kPaths);
}

std::span<cb_probes, kPaths> Kernel::probes() const noexcept {
  return std::span<cb_probes, kPaths>(parts_->probes.as<cb_probes>(), kPaths);
}

cb_view Kernel::view(unsigned slot, unsigned link) const noexcept {
  const unsigned path = path_of(slot, link);
  cb_view view{};
  view.node = node();
  view.pair = &pairs()[slot];
  view.lease = &leases()[slot];
  view.path = &paths()[path];
  view.probes = &probes()[path];
  view.keys = &parts_->keys.as<cb_keys>()[slot];
  view.granting = granting(slot);
  return view;
}

__u64* Kernel::granting(unsigned slot) const noexcept {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  return &parts_->granting[slot];
}

void Kernel::write_facts(unsigned slot, const cb_facts& facts) const noexcept {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  cb_write_facts(&pairs()[slot], &facts);
}

std::optional<cb_peer_facts> Kernel::read_peer(unsigned slot, unsigned link) const noexcept {
  cb_peer_facts facts{};
  if (cb_read_peer(&paths()[path_of(slot, link)], &facts) == 0) {
    return std::nullopt;
  }
  return facts;
}

Result<> Kernel::set_keys(unsigned slot, const cb_keys& keys) {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  CB_TRY_DO(set(parts_->guard->maps.cb_keys, slot, &keys, "give a pairing's keys to the kernel"));
  parts_->keys.as<cb_keys>()[slot] = keys;
  return {};
}

Result<> Kernel::clear_keys(unsigned slot) {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  explicit_bzero(&parts_->keys.as<cb_keys>()[slot], sizeof(cb_keys));
  const cb_keys none{};
  return set(parts_->guard->maps.cb_keys, slot, &none, "take a pairing's keys from the kernel");
}

Result<> Kernel::set_index(uint64_t pairing, unsigned slot) {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  return set(parts_->guard->maps.cb_index, pairing, &slot, "tell the kernel of a pairing");
}

Result<> Kernel::clear_index(uint64_t pairing) {
  return clear(parts_->guard->maps.cb_index, pairing, "make the kernel forget a pairing");
}

Result<> Kernel::set_address(unsigned slot, const cb_address& address) {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  return set(parts_->guard->maps.cb_addresses, address, &slot, "put a virtual address under guard");
}

Result<> Kernel::clear_address(const cb_address& address) {
  return clear(parts_->guard->maps.cb_addresses, address, "take a virtual address from the guard");
}

Result<> Kernel::clear_addresses(unsigned slot) {
  const bpf_map* map = parts_->guard->maps.cb_addresses;
  std::vector<cb_address> ours;
  cb_address key{};
  cb_address next{};
  // A deleted key would restart the walk, so all are found before the first one goes.
  for (const cb_address* from = nullptr; bpf_map_get_next_key(fd_of(map), from, &next) == 0;
       from = &key) {
    key = next;
    uint32_t owner = 0;
    if (bpf_map_lookup_elem(fd_of(map), &key, &owner) == 0 && owner == slot) {
      ours.push_back(key);
    }
  }
  for (const cb_address& address : ours) {
    CB_TRY_DO(clear_address(address));
  }
  return {};
}

Result<> Kernel::clear_slot(unsigned slot) {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  cb_pair& pair = pairs()[slot];
  const uint64_t pairing = pair.pairing;
  if (pairing != 0) {
    CB_TRY_DO(clear_index(pairing));
  }
  CB_WRITE_ONCE(pair.guard_mode, uint32_t{CB_GUARD_CLOSED});
  CB_WRITE_ONCE(pair.grant_us, 0u);
  CB_WRITE_ONCE(pair.pairing, uint64_t{0});
  write_facts(slot, cb_facts{});
  CB_TRY_DO(clear_addresses(slot));
  CB_TRY_DO(clear_keys(slot));
  cb_lease& lease = leases()[slot];
  CB_WRITE_ONCE(lease.lease_until_ns, uint64_t{0});
  CB_WRITE_ONCE(lease.extended_by_answers, uint64_t{0});
  CB_WRITE_ONCE(lease.extended_by_probes, uint64_t{0});
  for (unsigned link = 0; link < CB_LINKS; ++link) {
    paths()[path_of(slot, link)] = {};
    // The sequence goes on: a peer that has not forgotten us takes a smaller one for a replay.
    std::memset(probes()[path_of(slot, link)].sent_ns, 0, sizeof(cb_probes::sent_ns));
  }
  const int cpus = libbpf_num_possible_cpus();
  const std::vector<cb_guarded> none(static_cast<size_t>(cpus > 0 ? cpus : 1));
  return set(parts_->guard->maps.cb_guarded, slot, none.data(), "clear the guard's counters");
}

Result<std::array<uint64_t, CB_DROPS>> Kernel::drops() const {
  std::array<uint64_t, CB_DROPS> sums{};
  for (uint32_t why = 0; why < CB_DROPS; ++why) {
    CB_TRY(counts, read_per_cpu<uint64_t>(parts_->guard->maps.cb_drops, why));
    for (const uint64_t count : counts) {
      sums[why] += count;
    }
  }
  return sums;
}

Result<cb_guarded> Kernel::guarded(unsigned slot) const {
  CB_CHECK(slot < CB_PAIRINGS_MAX);
  CB_TRY(counts, read_per_cpu<cb_guarded>(parts_->guard->maps.cb_guarded, slot));
  cb_guarded sum{};
  for (const cb_guarded& one : counts) {
    sum.passed += one.passed;
    sum.dropped_closed += one.dropped_closed;
    sum.dropped_lease += one.dropped_lease;
    sum.dropped_monitor += one.dropped_monitor;
    sum.last_passed_ns = std::max(sum.last_passed_ns, one.last_passed_ns);
    sum.last_dropped_ns = std::max(sum.last_dropped_ns, one.last_dropped_ns);
  }
  return sum;
}

int Kernel::changes_fd() const noexcept { return ring_buffer__epoll_fd(parts_->changes); }

int Kernel::drain(void (*take)(void*, const cb_change&), void* to) {
  parts_->take = take;
  parts_->take_to = to;
  const int count = ring_buffer__consume(parts_->changes);
  parts_->take = nullptr;
  parts_->take_to = nullptr;
  return count < 0 ? 0 : count;
}

cb_address guard_key(Ipv4 address) noexcept {
  cb_address key{};
  key.bytes[10] = key.bytes[11] = 0xff;
  std::memcpy(key.bytes + 12, address.bytes.data(), address.bytes.size());
  return key;
}

cb_address guard_key(Ipv6 address) noexcept {
  cb_address key{};
  std::memcpy(key.bytes, address.bytes.data(), address.bytes.size());
  return key;
}

}  // namespace cb::edge
