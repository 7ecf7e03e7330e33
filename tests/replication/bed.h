// SPDX-License-Identifier: Apache-2.0
//
// A pair of engines in one process: real files, a carriage of two queues that loses and can be cut,
// a register, and a front end that writes at random and knows what it must read.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "loop/hands.h"
#include "loop/loop.h"
#include "replication/engine.h"
#include "replication/files.h"

namespace cb::replication {

namespace core = cb::core::volume;

inline constexpr std::uint64_t kVolume = 16u << 20;
inline constexpr std::uint64_t kLog = 8u << 20;

// Passes everything on, but for what it is told to fail.
class FaultyDisk final : public Disk {
 public:
  FaultyDisk(loop::Loop& loop, std::unique_ptr<Disk> disk) : loop_(loop), disk_(std::move(disk)) {}
  void read(std::uint64_t offset, const Slice& into, loop::Done done) override;
  using Disk::write;
  void write(std::uint64_t offset, const Slice& from, loop::Durable durable,
             loop::Done done) override;
  void zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) override;
  void sync(loop::Done done) override;

  int read_error = 0, write_error = 0, sync_error = 0;  // until set back
  int syncs = 0;                                        // those of a durable write among them

 private:
  bool fails(int error, loop::Done& done);

  loop::Loop& loop_;
  std::unique_ptr<Disk> disk_;
};

// Two carriages; what one sends the other hears in a later turn.
class Wire {
 public:
  class End final : public transport::Carriage {
   public:
    End(Wire& wire, int side) : wire_(wire), side_(side) {}
    void listen(transport::Calls calls) override;
    std::size_t room(transport::Priority priority) const override;
    void send(transport::Priority priority, std::span<const transport::ConstBytes> parts) override;
    void hurry() override { ++wire_.hurried; }
    transport::Facts facts() const override;

   private:
    friend class Wire;
    Wire& wire_;
    int side_;
    transport::Calls calls_;
    bool up_ = false;
    std::deque<std::pair<transport::Priority, std::vector<std::uint8_t>>> out_[3];
    std::size_t queued_[3] = {};
    mutable bool full_[3] = {};  // somebody waits for room
  };

  explicit Wire(loop::Loop& loop) : loop_(loop) {}
  // A fresh end, as a process that starts has; the old one goes.
  End& end(int side);
  void remove(int side);
  void cut(bool on);
  void hear(int side, std::span<const std::uint8_t> bytes);  // as if the peer had said it

  int lose_percent = 0;
  std::size_t room = 4u << 20;
  std::uint64_t carried[3] = {};
  int hurried = 0;
  Prng prng{1};

 private:
  void update();
  void deliver();
  void schedule();

  loop::Loop& loop_;
  std::unique_ptr<End> ends_[2];
  bool cut_ = false;
  bool scheduled_ = false;
  std::uint64_t life_ = 0;
};

struct FakeRegister {
  core::Register value;
  bool silent = false;       // nobody answers
  bool no_alone = false;     // nobody knows whether such a swap took place; it does not
  bool lose_answer = false;  // the next swap takes place, and nobody hears of it
  int swaps = 0;
};

class Pair;

class Node {
 public:
  Node(Pair& pair, int id);
  ~Node();

  void start();
  void kill();  // as kill -9: what was given to the kernel stays
  bool up() const { return engine_ != nullptr; }
  Engine& engine() { return *engine_; }
  const core::State& state() const { return engine_->state(); }
  FaultyDisk& log_disk() { return *faulty_[2]; }
  FaultyDisk& home_disk() { return *faulty_[3]; }
  FaultyDisk& superblock_disk() { return *faulty_[0]; }
  std::string folder() const { return folder_; }

  // The verbs, waited for. errno.
  int promote(bool accept_loss = false);
  int demote(bool hand_over);
  int discard();

  // Requests, not waited for: answered when done is called.
  using Done = std::function<void(int)>;
  void write(std::uint64_t offset, const std::vector<std::byte>& data, Done done, bool fua = false);
  void zero(std::uint64_t offset, std::uint64_t length, bool discard, Done done);
  void flush(Done done);
  void read(std::uint64_t offset, std::uint64_t length,
            std::function<void(int, const std::vector<std::byte>&)> done);
  // ... and waited for.
  int write(std::uint64_t offset, const std::vector<std::byte>& data);
  int flush();
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t length);
  std::size_t outstanding() const { return requests_.size(); }
  // The whole volume as its files make it, without the engine.
  std::vector<std::byte> content_on_disk() const;

  bool in_step = false;
  bool deposed = false;
  bool compared = false;       // something was told of a comparison
  std::optional<int> resized;  // what the last resize came to
  bool resized_at_peer = false;
  int disk_failed = 0;
  core::Stall stall = core::Stall::None;

 private:
  struct Held {
    std::vector<std::byte> data;
    std::function<void(int, const std::vector<std::byte>&)> done;
  };
  void take(volume::Request request, std::vector<std::byte> data,
            std::function<void(int, const std::vector<std::byte>&)> done);

  Pair& pair_;
  int id_;
  std::string folder_;
  std::unique_ptr<Pool> pool_;
  std::array<FaultyDisk*, 4> faulty_{};
  std::unique_ptr<Engine> engine_;
  std::uint64_t ids_ = 0;
  std::map<std::uint64_t, Held> requests_;
  std::optional<int> promoted_, demoted_, discarded_;
};

class Pair {
 public:
  explicit Pair(std::uint64_t volume_bytes = kVolume, std::uint64_t log_bytes = kLog);
  ~Pair();

  // Turns the loop until it is so; false after 20 seconds.
  bool until(const std::function<bool()>& condition);
  void turn();
  void tell() const;
  Node& a() { return *nodes_[0]; }
  Node& b() { return *nodes_[1]; }
  // Both started, a writes, and both are in step.
  void bring_into_step();
  bool both_in_step() { return a().in_step && b().in_step; }

  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
  std::string root;
  std::unique_ptr<Wire> wire;
  FakeRegister registered;
  core::Settings settings;
  Prng prng{7};

 private:
  std::unique_ptr<Node> nodes_[2];
};

std::vector<std::byte> random_bytes(Prng& prng, std::size_t length);
std::vector<std::byte> filled(std::size_t length, int value);

}  // namespace cb::replication
