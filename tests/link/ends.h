// SPDX-License-Identifier: Apache-2.0
//
// Two ends of a link over the veth pair of tests/edge/bed.h, `near` in this thread's namespace and
// `far` in the peer's, turned by one loop.
#pragma once

#include <linux/if_link.h>

#include <algorithm>
#include <map>

#include "bpf/crossbeat_wire.h"
#include "direct.skel.h"
#include "drivers/link/list.h"
#include "tests/edge/bed.h"

namespace cb::test {

// The heartbeats' program on an interface, natively; detached with the namespace.
class Xdp {
 public:
  Xdp(const char* interface, bool frags) : skeleton_(direct_bpf__open()) {
    EXPECT_NE(skeleton_, nullptr);
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, skeleton_->obj) {
      EXPECT_EQ(bpf_map__set_pin_path(map, nullptr), 0);
    }
    if (frags) {
      bpf_program__set_flags(skeleton_->progs.cb_direct, BPF_F_XDP_HAS_FRAGS);
    }
    EXPECT_EQ(direct_bpf__load(skeleton_), 0);
    const std::uint32_t zero = 0;
    struct cb_node node {};
    node.udp_port = CB_UDP_PORT_DEFAULT;
    EXPECT_EQ(bpf_map__update_elem(skeleton_->maps.cb_node, &zero, sizeof zero, &node, sizeof node,
                                   BPF_ANY),
              0);
    EXPECT_EQ(
        bpf_xdp_attach(static_cast<int>(if_nametoindex(interface)),
                       bpf_program__fd(skeleton_->progs.cb_direct), XDP_FLAGS_DRV_MODE, nullptr),
        0);
  }
  ~Xdp() { direct_bpf__destroy(skeleton_); }
  Xdp(const Xdp&) = delete;
  Xdp& operator=(const Xdp&) = delete;
  const bpf_program* program() const { return skeleton_->progs.cb_direct; }

 private:
  direct_bpf* skeleton_;
};

struct Cabling {
  std::size_t mtu = 1500;
  bool xdp = false;
  bool gro = false;
};

inline std::string text_of(const Cabling& cabling) {
  return "mtu" + std::to_string(cabling.mtu) + (cabling.xdp ? "_xdp" : "") +
         (cabling.gro ? "_gro" : "");
}

// Sets the pair of a Bed up so.
inline std::vector<std::unique_ptr<Xdp>> cable(Bed& bed, const Cabling& cabling) {
  const std::string mtu = std::to_string(cabling.mtu);
  bed.node("ip link set edg0 mtu " + mtu);
  bed.peer_run("ip link set edg1 mtu " + mtu);
  std::vector<std::unique_ptr<Xdp>> programs;
  if (cabling.xdp) {
    const bool frags = cabling.mtu > 3000;
    programs.push_back(std::make_unique<Xdp>("edg0", frags));
    programs.push_back(bed.in_peer([&] { return std::make_unique<Xdp>("edg1", frags); }));
  }
  const std::string gro = cabling.gro ? " gro on" : " gro off";
  bed.node("ethtool -K edg0" + gro);
  bed.peer_run("ethtool -K edg1" + gro);
  return programs;
}

// One end: keeps what arrives, and sends what did not go at once when there is room.
class End {
 public:
  End(loop::Loop& loop, std::unique_ptr<link::Link> of) : loop_(loop), link_(std::move(of)) {
    link_->listen({.on_packets =
                       [this](std::span<const link::ConstBytes> packets) {
                         for (const link::ConstBytes packet : packets) {
                           ++received_;
                           if (keeps) {
                             arrived.emplace_back(packet.begin(), packet.end());
                           }
                         }
                       },
                   .on_writable = [this] { push(); },
                   .on_changed = [this] { ++changes; }});
  }

  link::Link& link() { return *link_; }
  link::Facts facts() const { return link_->facts(); }
  void send(std::vector<Bytes> packets) {
    std::ranges::move(packets, std::back_inserter(waiting_));
    push();
  }
  bool idle() const { return waiting_.empty(); }
  std::size_t received() const { return received_; }

  std::vector<Bytes> arrived;
  bool keeps = true;
  int changes = 0;

 private:
  void push() {
    std::vector<link::ConstBytes> spans(waiting_.begin(), waiting_.end());
    const std::size_t taken = link_->send(spans);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  }

  loop::Loop& loop_;
  std::unique_ptr<link::Link> link_;
  std::vector<Bytes> waiting_;
  std::size_t received_ = 0;
};

// A packet that says which one it is, in every byte.
inline Bytes packet(std::size_t size, std::size_t number) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 31 + number * 7 + (i >> 8));
  }
  return bytes;
}

// Sends, and waits until all of it has arrived whole, in whatever order.
inline void expect_carried(loop::Loop& loop, End& from, End& to, std::vector<Bytes> packets) {
  to.arrived.clear();
  std::vector<Bytes> wanted = packets;
  from.send(std::move(packets));
  EXPECT_TRUE(turn_until(
      loop, [&] { return to.arrived.size() >= wanted.size(); }, Duration::from_s(3)))
      << to.arrived.size() << " of " << wanted.size() << " arrived";
  std::ranges::sort(wanted);
  std::ranges::sort(to.arrived);
  EXPECT_TRUE(to.arrived == wanted);
  to.arrived.clear();
}

inline std::unique_ptr<link::PacketLink> open_packet_link(loop::Loop& loop,
                                                          link::PacketOptions options) {
  auto link = link::open_packet(loop, std::move(options));
  EXPECT_TRUE(link) << to_text(link.error());
  return std::move(*link);
}

// Both ends of a packet link.
class Pair {
 public:
  explicit Pair(Cabling cabling = {}, link::PacketOptions options = {}) {
    programs_ = cable(bed, cabling);
    options.interface = "edg0";
    auto near_link = open_packet_link(*loop, options);
    near_raw = near_link.get();
    near = std::make_unique<End>(*loop, std::move(near_link));
    options.interface = "edg1";
    far =
        std::make_unique<End>(*loop, bed.in_peer([&] { return open_packet_link(*loop, options); }));
  }

  static bool large(End& end) { return end.link().packet_max() > end.facts().mtu; }
  bool wait_for_superframes() {
    return turn_until(*loop, [&] { return large(*near) && large(*far); });
  }

  Bed bed;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::unique_ptr<End> near, far;
  link::PacketLink* near_raw = nullptr;

 private:
  std::vector<std::unique_ptr<Xdp>> programs_;
};

}  // namespace cb::test
