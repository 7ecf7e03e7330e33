// SPDX-License-Identifier: Apache-2.0
//
// The transport over real links: the handshake, the seals and the streams' bytes around the core of
// one session (core/transport), which decides what goes when and over which link.
//
// What is asked for in one turn of the loop goes out at its end, in batches; acknowledgements go
// out as soon as a link has handed over what arrived.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "core/transport/step.h"
#include "drivers/link/link.h"
#include "loop/done.h"
#include "loop/loop.h"
#include "transport/opening.h"
#include "transport/ring.h"
#include "transport/seal.h"
#include "transport/transport.h"

namespace cb::transport {

struct Options {
  // The replication key of the pairing (docs/security.md). Copied, and wiped with the transport.
  std::array<std::uint8_t, 32> psk{};
  int node = 0;                // 0: the pair's primary by role, 1: its secondary
  std::uint64_t instance = 0;  // whose volume: several may share a cable
  // In order of preference, the cable first. At most core::transport::kPathsMax.
  std::vector<std::unique_ptr<link::Link>> links;
  // Bytes of each class that may wait to be sent, or to be completed: powers of two, at least
  // 4 MiB each.
  std::array<std::size_t, kPriorities> send_room{4u << 20, 8u << 20, 8u << 20};
  std::array<std::size_t, kPriorities> receive_room{4u << 20, 8u << 20, 8u << 20};
  std::uint8_t ciphers = own_ciphers();    // to offer
  std::uint64_t refused_max = 1ull << 36;  // forgeries that one session bears: RFC 9001, 6.6
  core::transport::Settings settings{};    // receive_room is filled in
};

class Transport final : public Carriage {
 public:
  static Result<std::unique_ptr<Transport>> open(loop::Loop& loop, Options options);
  ~Transport() override;  // says goodbye

  void listen(Calls calls) override;
  std::size_t room(Priority priority) const override;
  void send(Priority priority, std::span<const ConstBytes> parts) override;
  void hurry() override;
  Facts facts() const override;

 private:
  // Packets sealed and not yet taken by the link.
  struct Outbox {
    std::vector<std::uint8_t> bytes;
    std::vector<link::ConstBytes> packets;
    std::size_t used = 0;
    std::size_t taken = 0;
    bool blocked = false;  // until on_writable
  };

  Transport(loop::Loop& loop, Options& options);
  void listen_to(int index);
  void start();

  // opening (sealed.cpp)
  void ask();
  void adopt(Agreed agreed, std::unique_ptr<Opener> opener, int link);
  void end_session(const char* why);
  void on_link_changed(int index);
  void on_tick();
  void arm();
  void wake_soon();

  // in (sealed_in.cpp)
  void on_packets(int index, std::span<const link::ConstBytes> packets);
  void on_packet(int index, ConstBytes packet);
  void on_data(int index, ConstBytes packet, const Header& header);
  bool unseal(Opener& opener, ConstBytes packet, const Header& header, bool ours);
  std::uint8_t* place_for(ConstBytes front);
  void take(int index, ConstBytes packet, const Header& header);
  void deliver(int klass);
  void tell_room();

  // out (sealed_out.cpp)
  void pump();
  bool fill(int index);
  bool flush(int index);
  void add_packet(Outbox& out, const core::transport::Packet& packet);
  std::size_t free_room(int klass) const;

  loop::Loop& loop_;
  core::transport::Settings settings_;
  std::vector<std::unique_ptr<link::Link>> links_;
  std::vector<Outbox> outboxes_;
  std::array<Ring, kPriorities> out_;
  std::array<Ring, kPriorities> in_;
  std::array<std::uint64_t, kPriorities> given_{};  // bytes appended to each stream
  mutable std::array<bool, kPriorities> waited_for_{};
  Opening opening_;
  std::unique_ptr<core::transport::State> core_;
  std::optional<Sealer> sealer_;
  std::unique_ptr<Opener> opener_;
  Agreed agreed_;  // without its keys
  Calls calls_;
  std::uint64_t refused_max_;
  bool up_ = false;
  bool pumping_ = false;
  bool in_packets_ = false;
  bool pump_again_ = false;
  loop::TimerId timer_;
  loop::TimerId soon_;
  core::transport::Frames frames_;     // of the packet at hand
  core::transport::Packet packet_;     // the one being made
  std::vector<std::uint8_t> scratch_;  // what was unsealed, but for data that is at its place
  Place place_;
  std::size_t body_size_ = 0;      // of the packet at hand
  bool may_place_ = false;         // its data may go straight to its place
  bool in_place_ = false;          // its data is where it belongs, frames_ says where
  Facts totals_;                   // of all sessions
  std::uint64_t refused_now_ = 0;  // of this session
  loop::Leash leash_;
};

}  // namespace cb::transport
