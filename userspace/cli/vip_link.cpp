// SPDX-License-Identifier: Apache-2.0
#include "cli/vip_link.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/fd.h"
#include "config/address.h"
#include "config/config.h"
#include "edge/frames.h"

namespace cb::cli {
namespace {

constexpr std::uint8_t kProtocol = 0xc8;  // IFA_PROTO of our addresses, as the monitor's
constexpr int kIfaProto = 11;             // IFA_PROTO, kernel 5.18

using Socket = std::unique_ptr<nl_sock, decltype(&nl_socket_free)>;

Result<unsigned> index_of(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) {
    return fail(ENODEV, "find the interface " + interface);
  }
  return index;
}

int put(nl_msg* message, int type, const std::string& label, const config::Address& address,
        unsigned index) {
  const bool v4 = address.is_v4();
  ifaddrmsg facts{};
  facts.ifa_family = v4 ? AF_INET : AF_INET6;
  facts.ifa_prefixlen = v4 ? 32 : 128;
  facts.ifa_scope = RT_SCOPE_UNIVERSE;
  facts.ifa_index = index;
  const auto* bytes = address.bytes.data() + (v4 ? 12 : 0);
  const int length = v4 ? 4 : 16;
  int error = nlmsg_append(message, &facts, sizeof facts, NLMSG_ALIGNTO);
  error = error < 0 ? error : nla_put(message, IFA_LOCAL, length, bytes);
  error = error < 0 ? error : nla_put(message, IFA_ADDRESS, length, bytes);
  if (type == RTM_NEWADDR) {
    error = error < 0 ? error : nla_put_u32(message, IFA_FLAGS, IFA_F_NODAD);
    error = error < 0 ? error : nla_put_u8(message, kIfaProto, kProtocol);
    if (v4 && !label.empty()) {
      error = error < 0 ? error : nla_put_string(message, IFA_LABEL, label.c_str());
    }
  }
  return error;
}

Result<> change(int type, int flags, const config::Address& address, const std::string& interface,
                const std::string& label) {
  const std::string doing =
      (type == RTM_NEWADDR ? "add " : "remove ") + address.text() + " on " + interface;
  CB_TRY(index, index_of(interface));
  const Socket socket(nl_socket_alloc(), &nl_socket_free);
  if (!socket || nl_connect(socket.get(), NETLINK_ROUTE) < 0) {
    return fail(EPROTO, "open a netlink socket");
  }
  nl_msg* message = nlmsg_alloc_simple(type, flags);
  if (message == nullptr) {
    return fail(ENOMEM, doing);
  }
  if (put(message, type, label, address, index) < 0) {
    nlmsg_free(message);
    return fail(ENOMEM, doing);
  }
  // The library's own numbers lose which errno it was; the kernel's answer is read by hand.
  if (nl_send_auto(socket.get(), message) < 0) {
    nlmsg_free(message);
    return fail(errno, doing);
  }
  nlmsg_free(message);
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  const ssize_t count = recv(nl_socket_get_fd(socket.get()), answer.data(), answer.size(), 0);
  nlmsgerr verdict{};
  if (count < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof verdict)) {
    return fail(EPROTO, doing);
  }
  std::memcpy(&verdict, answer.data() + sizeof(nlmsghdr), sizeof verdict);
  return verdict.error == 0 ? Result<>() : Result<>(fail(-verdict.error, doing));
}

Result<Mac> mac_of(int socket, const std::string& interface) {
  ifreq request{};
  interface.copy(std::begin(request.ifr_name), IFNAMSIZ - 1);
  if (ioctl(socket, SIOCGIFHWADDR, &request) != 0) {
    return fail(errno, "read the MAC address of " + interface);
  }
  Mac mac;
  std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
  return mac;
}

Result<> send_frame(int socket, unsigned index, std::span<const std::uint8_t> frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(index);
  to.sll_halen = 6;
  std::memcpy(&to.sll_protocol, frame.data() + 12, 2);
  std::memcpy(std::begin(to.sll_addr), frame.data(), 6);
  const auto* target = static_cast<const sockaddr*>(static_cast<const void*>(&to));
  if (sendto(socket, frame.data(), frame.size(), 0, target, sizeof to) < 0) {
    return fail(errno, "send an announcement");
  }
  return {};
}

}  // namespace

Result<> add_by_hand(const config::Address& address, const std::string& interface,
                     const std::string& label) {
  return change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address, interface, label);
}

Result<> remove_by_hand(const config::Address& address, const std::string& interface) {
  const auto removed = change(RTM_DELADDR, 0, address, interface, "");
  return !removed && removed.error().code == EADDRNOTAVAIL ? Result<>() : removed;
}

Result<> announce_by_hand(const config::Address& address, const std::string& interface) {
  CB_TRY(index, index_of(interface));
  const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail(errno, "open a packet socket");
  }
  CB_TRY(mac, mac_of(socket.get(), interface));
  if (!address.is_v4()) {
    Ipv6 v6;
    v6.bytes = address.bytes;
    return send_frame(socket.get(), index, edge::unsolicited_na(mac, v6));
  }
  const Ipv4 v4 = config::ipv4_of(address);
  CB_TRY_DO(send_frame(socket.get(), index, edge::to_frame(edge::gratuitous_request(mac, v4))));
  return send_frame(socket.get(), index, edge::to_frame(edge::gratuitous_reply(mac, v4)));
}

Result<std::vector<AddressOn>> held_by_hand(const std::string& interface) {
  CB_TRY_DO(index_of(interface));
  CB_TRY(machine, config::read_machine_facts());
  std::vector<AddressOn> held;
  for (const auto& found : machine.interfaces) {
    if (found.name != interface) {
      continue;
    }
    for (std::size_t i = 0; i < found.addresses.size(); ++i) {
      const config::Prefix& prefix = found.addresses[i];
      const bool host = prefix.length == (prefix.address.is_v4() ? 32 : 128);
      if (host) {
        held.push_back({prefix, found.labels[i]});
      }
    }
  }
  return held;
}

}  // namespace cb::cli
