// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/ring.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "drivers/link/frame.h"

namespace cb::link {
namespace {

constexpr std::size_t kBlock = 128 * 1024;
// What the kernel puts before the Ethernet header in a slot, and then some.
constexpr std::size_t kSlotOverhead = 128;
static_assert(sizeof(tpacket2_hdr) + sizeof(sockaddr_ll) + 4 * TPACKET_ALIGNMENT <= kSlotOverhead);

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  constexpr std::size_t kAlignment = TPACKET_ALIGNMENT;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// What reaches the ring: frames for us or for everybody, without a VLAN tag, of the lengths, of the
// channel, plain or TCP-shaped. The rest of the reading is in frame.cpp.
Result<> attach_filter(int socket, std::uint16_t channel, std::size_t from, std::size_t to) {
  constexpr std::uint32_t kNowhereWord =
      (std::uint32_t{kNowhere.bytes[0]} << 24) | (std::uint32_t{kNowhere.bytes[1]} << 16) |
      (std::uint32_t{kNowhere.bytes[2]} << 8) | kNowhere.bytes[3];
  constexpr std::uint8_t kNo = 0xff;  // made into jumps to kRefuse below
  constexpr std::size_t kRefuse = 22;
  const auto load = [](std::uint16_t size, std::uint32_t at) {
    return sock_filter{static_cast<std::uint16_t>(BPF_LD | size | BPF_ABS), 0, 0, at};
  };
  const auto jump = [](std::uint16_t test, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
    return sock_filter{static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), yes, no, value};
  };
  const auto extra = [](int what) { return static_cast<std::uint32_t>(SKF_AD_OFF + what); };
  std::array<sock_filter, 24> filter = {{
      load(BPF_W, extra(SKF_AD_VLAN_TAG_PRESENT)),              // 0
      jump(BPF_JEQ, 0, 0, kNo),                                 //
      load(BPF_W, extra(SKF_AD_PKTTYPE)),                       // 2
      jump(BPF_JGT, PACKET_BROADCAST, kNo, 0),                  // host, broadcast
      {BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},                      // 4
      jump(BPF_JGE, static_cast<std::uint32_t>(from), 0, kNo),  //
      jump(BPF_JGT, static_cast<std::uint32_t>(to), kNo, 0),    // 6
      load(BPF_H, 12),                                          //
      jump(BPF_JEQ, kEtherType, 0, 2),                          // 8
      load(BPF_H, kEthernetBytes + 2),                          // the channel
      jump(BPF_JEQ, channel, 12, kNo),                          // 10: to 23
      jump(BPF_JEQ, kEtherTypeIpv4, 0, kNo),                    //
      load(BPF_W, kEthernetBytes + 16),                         // 12
      jump(BPF_JEQ, kNowhereWord, 0, kNo),                      //
      load(BPF_B, kEthernetBytes),                              // 14
      jump(BPF_JEQ, 0x45, 0, kNo),                              //
      load(BPF_B, kEthernetBytes + 9),                          // 16
      jump(BPF_JEQ, 6, 0, kNo),                                 //
      load(BPF_H, kEthernetBytes + 22),                         // 18
      jump(BPF_JEQ, kSuperPort, 0, kNo),                        //
      load(BPF_H, kEthernetBytes + 20),                         // 20
      jump(BPF_JEQ, channel, 1, kNo),                           //
      {BPF_RET | BPF_K, 0, 0, 0},                               // 22: kRefuse
      {BPF_RET | BPF_K, 0, 0, 0x7fffffff},                      // 23
  }};
  for (std::size_t i = 0; i < kRefuse; ++i) {
    if (BPF_CLASS(filter[i].code) == BPF_JMP) {
      const auto away = static_cast<std::uint8_t>(kRefuse - i - 1);
      filter[i].jt = filter[i].jt == kNo ? away : filter[i].jt;
      filter[i].jf = filter[i].jf == kNo ? away : filter[i].jf;
    }
  }
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    return fail(errno, "attach the filter of a receive ring");
  }
  return {};
}

}  // namespace

