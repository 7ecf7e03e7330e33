// SPDX-License-Identifier: Apache-2.0
#include "edge/kernel_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/classifier.h>
#include <netlink/route/tc.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "edge/kernel_pins.h"

namespace cb::edge {

namespace {

// Before everybody else: a filter that ends classification ahead of us would open the guard. The
// network's before the guard's, so that a heartbeat is never judged.
constexpr uint32_t kNetworkPriority = 1;
constexpr uint32_t kGuardPriority = 2;
constexpr uint32_t kHandle = 0xcb;
constexpr uint32_t kDirectHandle = 0xcd;  // beside the network's, should one interface be both

template <class Options>
Options options() {
  Options o;
  std::memset(&o, 0, sizeof o);
  o.sz = sizeof o;
  return o;
}

struct Place {
  bpf_tc_attach_point point;
  uint32_t priority;
  uint32_t handle = kHandle;
};

Place place_of(Filter filter) {
  switch (filter) {
    case Filter::Network: return {BPF_TC_INGRESS, kNetworkPriority};
    case Filter::GuardIn: return {BPF_TC_INGRESS, kGuardPriority};
    case Filter::GuardOut: return {BPF_TC_EGRESS, kGuardPriority};
    case Filter::Direct: return {BPF_TC_INGRESS, kNetworkPriority, kDirectHandle};
  }
  return {BPF_TC_EGRESS, kGuardPriority};
}

const char* side_of(Filter filter) {
  return place_of(filter).point == BPF_TC_INGRESS ? "ingress" : "egress";
}

bpf_tc_hook hook_of(int interface, bpf_tc_attach_point point) {
  auto hook = options<bpf_tc_hook>();
  hook.ifindex = interface;
  hook.attach_point = point;
  return hook;
}

// The program at a filter's place, 0 if there is none.
uint32_t program_at(int interface, Filter filter) {
  const Place place = place_of(filter);
  const auto hook = hook_of(interface, place.point);
  auto at = options<bpf_tc_opts>();
  at.handle = place.handle;
  at.priority = place.priority;
  return bpf_tc_query(&hook, &at) == 0 ? at.prog_id : 0;
}

bool is_ours(uint32_t program, Filter filter) {
  return name_of_program(program).name == program_of(filter);
}

std::string text_of(const ProgramName& program) {
  return std::to_string(program.id) + (program.name.empty() ? "" : " (" + program.name + ")");
}

}  // namespace

Result<Interface> find_interface(const std::string& name, const std::string& purpose) {
  Interface found;
  found.name = name;
  found.index = static_cast<int>(if_nametoindex(name.c_str()));
  if (found.index == 0) {
    return fail(ENODEV, "find the " + purpose + " interface '" + name +
                            "': see `ip link` for those there are, and correct crossbeat.toml");
  }
  Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (!any || ioctl(any.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail(errno, "read the address of " + name);
  }
  found.ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  std::memcpy(found.mac.bytes.data(), request.ifr_hwaddr.sa_data, found.mac.bytes.size());
  return found;
}

std::string driver_of(const std::string& interface) {
  Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo told{};
  told.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_data = reinterpret_cast<char*>(&told);
  if (!any || ioctl(any.get(), SIOCETHTOOL, &request) != 0) {
    return {};
  }
  told.driver[sizeof told.driver - 1] = 0;
  return told.driver;
}

ProgramName name_of_program(uint32_t id) {
  ProgramName named{id, {}};
  Fd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0) {
    named.name = info.name;
  }
  return named;
}

Result<XdpNow> read_xdp(const Interface& interface) {
  auto query = options<bpf_xdp_query_opts>();
  const int error = bpf_xdp_query(interface.index, 0, &query);
  if (error != 0) {
    return explain(-error, "ask which XDP program is on " + interface.name);
  }
  XdpNow now;
  for (const uint32_t id :
       {query.prog_id, query.drv_prog_id, query.hw_prog_id, query.skb_prog_id}) {
    if (id != 0) {
      now.program = id;
    }
  }
  now.generic = query.attach_mode == XDP_ATTACHED_SKB;
  return now;
}

Result<XdpLink> open_xdp_link(const std::string& pin) {
  XdpLink link;
  CB_TRY(fd, open_pin(pin));
  if (!fd) {
    return link;
  }
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || info.type != BPF_LINK_TYPE_XDP) {
    return fail(EINVAL, "understand the pin " + pin +
                            ": it is no XDP link; somebody else's? Remove it and start again");
  }
  link.fd = std::move(fd);
  link.interface = static_cast<int>(info.xdp.ifindex);
  link.program = info.prog_id;
  return link;
}

