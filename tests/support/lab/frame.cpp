// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/frame.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

int interface_index(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) {
    fail_errno("interface " + interface);
  }
  return static_cast<int>(index);
}

}  // namespace

uint16_t internet_checksum(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0U;
    sum += (static_cast<uint32_t>(bytes[i]) << 8) + low;
  }
  while ((sum >> 16) != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return htons(static_cast<uint16_t>(~sum));
}

uint32_t ipv4(const std::string& text) {
  in_addr address{};
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) {
    fail("'" + text + "' is not an IPv4 address");
  }
  return address.s_addr;
}

Fd packet_socket(const std::string& interface, uint16_t protocol,
                 const std::vector<sock_filter>& filter) {
  // Protocol 0: nothing arrives before the filter is there and the socket is bound.
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    fail_errno("open a packet socket");
  }
  if (!filter.empty()) {
    const sock_fprog program{static_cast<unsigned short>(filter.size()),
                             const_cast<sock_filter*>(filter.data())};
    if (setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
      fail_errno("attach a filter to a packet socket");
    }
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = interface.empty() ? 0 : interface_index(interface);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail_errno("bind a packet socket to " + interface);
  }
  return fd;
}

void become_promiscuous(const Fd& socket, const std::string& interface) {
  packet_mreq request{};
  request.mr_ifindex = interface_index(interface);
  request.mr_type = PACKET_MR_PROMISC;
  if (setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) != 0) {
    fail_errno("listen to all frames on " + interface);
  }
}

void set_receive_buffer(const Fd& socket, int bytes) {
  // FORCE: beyond net.core.rmem_max, as root may.
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0) {
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));  // ignored: smaller
  }
}

int64_t StampClock::to_boottime(int64_t realtime_ns) {
  constexpr int64_t kReadAgainNs = 100'000'000;
  const int64_t now = boottime_ns();
  if (read_at_ns_ == 0 || now - read_at_ns_ > kReadAgainNs) {
    // The narrowest of a few readings: between two reads of one clock lies the other's.
    int64_t narrowest = INT64_MAX;
    for (int i = 0; i < 3; ++i) {
      const int64_t before = clock_ns(CLOCK_BOOTTIME);
      const int64_t wall = clock_ns(CLOCK_REALTIME);
      const int64_t after = clock_ns(CLOCK_BOOTTIME);
      if (after - before < narrowest) {
        narrowest = after - before;
        offset_ns_ = wall - (before + after) / 2;
      }
    }
    read_at_ns_ = now;
  }
  return realtime_ns - offset_ns_;
}

void enable_stamps(const Fd& socket) {
  const int on = 1;
  if (setsockopt(socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) {
    fail_errno("ask for stamps of arrival");
  }
}

Received receive(const Fd& socket, std::span<uint8_t> into) {
  alignas(cmsghdr) char control[128];
  sockaddr_ll from{};
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof(from);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t length = recvmsg(socket.get(), &message, MSG_DONTWAIT);
  if (length < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN) {
      return {};
    }
    fail_errno("receive a frame");
  }
  Received received;
  received.length = static_cast<size_t>(length);
  received.outgoing = from.sll_pkttype == PACKET_OUTGOING;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
      received.realtime_ns = static_cast<int64_t>(stamp.tv_sec) * 1'000'000'000 + stamp.tv_nsec;
    }
  }
  return received;
}

uint64_t drops_of(const Fd& socket) {
  tpacket_stats stats{};
  socklen_t length = sizeof(stats);
  if (getsockopt(socket.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &length) != 0) {
    fail_errno("read a packet socket's counters");
  }
  return stats.tp_drops;
}

}  // namespace cb::lab