Result<Ring> Ring::open(std::uint16_t channel) {
  // Protocol 0: nothing is received before it is bound.
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    return fail(errno, "open a raw socket (needs CAP_NET_RAW)");
  }
  const int version = TPACKET_V2;
  if (setsockopt(socket.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) {
    return fail(errno, "choose the kind of receive ring");
  }
  const int one = 1;
  // Needs 4.20. Without it the filter, which wants frames for us, keeps our own away.
  setsockopt(socket.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  return Ring(std::move(socket), channel);
}

Ring::Ring(Ring&& other) noexcept
    : socket_(std::move(other.socket_)),
      channel_(other.channel_),
      memory_(std::exchange(other.memory_, nullptr)),
      memory_bytes_(other.memory_bytes_),
      block_bytes_(other.block_bytes_),
      slot_bytes_(other.slot_bytes_),
      slots_(std::exchange(other.slots_, 0)),
      next_(other.next_),
      held_(other.held_),
      dropped_(other.dropped_) {}

Ring::~Ring() { unmap(); }

void Ring::unmap() noexcept {
  if (memory_ != nullptr) {
    munmap(memory_, memory_bytes_);
    memory_ = nullptr;
  }
  slots_ = 0;
  next_ = 0;
  held_ = 0;
}

Result<> Ring::shape(std::size_t from, std::size_t to, std::size_t bytes) {
  unmap();
  tpacket_req request{};
  // Fails when there was no ring, which is as well.
  setsockopt(socket_.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request);
  CB_TRY_DO(attach_filter(socket_.get(), channel_, from, to));
  slot_bytes_ = aligned(to + kSlotOverhead);
  CB_CHECK(slot_bytes_ <= kBlock);
  block_bytes_ = kBlock;
  const std::size_t in_a_block = block_bytes_ / slot_bytes_;
  const std::size_t blocks = std::max<std::size_t>(bytes / block_bytes_, 2);
  request.tp_block_size = static_cast<unsigned>(block_bytes_);
  request.tp_block_nr = static_cast<unsigned>(blocks);
  request.tp_frame_size = static_cast<unsigned>(slot_bytes_);
  request.tp_frame_nr = static_cast<unsigned>(blocks * in_a_block);
  if (setsockopt(socket_.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) {
    return fail(errno, "make a receive ring of " + std::to_string(bytes) + " bytes");
  }
  memory_bytes_ = blocks * block_bytes_;
  void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
  if (memory == MAP_FAILED) {
    return fail(errno, "map the receive ring");
  }
  memory_ = static_cast<std::uint8_t*>(memory);
  slots_ = request.tp_frame_nr;
  return {};
}

Result<> Ring::bind(int index) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = index == 0 ? 0 : __builtin_bswap16(ETH_P_ALL);
  address.sll_ifindex = index;
  if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno, "bind a receive ring to its interface");
  }
  return {};
}

std::uint8_t* Ring::slot(std::size_t i) const noexcept {
  const std::size_t in_a_block = block_bytes_ / slot_bytes_;
  return memory_ + i / in_a_block * block_bytes_ + i % in_a_block * slot_bytes_;
}

Ring::Seen Ring::front() noexcept {
  if (slots_ == 0 || held_ == slots_) {
    return {};
  }
  auto* header = reinterpret_cast<tpacket2_hdr*>(slot(next_));
  const std::uint32_t status =
      std::atomic_ref<std::uint32_t>(header->tp_status).load(std::memory_order_acquire);
  if ((status & TP_STATUS_USER) == 0) {
    return {};
  }
  const std::uint64_t arrived = header->tp_sec * std::uint64_t{1'000'000'000} + header->tp_nsec;
  // Ours to read, but believed only as far as the slot goes.
  const std::size_t at = header->tp_mac;
  const std::size_t length = header->tp_snaplen;
  if (header->tp_len != header->tp_snaplen || at > slot_bytes_ || length > slot_bytes_ - at) {
    return {true, arrived, {}};
  }
  return {true, arrived, ConstBytes(slot(next_) + at, length)};
}

void Ring::hold() noexcept {
  next_ = next_ + 1 == slots_ ? 0 : next_ + 1;
  ++held_;
}

void Ring::release() noexcept {
  std::size_t i = next_ >= held_ ? next_ - held_ : next_ + slots_ - held_;
  for (; held_ > 0; --held_) {
    auto* header = reinterpret_cast<tpacket2_hdr*>(slot(i));
    std::atomic_ref<std::uint32_t>(header->tp_status)
        .store(TP_STATUS_KERNEL, std::memory_order_release);
    i = i + 1 == slots_ ? 0 : i + 1;
  }
}

// Each question sets the kernel's counters back.
std::uint64_t Ring::dropped() const noexcept {
  tpacket_stats stats{};
  socklen_t size = sizeof stats;
  if (getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
    dropped_ += stats.tp_drops;
  }
  return dropped_;
}

// "The interface went down" would keep the descriptor readable for ever.
void Ring::clear_error() noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
}

}  // namespace cb::link
