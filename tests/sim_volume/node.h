// SPDX-License-Identifier: Apache-2.0
//
// One node: the production core, and fake edges that do what its actions say.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/volume/scan.h"
#include "core/volume/step.h"
#include "core/volume/superblock.h"
#include "tests/sim_volume/disk.h"
#include "tests/sim_volume/world.h"

namespace cb::sim_volume {

struct StoredBatch {
  volume::BatchHeader header;
  std::vector<uint64_t> stamps;
};

class Node {
 public:
  static constexpr std::size_t kVolumeBlocks = 512;
  static constexpr std::size_t kBlocksPerExtent = volume::kExtent / volume::kBlock;
  static constexpr std::size_t kBlocksPerStretch = volume::kStretch / volume::kBlock;

  Node(World& world, int id);

  void format(const volume::Record& record);
  void start();
  void kill();       // the process; what it wrote stays in the kernel
  void power_off();  // the machine
  void event(volume::Event event);
  void deliver(const Packet& packet);
  void link(bool up);
  void work();  // the front end: some writes, perhaps a flush
  void flush();
  void rot();  // of something that the log holds durably
  void compare(uint64_t stretch);

  bool up() const { return up_; }
  int id() const { return id_; }
  const volume::State& state() const { return s_; }
  bool serving() const { return up_ && s_.stage == volume::Stage::Serving; }
  bool promoting() const { return up_ && s_.stage == volume::Stage::Promoting; }
  bool failed() const { return up_ && s_.failed; }
  bool writes_idle() const { return flushes_.empty(); }
  std::size_t flushes_answered() const { return flushes_answered_; }
  std::string describe() const;
  std::string name() const { return id_ == 0 ? "A" : "B"; }
  // What the volume holds, from the disks alone: the home image and the log behind its checkpoint.
  std::optional<Content> content() const;
  volume::Digest digest_at(volume::Position position) const;
  bool demoted = false;  // the last DemoteDone said 0
  int promote_error = 0;
  bool full = false;  // no space in the home image

 private:
  struct Write {
    std::size_t block = 0;
    uint64_t stamp = 0;
  };
  struct WaitingFlush {
    uint64_t request = 0;
    std::vector<std::pair<std::size_t, uint64_t>> writes;
  };

  void later(Duration least, Duration most, std::function<void()> what);
  void later(std::function<void()> what);
  void run(const volume::Actions& actions);
  void run(const volume::Action& action);
  void schedule_tick();
  std::optional<StoredBatch> read_batch(volume::Position position) const;
  Cell& unused();
  void append(const volume::Action& action);
  void sync(const volume::Action& action);
  void sync_later(uint64_t from, uint64_t to, const volume::Event& answer);
  void record();
  void apply(const volume::Action& action);
  void fold(const volume::Action& action);
  void send(volume::Action action);
  void send_extent(const volume::Action& action);
  void write_extent(const volume::Action& action);
  void protect(const volume::Action& action);
  void read_sums(const volume::Action& action);
  void grow(const volume::Action& action);
  void compare_sums(const volume::Action& action);
  void say(const volume::Message& message, const StoredBatch* batch,
           const std::vector<uint64_t>& stamps);
  void answer_flushes(const volume::Action& action);
  void check_disks(const char* when);
  void spoil(volume::Event& event, std::optional<volume::BatchHeader>& batch);
  std::size_t blocks() const {
    return static_cast<std::size_t>(s_.record.volume_length / volume::kBlock);
  }
  std::size_t ring_block(volume::Position position) const;
  volume::Record load(bool& map_fine);
  std::size_t map_blocks() const { return 1; }

  World& w_;
  int id_;
  bool up_ = false;
  uint64_t life_ = 0;
  bool killed_cleanly_ = false;
  volume::Position answered_ = 0;  // writes up to here were answered in the last life
  Disk super_{2};
  Disk map_disk_{2};
  Disk ring_;
  Disk home_{kVolumeBlocks};
  std::optional<Disk> protected_;
  std::optional<volume::Record> kept_;  // what that holds
  volume::State s_;
  std::vector<uint64_t> map_words_;
  std::array<std::vector<uint64_t>, volume::kSlots> payloads_;
  std::vector<uint64_t> composing_;
  std::vector<uint64_t> heard_;  // payload of the message at hand
  std::vector<std::pair<volume::Position, volume::Digest>> shadow_;  // ends of batches in our log
  std::vector<uint64_t> own_sums_;                                   // of a stretch, and the peer's
  std::vector<uint64_t> their_sums_;
  uint64_t comparing_ = 0;  // the stretch
  volume::Digest base_digest_;
  volume::Position base_ = 0;
  std::vector<std::pair<std::size_t, uint64_t>> written_;
  std::deque<WaitingFlush> flushes_;
  uint64_t flush_requests_ = 0;
  std::size_t flushes_answered_ = 0;
  volume::Position slow_from_ = UINT64_MAX;
  Instant tick_at_ = Instant::never();
};

}  // namespace cb::sim_volume
