// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/udp.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace cb::link {
namespace {

constexpr Duration kLookEvery = Duration::from_s(1);
constexpr Duration kQueueRetry = Duration::from_us(500);
constexpr std::size_t kHeaders = 28;            // IPv4 and UDP
constexpr std::size_t kTogetherBytes = 65'507;  // of one datagram before it is cut
constexpr std::size_t kTogether = 64;           // UDP_MAX_SEGMENTS of the oldest kernels
constexpr std::size_t kGroups = 8;              // in one system call to send
constexpr std::size_t kBuffers = 16;            // in one system call to receive
constexpr std::size_t kBufferBytes = 65'536;
constexpr std::size_t kCallsAtOnce = 16;  // of a turn

sockaddr_in to_sockaddr(const Ipv4& address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = __builtin_bswap16(port);
  std::memcpy(&to.sin_addr, address.bytes.data(), address.bytes.size());
  return to;
}

void set_buffer(int socket, int forced, int plain, std::size_t bytes) {
  const int half = static_cast<int>(bytes / 2);  // the kernel doubles it
  if (setsockopt(socket, SOL_SOCKET, forced, &half, sizeof half) != 0) {
    setsockopt(socket, SOL_SOCKET, plain, &half, sizeof half);
  }
}

}  // namespace

Result<std::unique_ptr<Link>> open_udp(loop::Loop& loop, UdpOptions options) {
  CB_TRY(link, Udp::open(loop, std::move(options)));
  return std::unique_ptr<Link>(std::move(link));
}

Result<std::unique_ptr<Udp>> Udp::open(loop::Loop& loop, UdpOptions options) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    return fail(errno, "open a UDP socket");
  }
  std::unique_ptr<Udp> link(new Udp(loop, std::move(options), std::move(socket)));
  if (auto started = link->start(); !started) {
    return in("UDP link to " + to_text(link->options_.peer), std::move(started).error());
  }
  return link;
}

Udp::Udp(loop::Loop& loop, UdpOptions options, Fd socket)
    : loop_(loop),
      options_(std::move(options)),
      socket_(std::move(socket)),
      buffers_(std::make_unique<std::uint8_t[]>(kBuffers * kBufferBytes)) {}

Result<> Udp::start() {
  const int fd = socket_.get();
  const int one = 1;
  // Several volumes may have the same port, each with a peer of its own.
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one);
  const int probe = IP_PMTUDISC_PROBE;
  if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe) != 0) {
    return fail(errno, "set 'do not fragment'");
  }
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options_.send_bytes);
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options_.receive_bytes);
  if (options_.segmentation) {
    const int none = 0;
    segments_ = setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    merges_ = setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) == 0;
  }
  const sockaddr_in self = to_sockaddr(options_.self, options_.port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    return fail(errno,
                "bind to " + to_text(options_.self) + " port " + std::to_string(options_.port));
  }
  CB_TRY(interface, Interface::open(loop_, options_.interface, [this] { on_interface(); }));
  interface_ = std::move(interface);
  CB_TRY(writable, Writable::open(loop_, fd, [this] {
           if (events_.on_writable) {
             events_.on_writable();
           }
         }));
  writable_ = std::move(writable);
  connect_if_needed();
  told_max_ = packet_max();
  told_carrier_ = interface_->facts().carrier;
  return {};
}

Udp::~Udp() {
  loop_.unwatch(socket_.get());
  loop_.cancel(timer_);
}

void Udp::listen(Events events) {
  CB_CHECK_MSG(!events_.on_packets, "one listener");
  events_ = std::move(events);
  loop_.watch(socket_.get(), [this] { drain(); });
  tick();
}

// Without a route there is nothing to connect to yet.
void Udp::connect_if_needed() {
  if (connected_) {
    return;
  }
  const sockaddr_in peer = to_sockaddr(options_.peer, options_.port);
  connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0;
  connect_error_ = connected_ ? 0 : errno;
}

void Udp::on_interface() {
  connect_if_needed();
  if (options_.segmentation) {
    segments_ = merges_;  // another card, another answer
  }
  tell_if_changed();
}

void Udp::tell_if_changed() {
  if (packet_max() == told_max_ && interface_->facts().carrier == told_carrier_) {
    return;
  }
  told_max_ = packet_max();
  told_carrier_ = interface_->facts().carrier;
  if (events_.on_changed) {
    events_.on_changed();
  }
}

void Udp::tick() {
  timer_ = loop_.after(kLookEvery, [this] { tick(); });
  interface_->look();
  connect_if_needed();
  tell_if_changed();
}

std::size_t Udp::packet_max() const {
  const std::size_t mtu = std::min(interface_->facts().mtu, kTogetherBytes);
  return connected_ && mtu > kHeaders ? mtu - kHeaders : 0;
}

std::size_t Udp::batch_best() const {
  if (!segments_ || packet_max() == 0) {
    return kGroups;
  }
  return std::clamp<std::size_t>(kTogetherBytes / packet_max(), 1, kTogether);
}

// ---- receiving

