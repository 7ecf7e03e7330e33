// SPDX-License-Identifier: Apache-2.0
//
// The raw link on the cable. Two receive rings, one for frames up to the MTU and one for merged
// superframes; one socket to send through the interface's queue (a superframe that the card cannot
// cut is cut there). Once a second both ends greet each other: that teaches them their addresses,
// and a superframe sent along proves, or not, that superframes reach the other.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "drivers/link/assembly.h"
#include "drivers/link/interface.h"
#include "drivers/link/list.h"
#include "drivers/link/ring.h"
#include "drivers/link/writable.h"

namespace cb::link {

class Packet final : public PacketLink {
 public:
  static Result<std::unique_ptr<Packet>> open(loop::Loop& loop, PacketOptions options);
  ~Packet() override;

  void listen(Events events) override;
  std::size_t packet_max() const override;
  std::size_t batch_best() const override;
  std::size_t send(std::span<const ConstBytes> packets) override;
  Facts facts() const override;
  void set_peer(const Mac& peer) override;

 private:
  Packet(loop::Loop& loop, PacketOptions options, Ring small, Ring large, Fd sender);
  Result<> start();
  void on_interface();
  void reshape_and_bind();
  void tell_if_changed();
  void tick();
  void greet(bool ask);
  void forget_peer() noexcept;
  void on_readable();
  void watch_rings();
  void rest(Duration span);
  std::size_t drain();
  Ring* oldest(Ring::Seen& seen);
  bool take(Ring::Seen seen);
  void take_packet(const Frame& frame, ConstBytes bytes);
  void take_greeting(const Frame& frame);
  void flush();
  std::size_t send_some(std::span<const ConstBytes> packets, bool* blocked);
  bool can_super() const noexcept;
  Mac destination() const noexcept;
  std::size_t plain_max() const noexcept;

  loop::Loop& loop_;
  PacketOptions options_;
  Events events_;
  std::unique_ptr<Interface> interface_;
  Ring small_;
  Ring large_;
  Fd sender_;
  std::unique_ptr<Writable> writable_;
  loop::TimerId timer_;
  loop::TimerId tell_;
  loop::TimerId rest_;          // set: the rings are looked at when it ends, not when they fill
  int bound_ = 0;               // the index that the sockets are bound to
  std::size_t shaped_mtu_ = 0;  // the MTU that the rings are made for
  std::string trouble_;         // why nothing goes, for facts

  Mac peer_;  // zero: not known yet
  bool peer_takes_super_ = false;
  bool kernel_takes_super_ = true;
  Instant heard_;        // a frame of the peer
  Instant super_heard_;  // a superframe of the peer, whole
  int answers_left_ = 0;
  std::uint32_t number_ = 0;  // of superframes

  Assembly assembly_;
  std::vector<ConstBytes> batch_;
  std::size_t told_max_ = 0;
  bool told_carrier_ = false;

  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t foreign_ = 0;
  std::uint64_t whole_ = 0;  // superframes that came in one piece
  std::uint64_t pieces_ = 0;
};

}  // namespace cb::link
