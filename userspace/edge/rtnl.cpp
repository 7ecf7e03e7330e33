// SPDX-License-Identifier: Apache-2.0
#include "edge/rtnl.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "config/address.h"

namespace cb::edge {

namespace {

// Large enough for every notice and for the pieces of a dump that the kernel makes.
constexpr std::size_t kBufferBytes = 64 << 10;
// Room for the notices of a host with many interfaces while the loop is busy elsewhere.
constexpr int kReceiveBytes = 1 << 20;

std::optional<config::Address> address_in(const nlattr* attribute, int family) {
  const auto length = static_cast<std::size_t>(nla_len(attribute));
  if (family == AF_INET && length == 4) {
    Ipv4 address;
    std::memcpy(address.bytes.data(), nla_data(attribute), 4);
    return config::address_of(address);
  }
  if (family == AF_INET6 && length == 16) {
    Ipv6 address;
    std::memcpy(address.bytes.data(), nla_data(attribute), 16);
    return config::address_of(address);
  }
  return std::nullopt;
}

// An nla_strdup that a missing end of string cannot lead astray.
std::string text_in(const nlattr* attribute) {
  const auto* bytes = static_cast<const char*>(nla_data(attribute));
  return {bytes, strnlen(bytes, static_cast<std::size_t>(nla_len(attribute)))};
}

// libnl's error as an errno. It folds some of the kernel's together.
int errno_of(int libnl_error) {
  switch (-libnl_error) {
    case 0: return 0;
    case NLE_NODEV: return ENODEV;
    case NLE_NOADDR: return EADDRNOTAVAIL;
    case NLE_EXIST: return EEXIST;
    case NLE_PERM: return EPERM;
    case NLE_NOMEM: return ENOMEM;
    case NLE_INVAL: return EINVAL;
    case NLE_OPNOTSUPP: return EOPNOTSUPP;
    case NLE_OBJ_NOTFOUND: return ENOENT;
    case NLE_BUSY: return EBUSY;
    case NLE_NOACCESS: return EACCES;
    case NLE_RANGE: return ERANGE;
    case NLE_DUMP_INTR: return EINTR;
    case NLE_AGAIN: return EAGAIN;
    default: return EIO;
  }
}

}  // namespace

std::optional<AddressMessage> parse_address_message(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWADDR && message.nlmsg_type != RTM_DELADDR) {
    return std::nullopt;
  }
  auto* header = const_cast<nlmsghdr*>(&message);  // libnl's functions are not const
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  if (!nlmsg_valid_hdr(header, sizeof(ifaddrmsg)) ||
      nlmsg_parse(header, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) {
    return std::nullopt;
  }
  const auto* facts = static_cast<const ifaddrmsg*>(nlmsg_data(header));
  // On point-to-point links IFA_ADDRESS is the partner's; elsewhere IPv6 has no IFA_LOCAL.
  const nlattr* own =
      attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  if (own == nullptr) {
    return std::nullopt;
  }
  const auto address = address_in(own, facts->ifa_family);
  if (!address) {
    return std::nullopt;
  }
  AddressMessage result;
  result.added = message.nlmsg_type == RTM_NEWADDR;
  result.index = static_cast<int>(facts->ifa_index);
  result.prefix = {*address, facts->ifa_prefixlen};
  result.flags = facts->ifa_flags;
  if (const nlattr* flags = attributes[IFA_FLAGS]; flags != nullptr && nla_len(flags) >= 4) {
    result.flags = nla_get_u32(const_cast<nlattr*>(flags));
  }
  if (attributes[IFA_LABEL] != nullptr) {
    result.label = text_in(attributes[IFA_LABEL]);
  }
  if (const nlattr* protocol = attributes[IFA_PROTO];
      protocol != nullptr && nla_len(protocol) >= 1) {
    result.protocol = nla_get_u8(const_cast<nlattr*>(protocol));
  }
  result.by = message.nlmsg_pid;
  return result;
}

std::optional<LinkMessage> parse_link_message(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWLINK && message.nlmsg_type != RTM_DELLINK) {
    return std::nullopt;
  }
  auto* header = const_cast<nlmsghdr*>(&message);
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  if (!nlmsg_valid_hdr(header, sizeof(ifinfomsg)) ||
      nlmsg_parse(header, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0) {
    return std::nullopt;
  }
  const auto* facts = static_cast<const ifinfomsg*>(nlmsg_data(header));
  // Other families tell of ports of a bridge and the like: leaving a bridge is no end of the
  // interface.
  if (facts->ifi_family != AF_UNSPEC || attributes[IFLA_IFNAME] == nullptr) {
    return std::nullopt;
  }
  LinkMessage result;
  result.there = message.nlmsg_type == RTM_NEWLINK;
  result.index = facts->ifi_index;
  result.name = text_in(attributes[IFLA_IFNAME]);
  result.flags = facts->ifi_flags;
  if (const nlattr* mtu = attributes[IFLA_MTU]; mtu != nullptr && nla_len(mtu) >= 4) {
    result.mtu = nla_get_u32(const_cast<nlattr*>(mtu));
  }
  if (const nlattr* mac = attributes[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == 6) {
    std::memcpy(result.mac.bytes.data(), nla_data(mac), 6);
  }
  return result;
}

// ---- requests

Result<std::unique_ptr<RtnlRequests>> RtnlRequests::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) {
    return fail(ENOMEM, "open a netlink socket");
  }
  std::unique_ptr<RtnlRequests> requests(new RtnlRequests(socket));
  if (const int error = nl_connect(socket, NETLINK_ROUTE); error < 0) {
    return fail(errno_of(error), "open a netlink socket");
  }
  nl_socket_set_msg_buf_size(socket, kBufferBytes);
  return requests;
}