Result<> close_xdp_link(XdpLink& link, const std::string& pin) {
  // A link whose interface is gone answers EINVAL or ENOLINK: it is detached already.
  if (link.fd && bpf_link_detach(link.fd.get()) != 0 && errno != EINVAL && errno != ENOLINK &&
      errno != ENODEV) {
    return explain(errno, "detach the XDP link " + pin);
  }
  link = {};
  return remove_pin(pin);
}

const char* program_of(Filter filter) noexcept {
  switch (filter) {
    case Filter::Network: return "cb_network";
    case Filter::GuardIn: return "cb_guard_in";
    case Filter::GuardOut: return "cb_guard_out";
    case Filter::Direct: return "cb_direct_tc";
  }
  return "?";
}

bool has_filter(int interface, Filter filter) {
  const uint32_t program = program_at(interface, filter);
  return program != 0 && is_ours(program, filter);
}

Result<bool> attach_filter(const Interface& interface, Filter filter, int program) {
  const Place place = place_of(filter);
  const std::string doing = std::string("attach ") + program_of(filter) + " to tc " +
                            side_of(filter) + " of " + interface.name;
  auto both =
      hook_of(interface.index, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  const int created = bpf_tc_hook_create(&both);
  if (created != 0 && created != -EEXIST) {
    return explain(-created, doing + ": make its clsact qdisc");
  }
  const uint32_t before = program_at(interface.index, filter);
  if (before != 0 && !is_ours(before, filter)) {
    return fail(EBUSY, doing + ": its place (pref " + std::to_string(place.priority) +
                           ") is taken by program " + text_of(name_of_program(before)) +
                           "; see `tc filter show dev " + interface.name + " " + side_of(filter) +
                           "` and give that one another pref");
  }
  const auto hook = hook_of(interface.index, place.point);
  auto at = options<bpf_tc_opts>();
  at.handle = place.handle;
  at.priority = place.priority;
  at.prog_fd = program;
  at.flags = BPF_TC_F_REPLACE;
  forget_libbpf();
  const int error = bpf_tc_attach(&hook, &at);
  if (error == -EINVAL || error == -EEXIST || error == -EOPNOTSUPP) {
    const std::string why = libbpf_said();
    return fail(-error, doing + (why.empty() ? "" : " (" + why + ")") + ": pref " +
                            std::to_string(place.priority) +
                            " must be free and the qdisc must be clsact; see `tc " +
                            "filter show dev " + interface.name + " " + side_of(filter) +
                            "` and `tc qdisc show dev " + interface.name + "`");
  }
  if (error != 0) {
    return explain(-error, doing);
  }
  return before == 0;
}

Result<> detach_filter(int interface, Filter filter) {
  if (!has_filter(interface, filter)) {
    return {};
  }
  const Place place = place_of(filter);
  const auto hook = hook_of(interface, place.point);
  auto at = options<bpf_tc_opts>();
  at.handle = place.handle;
  at.priority = place.priority;
  const int error = bpf_tc_detach(&hook, &at);
  if (error != 0 && error != -ENOENT) {
    return explain(-error, std::string("detach ") + program_of(filter));
  }
  return {};
}

Result<> remove_empty_clsact(int interface) {
  const std::unique_ptr<nl_sock, void (*)(nl_sock*)> socket(nl_socket_alloc(), nl_socket_free);
  if (!socket || nl_connect(socket.get(), NETLINK_ROUTE) != 0) {
    return fail(EIO, "open a netlink socket");
  }
  for (const uint32_t parent :
       {TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)}) {
    nl_cache* filters = nullptr;
    if (rtnl_cls_alloc_cache(socket.get(), interface, parent, &filters) != 0) {
      return {};  // no clsact there, or no interface: nothing to remove
    }
    const int count = nl_cache_nitems(filters);
    nl_cache_free(filters);
    if (count != 0) {
      return {};
    }
  }
  auto both = hook_of(interface, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  const int error = bpf_tc_hook_destroy(&both);
  if (error != 0 && error != -ENOENT && error != -EINVAL && error != -ENODEV) {
    return explain(-error, "remove the clsact qdisc");
  }
  return {};
}

std::vector<int> interfaces_with_filters(int except, std::span<const Filter> filters) {
  std::vector<int> found;
  const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> all(if_nameindex(),
                                                                                 if_freenameindex);
  for (const struct if_nameindex* i = all.get(); i != nullptr && i->if_index != 0; ++i) {
    const int index = static_cast<int>(i->if_index);
    for (const Filter filter : filters) {
      if (index != except && has_filter(index, filter)) {
        found.push_back(index);
        break;
      }
    }
  }
  return found;
}

Result<> attach_exit_mark(int program, const std::string& pin) {
  // The new one works before the old one goes: both for a moment is harmless, none would not be.
  Fd link(bpf_raw_tracepoint_open("sched_process_exit", program));
  if (!link) {
    return explain(errno, "attach cb_exit to the end of processes");
  }
  return replace_pin(link.get(), pin);
}

}  // namespace cb::edge
