// SPDX-License-Identifier: Apache-2.0
//
// One node: a production core, the bytes of its streams, and an application that gives numbered
// messages and counts what it gets.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "core/transport/step.h"
#include "tests/sim_transport/options.h"

namespace cb::sim_transport {

class World;

// On the wire.
struct Wire {
  enum class Kind : uint8_t { Open, Accept, Data } kind = Kind::Data;
  int from = 0;
  int path = 0;
  uint64_t session = 0;
  uint64_t number = 0;
  uint32_t size = 0;
  std::vector<uint8_t> body;
};

class Node {
 public:
  Node(World& world, int id);

  void start();  // also anew: all is forgotten
  void receive(const Wire& wire);
  void pump();
  void on_link(int path, bool carrier);
  void on_writable() { pump(); }

  bool up() const { return core_->alive; }
  uint64_t session() const { return session_; }
  // Everything that was given in this session has been delivered over there.
  bool all_delivered(const Node& peer) const;
  std::string where() const;
  // Gives messages for as long as this is more than 0.
  int64_t budget = 0;
  bool app_on = true;

 private:
  struct Stamp {
    Instant given;
    uint64_t end = 0;
  };
  void begin(uint64_t session, int path);
  void end();
  void open();
  void tick();
  void arm();
  void feed();
  void give(int klass, std::size_t length);
  void take(const Wire& wire);
  void keep(const core::Outcome& outcome, const core::Frames& frames, const Wire& wire);
  void deliver(int klass);
  void judge_message(int klass, const uint8_t* bytes, uint32_t length);
  void transmit(int path, core::Packet& packet);
  core::Settings settings() const;

  World& world_;
  int id_;
  Prng prng_;
  std::unique_ptr<core::State> core_;
  uint64_t session_ = 0;
  uint64_t opening_ = 0;           // an Open of ours is out
  std::vector<uint64_t> pending_;  // answered, not begun
  unsigned life_ = 0;
  Instant open_at_;
  Instant armed_ = Instant::never();
  Instant feed_at_;
  std::array<std::vector<uint8_t>, core::kClasses> sent_;      // each stream from its beginning
  std::array<std::vector<uint8_t>, core::kClasses> received_;  // rings of the room's size
  std::array<uint64_t, core::kClasses> given_count_{};
  std::array<uint64_t, core::kClasses> taken_count_{};
  std::array<std::vector<Instant>, core::kClasses> given_at_;
  uint64_t numbers_seen_ = 0;  // 1 + the largest packet number sent
  uint64_t sent_again_ = 0;
  int active_before_ = 0;
  core::Packet packet_;
  core::Frames frames_;
};

}  // namespace cb::sim_transport