void Udp::drain() {
  std::array<mmsghdr, kBuffers> headers{};
  std::array<iovec, kBuffers> parts{};
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> bytes{};
  };
  std::array<Control, kBuffers> controls;
  for (std::size_t call = 0; call < kCallsAtOnce; ++call) {
    for (std::size_t i = 0; i < kBuffers; ++i) {
      parts[i] = {&buffers_[i * kBufferBytes], kBufferBytes};
      msghdr& header = headers[i].msg_hdr;
      header = {};
      header.msg_iov = &parts[i];
      header.msg_iovlen = 1;
      header.msg_control = controls[i].bytes.data();
      header.msg_controllen = controls[i].bytes.size();
    }
    const int n = recvmmsg(socket_.get(), headers.data(), kBuffers, MSG_DONTWAIT, nullptr);
    if (n < 0) {
      // What the network says about what we sent (ECONNREFUSED and the like) comes here.
      if (errno != EAGAIN && errno != EINTR) {
        continue;
      }
      return;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      msghdr& header = headers[i].msg_hdr;
      std::size_t segment = headers[i].msg_len;
      for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
          int size = 0;
          std::memcpy(&size, CMSG_DATA(c), sizeof size);
          segment = size > 0 ? static_cast<std::size_t>(size) : segment;
        }
      }
      if (headers[i].msg_len == 0 || (header.msg_flags & MSG_TRUNC) != 0) {
        ++foreign_;
        continue;
      }
      split(ConstBytes(&buffers_[i * kBufferBytes], headers[i].msg_len), segment);
    }
    flush();
    if (static_cast<std::size_t>(n) < kBuffers) {
      return;
    }
  }
}

void Udp::split(ConstBytes bytes, std::size_t segment) {
  for (std::size_t at = 0; at < bytes.size(); at += segment) {
    batch_.push_back(bytes.subspan(at, std::min(segment, bytes.size() - at)));
  }
}

void Udp::flush() {
  if (!batch_.empty()) {
    received_ += batch_.size();
    events_.on_packets(batch_);
    batch_.clear();
  }
}

// ---- sending

// How many of the first packets may go in one piece: of one size, the last may be shorter.
std::size_t Udp::together(std::span<const ConstBytes> packets) const noexcept {
  const std::size_t size = packets[0].size();
  if (!segments_ || size > packet_max()) {
    return 1;
  }
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < std::min(packets.size(), kTogether) && packets[count].size() <= size &&
         !packets[count].empty() && bytes + packets[count].size() <= kTogetherBytes) {
    bytes += packets[count].size();
    ++count;
    if (packets[count - 1].size() < size) {
      break;
    }
  }
  return std::max<std::size_t>(count, 1);
}

std::size_t Udp::send(std::span<const ConstBytes> packets) {
  std::size_t taken = 0;
  bool blocked = false;
  while (taken < packets.size() && !blocked) {
    taken += send_some(packets.subspan(taken), &blocked);
  }
  return taken;
}

std::size_t Udp::send_some(std::span<const ConstBytes> packets, bool* blocked) {
  if (!connected_) {
    refused_ += packets.size();
    return packets.size();
  }
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes{};
  };
  std::array<Control, kGroups> controls;
  std::array<mmsghdr, kGroups> headers{};
  std::array<iovec, kGroups * kTogether> parts;
  std::array<std::size_t, kGroups> sizes{};
  std::size_t groups = 0;
  for (std::size_t done = 0; groups < kGroups && done < packets.size(); ++groups) {
    const auto group = packets.subspan(done, together(packets.subspan(done)));
    iovec* part = &parts[groups * kTogether];
    msghdr& header = headers[groups].msg_hdr;
    header.msg_iov = part;
    header.msg_iovlen = group.size();
    for (const ConstBytes packet : group) {
      *part++ = {const_cast<std::uint8_t*>(packet.data()), packet.size()};
    }
    if (group.size() > 1) {
      header.msg_control = controls[groups].bytes.data();
      header.msg_controllen = controls[groups].bytes.size();
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = IPPROTO_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      const auto size = static_cast<std::uint16_t>(group[0].size());
      std::memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    sizes[groups] = group.size();
    done += group.size();
  }
  const int n =
      sendmmsg(socket_.get(), headers.data(), static_cast<unsigned>(groups), MSG_DONTWAIT);
  if (n > 0) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      count += sizes[i];
    }
    sent_ += count;
    return count;
  }
  const int error = errno;
  if (error == EAGAIN) {
    writable_->ask();
    *blocked = true;
    return 0;
  }
  if (error == ENOBUFS) {  // the interface's queue is full, and does not tell when it is not
    writable_->ask_after(kQueueRetry);
    *blocked = true;
    return 0;
  }
  if (sizes[0] > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
    segments_ = false;  // this card cannot, or this path: one by one from now on
    return 0;
  }
  ++refused_;
  return 1;
}

Facts Udp::facts() const {
  const InterfaceFacts& interface = interface_->facts();
  Facts facts;
  facts.name = "udp " + to_text(options_.peer);
  if (interface.index == 0) {
    facts.how = "no such interface";
  } else if (!connected_) {
    facts.how = std::string("no route to the peer: ") + strerrordesc_np(connect_error_);
  } else {
    facts.how = segments_ ? "UDP, segmentation offload" : "UDP, one by one";
    facts.how += merges_ ? ", merging on arrival" : "";
  }
  facts.mtu = interface.mtu;
  facts.carrier = interface.carrier;
  facts.sent = sent_;
  facts.received = received_;
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) == 0) {
    facts.dropped_here = memory[SK_MEMINFO_DROPS];
  }
  facts.refused = refused_;
  facts.foreign = foreign_;
  return facts;
}

}  // namespace cb::link
