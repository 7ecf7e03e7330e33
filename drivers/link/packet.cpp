// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/packet.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

namespace cb::link {
namespace {

constexpr Duration kGreetEvery = Duration::from_s(1);
constexpr Duration kForgetAfter = Duration::from_ms(3500);  // three greetings lost
constexpr Duration kQueueRetry = Duration::from_us(500);
constexpr int kAnswersMax = 4;                  // to greetings, between two of our own
constexpr std::size_t kSendAtOnce = 32;         // in one system call
constexpr std::size_t kBatch = 128;             // in one call of on_packets, at most
constexpr std::size_t kBatchBytes = 256 << 10;  // ... so that acknowledgements go out meanwhile
constexpr std::size_t kFramesAtOnce = 1024;     // of a ring in one turn
constexpr std::size_t kBytesAtOnce = 1 << 20;   // ... so that the rest of the loop gets its turn
constexpr std::size_t kBulkBytes = 128 << 10;   // at once: more is on its way
constexpr Duration kRest = Duration::from_us(100);
constexpr std::size_t kLargeFrame = 65'536 - 128;
// TC_PRIO_BULK: behind heartbeats in queues that look at it.
constexpr int kBulk = 2;

// struct virtio_net_hdr, whose header no C++ compiler takes.
struct Offload {
  std::uint8_t flags = 0;
  std::uint8_t kind = 0;
  std::uint16_t header_bytes = 0;
  std::uint16_t frame_bytes = 0;
  std::uint16_t sum_from = 0;
  std::uint16_t sum_at = 0;
};
static_assert(sizeof(Offload) == 10);

// A frame as it is handed to the kernel: what to do with it, its header, its packet.
struct Outgoing {
  Offload offload;
  std::array<std::uint8_t, kSuperHeader> header;
  std::array<iovec, 3> parts;

  void set(std::size_t header_bytes, ConstBytes packet) {
    parts = {{{&offload, sizeof offload},
              {header.data(), header_bytes},
              {const_cast<std::uint8_t*>(packet.data()), packet.size()}}};
  }
  void set_plain(const Mac& to, const Mac& from, FrameKind kind, std::uint16_t channel,
                 ConstBytes packet) {
    write_plain(std::span(header).first<kPlainHeader>(), to, from, kind, channel, packet.size());
    offload = {};
    set(kPlainHeader, packet);
  }
  void set_super(const Mac& to, const Mac& from, FrameKind kind, std::uint16_t channel,
                 std::uint32_t number, std::size_t mtu, ConstBytes packet) {
    constexpr std::uint8_t kNeedsSum = 1;
    constexpr std::uint8_t kTcpv4 = 1;
    write_super(header, to, from, kind, channel, number, packet.size());
    offload = {.flags = kNeedsSum,
               .kind = kTcpv4,
               .header_bytes = kSuperHeader,
               .frame_bytes = static_cast<std::uint16_t>(mtu - kTcpIpBytes),
               .sum_from = kEthernetBytes + 20,
               .sum_at = 16};
    set(kSuperHeader, packet);
  }
};

Result<Fd> open_sender(std::size_t send_bytes) {
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    return fail(errno, "open a raw socket (needs CAP_NET_RAW)");
  }
  const int one = 1;
  if (setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) != 0) {
    return fail(errno, "send with virtio-net headers");
  }
  const int bytes = static_cast<int>(send_bytes / 2);  // the kernel doubles it
  if (setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  setsockopt(socket.get(), SOL_SOCKET, SO_PRIORITY, &kBulk, sizeof kBulk);
  return socket;
}

}  // namespace

Result<std::unique_ptr<PacketLink>> open_packet(loop::Loop& loop, PacketOptions options) {
  CB_TRY(link, Packet::open(loop, std::move(options)));
  return std::unique_ptr<PacketLink>(std::move(link));
}

Result<std::unique_ptr<Packet>> Packet::open(loop::Loop& loop, PacketOptions options) {
  CB_TRY(small, Ring::open(options.channel));
  CB_TRY(large, Ring::open(options.channel));
  CB_TRY(sender, open_sender(options.send_bytes));
  std::unique_ptr<Packet> link(
      new Packet(loop, std::move(options), std::move(small), std::move(large), std::move(sender)));
  if (auto started = link->start(); !started) {
    return in("link on " + link->options_.interface, std::move(started).error());
  }
  return link;
}

Packet::Packet(loop::Loop& loop, PacketOptions options, Ring small, Ring large, Fd sender)
    : loop_(loop),
      options_(std::move(options)),
      small_(std::move(small)),
      large_(std::move(large)),
      sender_(std::move(sender)),
      peer_(options_.peer) {
  batch_.reserve(kBatch);
}