RtnlRequests::~RtnlRequests() { nl_socket_free(socket_); }

std::uint32_t RtnlRequests::port() const { return nl_socket_get_local_port(socket_); }

int RtnlRequests::add_address(const AddressMessage& what) {
  const int flags = NLM_F_CREATE | NLM_F_REPLACE;
  const int error = change_address(RTM_NEWADDR, flags, what, true);
  // A kernel that does not know the protocol id ignores it, or refuses it when it checks strictly.
  if (error == EINVAL || error == EOPNOTSUPP) {
    return change_address(RTM_NEWADDR, flags, what, false);
  }
  return error;
}

int RtnlRequests::remove_address(const AddressMessage& what) {
  AddressMessage bare = what;
  bare.label.clear();
  return change_address(RTM_DELADDR, 0, bare, false);
}

int RtnlRequests::change_address(int type, int flags, const AddressMessage& what,
                                 bool with_protocol) {
  nl_msg* message = nlmsg_alloc_simple(type, flags);
  if (message == nullptr) {
    return ENOMEM;
  }
  const bool v4 = what.prefix.address.is_v4();
  ifaddrmsg facts{};
  facts.ifa_family = v4 ? AF_INET : AF_INET6;
  facts.ifa_prefixlen = static_cast<std::uint8_t>(what.prefix.length);
  facts.ifa_scope = RT_SCOPE_UNIVERSE;
  facts.ifa_index = static_cast<unsigned>(what.index);
  const auto* bytes = what.prefix.address.bytes.data() + (v4 ? 12 : 0);
  const int length = v4 ? 4 : 16;
  int error = nlmsg_append(message, &facts, sizeof facts, NLMSG_ALIGNTO);
  error = error < 0 ? error : nla_put(message, IFA_LOCAL, length, bytes);
  error = error < 0 ? error : nla_put(message, IFA_ADDRESS, length, bytes);
  if (type == RTM_NEWADDR) {
    error = error < 0 ? error : nla_put_u32(message, IFA_FLAGS, what.flags);
    if (v4 && !what.label.empty()) {
      error = error < 0 ? error : nla_put_string(message, IFA_LABEL, what.label.c_str());
    }
    if (with_protocol && what.protocol != 0) {
      error = error < 0 ? error : nla_put_u8(message, IFA_PROTO, what.protocol);
    }
  }
  if (error < 0) {
    nlmsg_free(message);
    return errno_of(error);
  }
  return errno_of(nl_send_sync(socket_, message));  // frees the message
}

