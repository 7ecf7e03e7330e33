// SPDX-License-Identifier: Apache-2.0
#include "edge/kernel.h"

#include <linux/if_link.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "edge/kernel_load.h"

namespace cb::edge {

namespace {

constexpr const char* kExitLink = "link_exit";
constexpr std::array kMaps = {"cb_node",   "cb_pairs",   "cb_leases", "cb_paths",
                              "cb_probes", "cb_keys",    "cb_index",  "cb_addresses",
                              "cb_drops",  "cb_guarded", "cb_changes"};

// Keys never reach the swap or a core dump.
Result<Mapping> locked_memory(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    return fail(errno, "get memory for the keys");
  }
  Mapping mapping(at, bytes);
  if (mlock(at, bytes) != 0) {
    return explain(errno, "lock the memory of the keys");
  }
  // ignored: only keeps them out of core dumps, which need root to read
  (void)madvise(at, bytes, MADV_DONTDUMP);
  return mapping;
}

}  // namespace

const char* text_of(XdpMode mode) noexcept {
  switch (mode) {
    case XdpMode::Auto: return "auto";
    case XdpMode::Native: return "native";
    case XdpMode::Generic: return "generic";
    case XdpMode::Tc: return "tc";
  }
  return "?";
}

Kernel::Parts::~Parts() {
  if (!opened) {
    take_back();
  }
  if (changes != nullptr) {
    ring_buffer__free(changes);
  }
  if (auto* bytes = keys.as<cb_keys>()) {
    explicit_bzero(bytes, sizeof(cb_keys) * CB_PAIRINGS_MAX);
  }
}

// Everything that can go wrong without having touched anything.
Result<> Kernel::Parts::look_around(const KernelOptions& options) {
  utsname name{};
  uname(&name);
  facts.release = name.release;
  CB_TRY(found_service, find_interface(options.service_ifname, "service"));
  service = std::move(found_service);
  facts.service_ifindex = static_cast<uint32_t>(service.index);
  xdp_mode_wanted = options.xdp_mode;
  if (!options.direct_ifname.empty()) {
    CB_TRY_DO(find_direct(options.direct_ifname));
  }
  CB_TRY(folder, make_pin_directory(options.root));
  facts.pin_directory = std::move(folder);
  return {};
}

Result<> Kernel::Parts::find_direct(const std::string& name) {
  CB_TRY(found, find_interface(name, "direct"));
  if (!found.ethernet) {
    return fail(EINVAL, "use " + name + " as the direct link: it is no Ethernet interface");
  }
  direct = std::move(found);
  facts.direct_ifindex = static_cast<uint32_t>(direct.index);
  return {};
}

// Maps of an earlier monitor: taken over, unless another version made them.
Result<> Kernel::Parts::check_kept_maps() {
  CB_TRY(fd, open_pin(pin("cb_node")));
  new_maps = !fd;
  if (!fd) {
    return {};
  }
  bpf_map_info info{};
  uint32_t size = sizeof info;
  const uint32_t zero = 0;
  cb_node found{};
  uint32_t version = 0;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && info.value_size == sizeof found &&
      info.key_size == sizeof zero && bpf_map_lookup_elem(fd.get(), &zero, &found) == 0) {
    version = found.maps_version;
    facts.kept = version == CB_MAPS_VERSION;
    if (facts.kept || version == 0) {
      return {};
    }
  }
  return fail(EPROTO, "take over the eBPF maps in " + facts.pin_directory + ": they have layout " +
                          (version == 0 ? "unknown" : std::to_string(version)) +
                          ", this version knows " + std::to_string(CB_MAPS_VERSION) +
                          "; stop Crossbeat with the version that runs, then start this one (or "
                          "restart the machine)");
}

Result<> Kernel::Parts::load_programs() {
  CB_TRY(loaded_guard, (load<Guard>(guard_bpf__open_opts, guard_bpf__load, "cb_guard_in", facts)));
  guard = std::move(loaded_guard);
  CB_TRY(loaded_network,
         (load<Network>(network_bpf__open_opts, network_bpf__load, "cb_network", facts)));
  network = std::move(loaded_network);
  CB_TRY(loaded_exit, (load<Exit>(exit_bpf__open_opts, exit_bpf__load, "cb_exit", facts)));
  exit = std::move(loaded_exit);
  return {};
}

Result<> Kernel::Parts::map_memory() {
  const auto& maps = guard->maps;
  CB_TRY(node_values, map_values<cb_node>(fd_of(maps.cb_node), 1));
  CB_TRY(pair_values, map_values<cb_pair>(fd_of(maps.cb_pairs), CB_PAIRINGS_MAX));
  CB_TRY(lease_values, map_values<cb_lease>(fd_of(maps.cb_leases), CB_PAIRINGS_MAX));
  CB_TRY(path_values, map_values<cb_path>(fd_of(maps.cb_paths), kPaths));
  CB_TRY(probe_values, map_values<cb_probes>(fd_of(maps.cb_probes), kPaths));
  CB_TRY(key_values, locked_memory(sizeof(cb_keys) * CB_PAIRINGS_MAX));
  node = std::move(node_values);
  pairs = std::move(pair_values);
  leases = std::move(lease_values);
  paths = std::move(path_values);
  probes = std::move(probe_values);
  keys = std::move(key_values);

  const auto on_change = [](void* to, void* data, size_t bytes) {
    auto* self = static_cast<Parts*>(to);
    if (bytes == sizeof(cb_change) && self->take != nullptr) {
      self->take(self->take_to, *static_cast<const cb_change*>(data));
    }
    return 0;
  };
  changes = ring_buffer__new(fd_of(maps.cb_changes), on_change, this, nullptr);
  if (changes == nullptr) {
    return explain(errno, "read the ring of changes");
  }

  bpf_test_run_opts run;
  std::memset(&run, 0, sizeof run);
  run.sz = sizeof run;
  if (bpf_prog_test_run_opts(fd_of(exit->progs.cb_self), &run) != 0) {
    return explain(errno, "ask the kernel for the process id of this monitor");
  }
  facts.tgid = run.retval;
  return {};
}