Result<> Packet::start() {
  CB_TRY_DO(large_.shape(kEthernetBytes + kSuperMtuMin, kLargeFrame, options_.ring_bytes));
  CB_TRY(interface, Interface::open(loop_, options_.interface, [this] { on_interface(); }));
  interface_ = std::move(interface);
  CB_TRY(writable, Writable::open(loop_, sender_.get(), [this] {
           if (events_.on_writable) {
             events_.on_writable();
           }
         }));
  writable_ = std::move(writable);
  reshape_and_bind();
  told_max_ = packet_max();
  told_carrier_ = interface_->facts().carrier;
  return {};
}

Packet::~Packet() {
  loop_.unwatch(small_.fd());
  loop_.unwatch(large_.fd());
  loop_.cancel(timer_);
  loop_.cancel(tell_);
  loop_.cancel(rest_);
}

void Packet::listen(Events events) {
  CB_CHECK_MSG(!events_.on_packets, "one listener");
  events_ = std::move(events);
  watch_rings();
  tick();
}

// ---- the interface

void Packet::on_interface() {
  reshape_and_bind();
  kernel_takes_super_ = true;  // another card, another answer
  if (!interface_->facts().carrier) {
    forget_peer();  // the cable may come back with another card at its end
  }
  tell_if_changed();
  if (interface_->facts().carrier && events_.on_packets) {
    greet(true);
  }
}

