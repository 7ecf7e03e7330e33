// SPDX-License-Identifier: Apache-2.0
//
// Facts of this machine, as the kernel tells them: getifaddrs, /proc/net/route, /etc/machine-id.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "config/address.h"
#include "config/config.h"

namespace cb::config {
namespace {

constexpr std::size_t kProcBytesMax = 1u << 20;

// The address in a sockaddr of this family; a netmask may carry another family in its own field.
Address address_in(const sockaddr* from, int family) {
  if (family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, from, sizeof v4);
    Ipv4 address;
    std::memcpy(address.bytes.data(), &v4.sin_addr, address.bytes.size());
    return address_of(address);
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, from, sizeof v6);
  Ipv6 address;
  std::memcpy(address.bytes.data(), &v6.sin6_addr, address.bytes.size());
  return address_of(address);
}

int mask_length(const sockaddr* mask, int family) {
  const Address bytes = address_in(mask, family);
  int bits = 0;
  for (std::size_t i = family == AF_INET ? 12 : 0; i < bytes.bytes.size(); ++i) {
    bits += std::popcount(bytes.bytes.at(i));
  }
  return bits;
}

MachineFacts::Interface& interface_named(MachineFacts& machine, std::string_view name) {
  for (auto& interface : machine.interfaces) {
    if (interface.name == name) {
      return interface;
    }
  }
  MachineFacts::Interface interface;
  interface.name = name;
  machine.interfaces.push_back(std::move(interface));
  return machine.interfaces.back();
}

void take_in(MachineFacts& machine, const ifaddrs& entry) {
  const std::string_view label = entry.ifa_name;  // for IPv4 the address's label, such as "eth0:1"
  auto& interface = interface_named(machine, label.substr(0, label.find(':')));
  interface.up = (entry.ifa_flags & IFF_UP) != 0;
  interface.carrier = (entry.ifa_flags & IFF_RUNNING) != 0;
  if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr) {
    return;
  }
  const int family = entry.ifa_addr->sa_family;
  if (family == AF_INET || family == AF_INET6) {
    interface.addresses.push_back(
        {address_in(entry.ifa_addr, family), mask_length(entry.ifa_netmask, family)});
    interface.labels.emplace_back(label);
  }
}

// The gateway of the default route with the lowest metric, or zero. The columns of /proc/net/route:
// Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses in hexadecimal, in the
// machine's own byte order.
Address default_gateway() {
  constexpr std::uint64_t kRouteGateway = 0x2;  // RTF_GATEWAY
  const auto table = read_all("/proc/net/route", kProcBytesMax);
  Address best;
  if (!table) {
    return best;  // no IPv4 routes: no gateway
  }
  std::uint64_t best_metric = UINT64_MAX;
  for (const std::string_view line : split(*table, '\n')) {
    const auto columns = split(line, '\t');
    if (columns.size() < 8 || columns[1] != "00000000" || columns[7] != "00000000") {
      continue;
    }
    const auto gateway = parse_hex(columns[2]);
    const auto flags = parse_hex(columns[3]);
    const auto metric = parse_number(columns[6]);
    if (!gateway || gateway->size() != 4 || !flags || flags->empty() || !metric ||
        (flags->back() & kRouteGateway) == 0 || *metric >= best_metric) {
      continue;
    }
    Ipv4 address;  // little-endian: the last byte written is the first on the wire
    for (std::size_t i = 0; i < 4; ++i) {
      address.bytes.at(i) = gateway->at(3 - i);
    }
    best = address_of(address);
    best_metric = *metric;
  }
  return best;
}

}  // namespace

Result<MachineFacts> read_machine_facts() {
  MachineFacts machine;
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) {
    return fail(errno, "ask for the host name");
  }
  machine.host_name = name.data();
  // Absent on a machine that never booted with systemd; then the serial is the name alone.
  machine.machine_id = trim(read_all("/etc/machine-id", 4096).value_or(""));

  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return fail(errno, "list the network interfaces");
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    take_in(machine, *entry);
  }
  machine.default_gateway = default_gateway();
  return machine;
}

}  // namespace cb::config
