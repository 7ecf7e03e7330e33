// SPDX-License-Identifier: Apache-2.0
#include "edge/announce.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "config/address.h"
#include "edge/frames.h"

namespace cb::edge {

struct AnnounceEdge::Held {
  config::Prefix address;
  Instant began;
  std::size_t place = 0;  // of the next announcement in the schedule; past its end: refresh
  Instant last;
  loop::TimerId timer;
  int error = 0;  // of the last announcement, so that a closed guard is logged once
};

AnnounceEdge::AnnounceEdge(loop::Loop& loop, AnnounceOptions options)
    : loop_(loop), options_(std::move(options)) {
  std::sort(options_.schedule.begin(), options_.schedule.end());
}

Result<std::unique_ptr<AnnounceEdge>> AnnounceEdge::open(loop::Loop& loop,
                                                         AnnounceOptions options) {
  if (options.interface.empty() || options.interface.size() >= IFNAMSIZ) {
    return fail(EINVAL, "announce on interface '" + options.interface + "'");
  }
  std::unique_ptr<AnnounceEdge> edge(new AnnounceEdge(loop, std::move(options)));
  // Protocol 0: it sends and hears nothing.
  edge->socket_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!edge->socket_) {
    return fail(errno, errno == EPERM || errno == EACCES
                           ? "open a packet socket (needs root or CAP_NET_RAW)"
                           : "open a packet socket");
  }
  return edge;
}

AnnounceEdge::~AnnounceEdge() {
  for (const auto& [text, held] : held_) {
    loop_.cancel(held->timer);
  }
}

void AnnounceEdge::announce(const std::vector<config::Prefix>& addresses, loop::Done done) {
  int first = 0;
  for (const config::Prefix& address : addresses) {
    std::unique_ptr<Held>& held = held_[address.address.text()];
    if (held == nullptr) {
      held = std::make_unique<Held>();
      held->address = address;
    }
    const int error = begin(*held);
    first = first != 0 ? first : error;
  }
  done(first);
}

void AnnounceEdge::stop(const std::vector<config::Prefix>& addresses) {
  for (const config::Prefix& address : addresses) {
    if (const auto found = held_.find(address.address.text()); found != held_.end()) {
      loop_.cancel(found->second->timer);
      held_.erase(found);
    }
  }
}

void AnnounceEdge::again() {
  for (const auto& [text, held] : held_) {
    begin(*held);
  }
}

void AnnounceEdge::again(const config::Prefix& address) {
  if (const auto found = held_.find(address.address.text()); found != held_.end()) {
    begin(*found->second);
  }
}

int AnnounceEdge::begin(Held& held) {
  loop_.cancel(held.timer);
  held.began = boottime_now();
  held.last = held.began;
  held.place = 0;
  while (held.place < options_.schedule.size() && options_.schedule[held.place] <= Duration{}) {
    ++held.place;
  }
  held.error = send_once(held.address.address);
  set_next(held);
  return held.error;
}

void AnnounceEdge::set_next(Held& held) {
  held.timer = {};
  Instant when;
  if (held.place < options_.schedule.size()) {
    when = held.began + options_.schedule[held.place++];
  } else if (options_.refresh > Duration{}) {
    when = held.last + options_.refresh;
  } else {
    return;
  }
  Held* self = &held;  // the timer is cancelled before the Held is gone
  held.timer = loop_.at(when, [this, self] {
    self->last = boottime_now();
    const int error = send_once(self->address.address);
    if (error != self->error && error != 0) {
      log_warning("%s", to_text(fail(error, "announce " + self->address.text() + " on " +
                                                options_.interface))
                            .c_str());
    }
    self->error = error;
    set_next(*self);
  });
}

// Anew each time: cheap, and right after an interface was replaced or got another MAC.
int AnnounceEdge::read_interface() {
  ifreq request{};
  std::memcpy(request.ifr_name, options_.interface.c_str(), options_.interface.size());
  if (::ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0) {
    return errno;
  }
  index_ = request.ifr_ifindex;
  if (::ioctl(socket_.get(), SIOCGIFHWADDR, &request) != 0) {
    return errno;
  }
  std::memcpy(mac_.bytes.data(), request.ifr_hwaddr.sa_data, mac_.bytes.size());
  return 0;
}

int AnnounceEdge::send_frame(std::span<const std::uint8_t> frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = index_;
  to.sll_halen = 6;
  // The protocol of the frame, for the guard and for taps, which look at it before the bytes.
  std::memcpy(&to.sll_protocol, frame.data() + 12, 2);
  std::memcpy(to.sll_addr, frame.data(), 6);
  if (::sendto(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to),
               sizeof to) < 0) {
    ++stats_.refused;
    return errno;
  }
  ++stats_.sent;
  return 0;
}

int AnnounceEdge::send_once(const config::Address& address) {
  if (const int error = read_interface(); error != 0) {
    ++stats_.refused;
    return error;
  }
  if (!address.is_v4()) {
    return send_frame(unsolicited_na(mac_, Ipv6{address.bytes}));
  }
  const Ipv4 v4 = config::ipv4_of(address);
  const int error = send_frame(to_frame(gratuitous_request(mac_, v4)));
  const int second = send_frame(to_frame(gratuitous_reply(mac_, v4)));
  return error != 0 ? error : second;
}

}  // namespace cb::edge
