// SPDX-License-Identifier: Apache-2.0
#include "replication/back_ends.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "drivers/link/list.h"
#include "drivers/volume/fuse.h"
#include "replication/apart.h"
#include "transport/sealed.h"

namespace cb::replication {

namespace {

// The interface that has this address; empty: none.
std::string interface_of(const Ipv4& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  std::string found;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) {
      continue;
    }
    sockaddr_in here{};
    std::memcpy(&here, one->ifa_addr, sizeof here);
    if (std::memcmp(&here.sin_addr, &address, sizeof here.sin_addr) == 0) {
      found = one->ifa_name;
    }
  }
  ::freeifaddrs(list);
  return found;
}

Result<std::unique_ptr<link::Link>> open_network(loop::Loop& loop, const NetworkPath& network) {
  const auto self = parse_ipv4(network.address);
  const auto peer = parse_ipv4(network.peer);
  if (!self || !peer) {
    return fail(EINVAL, "config: network: '" + (self ? network.peer : network.address) +
                            "' is no IPv4 address");
  }
  link::UdpOptions options;
  options.self = *self;
  options.peer = *peer;
  options.port = network.port;
  options.interface = network.interface.empty() ? interface_of(*self) : network.interface;
  if (options.interface.empty()) {
    return fail(EADDRNOTAVAIL, "no interface has the address " + network.address);
  }
  return link::open_udp(loop, options);
}

// The cable first: it is preferred while it answers.
Result<std::unique_ptr<transport::Carriage>> open_carriage(loop::Loop& loop,
                                                           const Settings& settings,
                                                           std::uint64_t instance) {
  if (settings.cable.empty() && !settings.network) {
    return std::unique_ptr<transport::Carriage>(new NoCarriage());
  }
  transport::Options options;
  options.psk = settings.key.bytes();
  options.node = settings.node;
  options.instance = instance;
  if (!settings.cable.empty()) {
    link::PacketOptions cable;
    cable.interface = settings.cable;
    cable.channel =
        static_cast<std::uint16_t>(instance ^ instance >> 16 ^ instance >> 32 ^ instance >> 48);
    CB_TRY(opened, link::open_packet(loop, cable));
    options.links.push_back(std::move(opened));
  }
  if (settings.network) {
    CB_TRY(opened, open_network(loop, *settings.network));
    options.links.push_back(std::move(opened));
  }
  CB_TRY(opened, transport::Transport::open(loop, std::move(options)));
  return std::unique_ptr<transport::Carriage>(std::move(opened));
}

}  // namespace

Makers real_makers(const Places& places, const std::string& program) {
  const std::string folder = places.device_folder();
  Makers makers;
  makers.carriage = open_carriage;
  makers.front_end = [folder, program](
                         loop::Loop& loop,
                         const Settings& settings) -> Result<std::unique_ptr<volume::FrontEnd>> {
    if (settings.front_end == "none") {
      return std::unique_ptr<volume::FrontEnd>(new NoFrontEnd());
    }
    if (settings.front_end != "fuse") {
      return fail(EOPNOTSUPP, "config: front_end: fuse or none");
    }
    volume::FuseOptions options;
    options.folder = folder;
    options.keeper = {program, "keeper"};
    return std::unique_ptr<volume::FrontEnd>(new volume::Fuse(loop, std::move(options)));
  };
  makers.left_behind = [folder] { return ::access((folder + ".keeper").c_str(), F_OK) == 0; };
  return makers;
}

}  // namespace cb::replication
