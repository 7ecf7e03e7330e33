// SPDX-License-Identifier: Apache-2.0
//
// The kernel's notices say only that something changed; what is asked anew each time, so that a
// lost notice costs nothing but time. The requests take no lock that a slow driver may hold long.
#include "drivers/link/interface.h"

#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace cb::link {
namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

bool feature(int socket, const std::string& name, std::uint32_t command) {
  ethtool_value value{command, 0};
  ifreq request = request_for(name);
  request.ifr_data = reinterpret_cast<char*>(&value);
  return ioctl(socket, SIOCETHTOOL, &request) == 0 && value.data != 0;
}

}  // namespace

Result<std::unique_ptr<Interface>> Interface::open(loop::Loop& loop, std::string name,
                                                   std::function<void()> on_change) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(0, "'" + name + "' cannot be the name of an interface");
  }
  Fd notices(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (!notices || bind(notices.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno, "listen to the kernel's notices of interfaces");
  }
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail(errno, "open a socket to ask about interfaces");
  }
  return std::unique_ptr<Interface>(new Interface(loop, std::move(name), std::move(on_change),
                                                  std::move(notices), std::move(socket)));
}

Interface::Interface(loop::Loop& loop, std::string name, std::function<void()> on_change,
                     Fd notices, Fd socket)
    : loop_(loop),
      name_(std::move(name)),
      on_change_(std::move(on_change)),
      notices_(std::move(notices)),
      socket_(std::move(socket)),
      facts_(ask()) {
  loop_.watch(notices_.get(), [this] { on_notice(); });
}

Interface::~Interface() { loop_.unwatch(notices_.get()); }

void Interface::on_notice() {
  std::array<char, 8192> notice{};
  ssize_t n = 0;
  // ENOBUFS: notices were lost. Then there is all the more to ask.
  do {
    n = recv(notices_.get(), notice.data(), notice.size(), MSG_DONTWAIT);
  } while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
  look();
}

void Interface::look() {
  const InterfaceFacts now = ask();
  if (now != facts_) {
    facts_ = now;
    on_change_();
  }
}

InterfaceFacts Interface::ask() const {
  InterfaceFacts facts;
  ifreq request = request_for(name_);
  if (ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0) {
    return facts;
  }
  facts.index = request.ifr_ifindex;
  request = request_for(name_);
  if (ioctl(socket_.get(), SIOCGIFFLAGS, &request) == 0) {
    facts.carrier = (request.ifr_flags & IFF_UP) != 0 && (request.ifr_flags & IFF_RUNNING) != 0;
  }
  request = request_for(name_);
  if (ioctl(socket_.get(), SIOCGIFMTU, &request) == 0) {
    facts.mtu = static_cast<std::size_t>(std::max(request.ifr_mtu, 0));
  }
  request = request_for(name_);
  if (ioctl(socket_.get(), SIOCGIFHWADDR, &request) == 0) {
    std::memcpy(facts.mac.bytes.data(), request.ifr_hwaddr.sa_data, facts.mac.bytes.size());
  }
  facts.segments = feature(socket_.get(), name_, ETHTOOL_GTSO);
  facts.merges = feature(socket_.get(), name_, ETHTOOL_GGRO);
  return facts;
}

}  // namespace cb::link