// The small ring's slots are made for the MTU. Packets that lie in it are lost when it changes.
void Packet::reshape_and_bind() {
  const InterfaceFacts& facts = interface_->facts();
  if (facts.index == bound_ && facts.mtu == shaped_mtu_) {
    return;
  }
  trouble_.clear();
  const auto note = [this](const Result<>& result) {
    if (!result && trouble_.empty()) {
      trouble_ = to_text(result.error());
      log_warning("link on %s: %s", options_.interface.c_str(), trouble_.c_str());
    }
    return result.has_value();
  };
  small_.clear_error();
  large_.clear_error();
  note(small_.bind(0));
  if (facts.index == 0) {
    note(large_.bind(0));
    bound_ = 0;
    shaped_mtu_ = 0;
    return;
  }
  const std::size_t mtu = std::min(facts.mtu, kLargeFrame - kEthernetBytes);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = facts.index;
  const bool sender_bound =
      ::bind(sender_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  // Frames that are longer than the MTU are merged ones.
  if (note(sender_bound ? Result<>() : fail(errno, "bind the socket to send")) &&
      note(small_.shape(0, kEthernetBytes + mtu, options_.ring_bytes)) && note(large_.bind(0)) &&
      note(large_.shape(kEthernetBytes + mtu + 1, kLargeFrame, options_.ring_bytes)) &&
      note(small_.bind(facts.index)) && note(large_.bind(facts.index))) {
    bound_ = facts.index;
    shaped_mtu_ = facts.mtu;
  } else {
    bound_ = 0;  // tried again at the next tick
    shaped_mtu_ = 0;
  }
}

std::size_t Packet::plain_max() const noexcept {
  const std::size_t mtu = std::min(interface_->facts().mtu, kLargeFrame - kEthernetBytes);
  return bound_ == 0 || mtu <= kPlainBytes ? 0 : mtu - kPlainBytes;
}

bool Packet::can_super() const noexcept {
  return options_.superframes == Superframes::Auto && peer_takes_super_ && kernel_takes_super_ &&
         bound_ != 0 && super_max(interface_->facts().mtu) > plain_max() && !peer_.is_zero();
}

std::size_t Packet::packet_max() const {
  return can_super() ? super_max(interface_->facts().mtu) : plain_max();
}

std::size_t Packet::batch_best() const { return can_super() ? 1 : kSendAtOnce; }

void Packet::tell_if_changed() {
  if (packet_max() == told_max_ && interface_->facts().carrier == told_carrier_) {
    return;
  }
  told_max_ = packet_max();
  told_carrier_ = interface_->facts().carrier;
  if (events_.on_changed) {
    events_.on_changed();
  }
}

// ---- getting to know the peer

void Packet::set_peer(const Mac& peer) {
  options_.peer = peer;
  if (peer_ != peer) {
    forget_peer();
  }
  if (events_.on_packets) {
    greet(true);
  }
}

void Packet::forget_peer() noexcept {
  peer_takes_super_ = false;
  peer_ = options_.peer;  // zero: it is looked for again
}

Mac Packet::destination() const noexcept { return peer_.is_zero() ? kEverybody : peer_; }

void Packet::tick() {
  timer_ = loop_.after(kGreetEvery, [this] { tick(); });
  interface_->look();
  reshape_and_bind();
  answers_left_ = kAnswersMax;
  if (boottime_now() - heard_ > kForgetAfter) {
    forget_peer();
  }
  tell_if_changed();
  greet(peer_.is_zero());
}

// A greeting; and a superframe of two frames, so that the peer can say whether such reach it. Where
// the queue is full it is not said this time.
void Packet::greet(bool ask) {
  const InterfaceFacts& facts = interface_->facts();
  if (bound_ == 0 || !facts.carrier) {
    return;
  }
  const Instant now = boottime_now();
  const bool reach = super_heard_ != Instant{} && now - super_heard_ <= kForgetAfter;
  const auto greeting = write_greeting({ask, reach});
  Outgoing out;
  msghdr message{};
  message.msg_iov = out.parts.data();
  message.msg_iovlen = out.parts.size();
  if (options_.superframes == Superframes::Auto && !peer_.is_zero() && super_max(facts.mtu) != 0) {
    const std::vector<std::uint8_t> filling(
        std::min(2 * (facts.mtu - kTcpIpBytes), super_max(facts.mtu)));
    out.set_super(peer_, facts.mac, FrameKind::Probe, options_.channel, ++number_, facts.mtu,
                  filling);
    static_cast<void>(sendmsg(sender_.get(), &message, MSG_DONTWAIT));
  }
  out.set_plain(destination(), facts.mac, FrameKind::Greeting, options_.channel, greeting);
  static_cast<void>(sendmsg(sender_.get(), &message, MSG_DONTWAIT));
}

void Packet::take_greeting(const Frame& frame) {
  const auto greeting = read_greeting(frame.bytes);
  if (!greeting) {
    ++foreign_;
    return;
  }
  const bool is_new = peer_ != frame.source;
  peer_ = frame.source;
  heard_ = loop_.now();
  peer_takes_super_ = greeting->superframes_reach;
  tell_if_changed();
  if ((greeting->answer || is_new) && answers_left_ > 0) {
    --answers_left_;
    greet(false);
  }
}

// ---- receiving

void Packet::watch_rings() {
  loop_.watch(small_.fd(), [this] { on_readable(); });
  loop_.watch(large_.fd(), [this] { on_readable(); });
}

void Packet::on_readable() {
  const std::size_t bytes = drain();
  if (bytes >= kBulkBytes) {
    loop_.unwatch(small_.fd());
    loop_.unwatch(large_.fd());
    rest(bytes < kBytesAtOnce ? kRest : Duration{});
  }
}

// While bulk arrives the rings are looked at now and then. To be woken for every frame would cost
// more than the frame, on a virtual machine the one that sends as well.
void Packet::rest(Duration span) {
  rest_ = loop_.after(span, [this] {
    rest_ = {};
    const std::size_t bytes = drain();
    if (bytes >= kBulkBytes) {
      rest(bytes < kBytesAtOnce ? kRest : Duration{});
    } else {
      watch_rings();
    }
  });
}

// The ring whose front frame came first: a short packet must not seem to overtake the long ones
// that were sent before it, which its acknowledgement would make look lost.
Ring* Packet::oldest(Ring::Seen& seen) {
  Ring::Seen small = small_.front();
  const Ring::Seen large = large_.front();
  if (large.there && !small.there) {
    small = small_.front();  // it may have come between the two looks, and before the long one
  }
  if (!small.there && !large.there) {
    return nullptr;
  }
  const bool small_first = small.there && (!large.there || small.arrived < large.arrived);
  seen = small_first ? small : large;
  return small_first ? &small_ : &large_;
}

std::size_t Packet::drain() {
  std::size_t frames = 0;
  std::size_t bytes = 0;
  std::size_t batch_bytes = 0;
  Ring::Seen seen;
  while (frames < kFramesAtOnce && bytes < kBytesAtOnce) {
    Ring* const ring = oldest(seen);
    if (ring == nullptr) {
      break;
    }
    ++frames;
    bytes += seen.frame.size();
    batch_bytes += seen.frame.size();
    if (!take(seen)) {
      ++foreign_;
    }
    ring->hold();
    if (batch_.size() >= kBatch || batch_bytes >= kBatchBytes || !assembly_.has_room() ||
        ring->held() > ring->slots() / 4) {
      flush();
      batch_bytes = 0;
    }
  }
  flush();
  if (frames == 0) {
    small_.clear_error();
    large_.clear_error();
  }
  return bytes;
}

void Packet::flush() {
  if (!batch_.empty()) {
    received_ += batch_.size();
    events_.on_packets(batch_);
    batch_.clear();
  }
  assembly_.release();
  small_.release();
  large_.release();
}

bool Packet::take(Ring::Seen seen) {
  const auto frame = read_frame(seen.frame, options_.channel);
  if (!frame) {
    return false;
  }
  // Whoever else is on the cable does not take the peer's place while it is heard.
  const bool known = frame->source == peer_;
  if (!known && !peer_.is_zero()) {
    return false;
  }
  heard_ = known ? loop_.now() : heard_;
  if (frame->kind == FrameKind::Greeting) {
    take_greeting(*frame);
    return true;
  }
  if (frame->whole()) {
    whole_ += frame->total != 0;
    take_packet(*frame, frame->bytes);
    return true;
  }
  ++pieces_;
  const std::uint64_t refused_before = assembly_.refused();
  if (const auto packet = assembly_.take(*frame)) {
    take_packet(*frame, *packet);
  }
  return assembly_.refused() == refused_before;
}

void Packet::take_packet(const Frame& frame, ConstBytes bytes) {
  if (frame.total != 0) {
    const bool news = super_heard_ == Instant{} || loop_.now() - super_heard_ > kForgetAfter;
    super_heard_ = loop_.now();
    if (news && answers_left_ > 0) {
      --answers_left_;
      greet(false);
    }
  }
  if (frame.kind == FrameKind::Packet) {
    batch_.push_back(bytes);
  }
}

// ---- sending

std::size_t Packet::send(std::span<const ConstBytes> packets) {
  std::size_t taken = 0;
  bool blocked = false;
  while (taken < packets.size() && !blocked) {
    taken += send_some(packets.subspan(taken), &blocked);
  }
  return taken;
}

std::size_t Packet::send_some(std::span<const ConstBytes> packets, bool* blocked) {
  const InterfaceFacts& facts = interface_->facts();
  if (bound_ == 0) {
    refused_ += packets.size();
    return packets.size();
  }
  std::array<Outgoing, kSendAtOnce> out;
  std::array<mmsghdr, kSendAtOnce> headers{};
  const std::size_t plain = plain_max();
  const std::size_t most = packet_max();
  std::size_t count = 0;
  for (; count < std::min(packets.size(), kSendAtOnce); ++count) {
    const ConstBytes packet = packets[count];
    if (packet.empty() || packet.size() > most) {
      break;
    }
    if (packet.size() <= plain) {
      out[count].set_plain(destination(), facts.mac, FrameKind::Packet, options_.channel, packet);
    } else {
      out[count].set_super(peer_, facts.mac, FrameKind::Packet, options_.channel, ++number_,
                           facts.mtu, packet);
    }
    headers[count].msg_hdr.msg_iov = out[count].parts.data();
    headers[count].msg_hdr.msg_iovlen = out[count].parts.size();
  }
  if (count == 0) {
    ++refused_;  // what the MTU has become too small for
    return 1;
  }
  const int n = sendmmsg(sender_.get(), headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  if (n > 0) {
    sent_ += static_cast<std::size_t>(n);
    return static_cast<std::size_t>(n);
  }
  switch (errno) {
    case EAGAIN:
      writable_->ask();
      *blocked = true;
      return 0;
    case ENOBUFS:  // the interface's queue is full, and does not tell when it is not
      writable_->ask_after(kQueueRetry);
      *blocked = true;
      return 0;
    case EINVAL:
      if (packets[0].size() > plain) {
        log_notice("link on %s: the kernel does not take superframes; sending plain frames",
                   options_.interface.c_str());
        kernel_takes_super_ = false;
        // From a turn of its own: whoever sends does not expect to be called.
        loop_.cancel(tell_);
        tell_ = loop_.after(Duration{}, [this] { tell_if_changed(); });
      }
      break;
    default: break;
  }
  ++refused_;
  return 1;
}

Facts Packet::facts() const {
  const InterfaceFacts& interface = interface_->facts();
  Facts facts;
  facts.name = "packet " + options_.interface;
  if (!trouble_.empty()) {
    facts.how = trouble_;
  } else if (interface.index == 0) {
    facts.how = "no such interface";
  } else if (can_super()) {
    facts.how = interface.segments ? "superframes" : "superframes, cut by the kernel";
  } else if (options_.superframes == Superframes::Never) {
    facts.how = "plain frames, as configured";
  } else if (!kernel_takes_super_) {
    facts.how = "plain frames: the kernel takes no superframes";
  } else if (peer_.is_zero()) {
    facts.how = "plain frames: the peer has not been heard";
  } else {
    facts.how = "plain frames: superframes do not reach the peer";
  }
  if (can_super() && whole_ + pieces_ != 0) {
    facts.how += pieces_ <= whole_ ? "; arriving merged" : "; arriving in pieces";
    if (!interface.merges) {
      facts.how += " (GRO is off)";
    }
  }
  facts.mtu = interface.mtu;
  facts.carrier = interface.carrier;
  facts.sent = sent_;
  facts.received = received_;
  facts.dropped_here = small_.dropped() + large_.dropped();
  facts.refused = refused_;
  facts.foreign = foreign_;
  facts.incomplete = assembly_.incomplete();
  return facts;
}

}  // namespace cb::link