int RtnlRequests::dump(int type, const std::function<void(const nlmsghdr&)>& take) {
  rtgenmsg any{};
  any.rtgen_family = AF_UNSPEC;
  nl_cb* calls = nl_cb_alloc(NL_CB_DEFAULT);
  if (calls == nullptr) {
    return ENOMEM;
  }
  nl_cb_set(
      calls, NL_CB_VALID, NL_CB_CUSTOM,
      [](nl_msg* message, void* to) -> int {
        (*static_cast<const std::function<void(const nlmsghdr&)>*>(to))(*nlmsg_hdr(message));
        return NL_OK;
      },
      const_cast<void*>(static_cast<const void*>(&take)));
  int error = nl_send_simple(socket_, type, NLM_F_DUMP, &any, sizeof any);
  if (error >= 0) {
    error = nl_recvmsgs(socket_, calls);
  }
  nl_cb_put(calls);
  return error < 0 ? errno_of(error) : 0;
}

// A dump that was changed while it was made may lack something: it is made again.
int RtnlRequests::read_addresses(std::vector<AddressMessage>& into) {
  int error = 0;
  for (int tries = 0; tries < 5; ++tries) {
    into.clear();
    error = dump(RTM_GETADDR, [&into](const nlmsghdr& message) {
      if (auto address = parse_address_message(message)) {
        into.push_back(std::move(*address));
      }
    });
    if (error != EINTR) {
      break;
    }
  }
  return error;
}

int RtnlRequests::read_links(std::vector<LinkMessage>& into) {
  int error = 0;
  for (int tries = 0; tries < 5; ++tries) {
    into.clear();
    error = dump(RTM_GETLINK, [&into](const nlmsghdr& message) {
      if (auto link = parse_link_message(message)) {
        into.push_back(std::move(*link));
      }
    });
    if (error != EINTR) {
      break;
    }
  }
  return error;
}

// ---- notices

Result<std::unique_ptr<RtnlWatch>> RtnlWatch::open(loop::Loop& loop,
                                                   const std::vector<unsigned>& groups,
                                                   std::function<void(const nlmsghdr&)> on_message,
                                                   std::function<void()> on_lost) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) {
    return fail(errno, "open a netlink socket");
  }
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    return fail(errno, "bind a netlink socket");
  }
  for (const unsigned group : groups) {
    if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) !=
        0) {
      return fail(errno, "listen to netlink group " + std::to_string(group));
    }
  }
  // ignored: without the privilege it is the host's default, and what is lost is noticed
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBytes, sizeof kReceiveBytes);
  std::unique_ptr<RtnlWatch> watch(new RtnlWatch(loop, std::move(socket)));
  watch->on_message_ = std::move(on_message);
  watch->on_lost_ = std::move(on_lost);
  watch->buffer_.resize(kBufferBytes);
  RtnlWatch* self_watch = watch.get();
  loop.watch(watch->socket_.get(), [self_watch] { self_watch->drain(); });
  return watch;
}

RtnlWatch::~RtnlWatch() { loop_.unwatch(socket_.get()); }

void RtnlWatch::drain() {
  for (int i = 0; i < 64; ++i) {  // the rest in the next turn
    sockaddr_nl from{};
    socklen_t from_length = sizeof from;
    const ssize_t count = ::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &from_length);
    if (count < 0 && errno == ENOBUFS) {
      on_lost_();
      continue;
    }
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return;
    }
    if (from_length != sizeof from || from.nl_pid != 0) {
      continue;  // only the kernel tells of links
    }
    int left = static_cast<int>(count);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data()); nlmsg_ok(message, left);
         message = nlmsg_next(message, &left)) {
      on_message_(*message);
    }
  }
}

}  // namespace cb::edge
