// SPDX-License-Identifier: Apache-2.0
//
// What this machine has, as the kernel tells it.
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>

#include "base/fd.h"
#include "config/platform.h"

namespace cb::config {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::uint64_t positive(long value) { return value > 0 ? static_cast<std::uint64_t>(value) : 0; }

std::uint32_t speed_of(const std::string& interface) {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || interface.empty() || interface.size() >= IFNAMSIZ) {
    return 0;
  }
  ethtool_cmd command{};
  command.cmd = ETHTOOL_GSET;
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&command);
  if (ioctl(fd.get(), SIOCETHTOOL, &request) != 0) {
    return 0;
  }
  const std::uint32_t speed = ethtool_cmd_speed(&command);
  return speed == static_cast<std::uint32_t>(SPEED_UNKNOWN) ? 0 : speed;
}

}  // namespace

Capacity read_capacity(const std::string& root, const std::string& network_interface) {
  Capacity capacity;
  capacity.processors = static_cast<std::uint32_t>(positive(sysconf(_SC_NPROCESSORS_ONLN)));
  capacity.memory_mib = positive(sysconf(_SC_PHYS_PAGES)) * positive(sysconf(_SC_PAGESIZE)) / kMiB;
  struct statvfs disk {};
  for (const char* path : {"/var/lib/crossbeat", "/var/lib", "/"}) {
    if (statvfs((root + path).c_str(), &disk) == 0) {
      capacity.disk_mib = disk.f_blocks * disk.f_frsize / kMiB;
      break;
    }
  }
  capacity.network_mbits = speed_of(network_interface);
  return capacity;
}

}  // namespace cb::config