int Kernel::Parts::program_for(Filter filter) const {
  switch (filter) {
    case Filter::Network: return fd_of(network->progs.cb_network);
    case Filter::GuardIn: return fd_of(guard->progs.cb_guard_in);
    case Filter::GuardOut: return fd_of(guard->progs.cb_guard_out);
    case Filter::Direct: return fd_of(direct_tc_program->progs.cb_direct_tc);
  }
  return -1;
}

Result<> Kernel::Parts::attach_all(const KernelOptions& options) {
  // Filters that a change of configuration left behind: two guards would not agree.
  for (const int elsewhere : interfaces_with_filters(service.index, kFilters)) {
    for (const Filter filter : kFilters) {
      CB_TRY_DO(detach_filter(elsewhere, filter));
    }
    CB_TRY_DO(remove_empty_clsact(elsewhere));
  }
  // The guard first: there is no moment in which heartbeats win a lease that nobody enforces.
  for (const Filter filter : {Filter::GuardOut, Filter::GuardIn, Filter::Network}) {
    CB_TRY(is_new, attach_filter(service, filter, program_for(filter)));
    if (is_new) {
      new_filters.push_back(filter);
    }
  }
  CB_TRY(exit_before, open_pin(pin(kExitLink)));
  CB_TRY_DO(attach_exit_mark(fd_of(exit->progs.cb_exit), pin(kExitLink)));
  new_exit = !exit_before;
  CB_TRY_DO(detach_direct_filters(direct.index));
  return attach_direct(options.xdp_mode);
}

Result<> Kernel::Parts::detach_all() {
  Result<> first;
  const auto keep = [&first](Result<> result) {
    if (!result && first) {
      first = std::move(result);
    }
  };
  auto link = open_xdp_link(pin(kDirectLink));
  if (link) {
    keep(close_xdp_link(*link, pin(kDirectLink)));
  } else {
    keep(std::move(link).error());
  }
  keep(detach_direct_filters(0));
  for (const Filter filter : kFilters) {
    keep(detach_filter(service.index, filter));
  }
  keep(remove_empty_clsact(service.index));
  keep(remove_pin(pin(kExitLink)));
  for (const char* map : kMaps) {
    keep(remove_pin(pin(map)));
  }
  rmdir(facts.pin_directory.c_str());  // ignored: what others put there stays
  return first;
}

// The way out of a failed open(). Nothing here can be done about another failure, so none is
// reported.
void Kernel::Parts::take_back() {
  if (new_direct) {
    if (auto link = open_xdp_link(pin(kDirectLink))) {
      (void)close_xdp_link(*link, pin(kDirectLink));
    }
  }
  if (new_direct_filter) {
    (void)detach_direct_filters(0);
  }
  for (const Filter filter : new_filters) {
    (void)detach_filter(service.index, filter);
  }
  if (!new_filters.empty()) {
    (void)remove_empty_clsact(service.index);
  }
  if (new_exit) {
    (void)remove_pin(pin(kExitLink));
  }
  if (new_maps) {
    for (const char* map : kMaps) {
      (void)remove_pin(pin(map));
    }
    rmdir(facts.pin_directory.c_str());
  }
}

Result<Kernel> Kernel::open(const KernelOptions& options) {
  listen_to_libbpf();
  auto parts = std::make_unique<Parts>();
  CB_TRY_DO(parts->look_around(options));
  CB_TRY_DO(parts->check_kept_maps());
  CB_TRY_DO(parts->load_programs());
  CB_TRY_DO(parts->map_memory());
  CB_TRY_DO(parts->attach_all(options));
  parts->node.as<cb_node>()->maps_version = CB_MAPS_VERSION;
  parts->opened = true;
  return Kernel(std::move(parts));
}

Kernel::Kernel(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Kernel::Kernel(Kernel&&) noexcept = default;
Kernel& Kernel::operator=(Kernel&&) noexcept = default;
Kernel::~Kernel() = default;

Result<int> Kernel::restore_filters() {
  int restored = 0;
  for (const Filter filter : kFilters) {
    if (!has_filter(parts_->service.index, filter)) {
      CB_TRY_DO(attach_filter(parts_->service, filter, parts_->program_for(filter)));
      ++restored;
    }
  }
  // A cable's interface that is gone is not restored but attached to again when it is back.
  if (parts_->facts.xdp_mode == XdpMode::Tc && !has_filter(parts_->direct.index, Filter::Direct) &&
      is_there(parts_->direct)) {
    CB_TRY_DO(attach_filter(parts_->direct, Filter::Direct, parts_->program_for(Filter::Direct)));
    ++restored;
  }
  return restored;
}

Result<> Kernel::detach() { return parts_->detach_all(); }
const KernelFacts& Kernel::facts() const noexcept { return parts_->facts; }

}  // namespace cb::edge
