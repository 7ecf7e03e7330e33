// SPDX-License-Identifier: Apache-2.0
//
// Engine: owns the core of one volume (core/volume/step.h) and does what its actions say. It keeps
// every payload, drives the disks, carries messages and serves the front end's requests. All in the
// loop's thread; nothing blocks. A step is never taken within a step: what happens meanwhile waits.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/volume/step.h"
#include "loop/hands.h"
#include "replication/comparing.h"
#include "replication/desk.h"
#include "replication/files.h"
#include "replication/mending.h"
#include "replication/protection.h"
#include "transport/transport.h"

namespace cb::replication {

struct EngineDisks {
  std::unique_ptr<Disk> superblock, map, log, home;
  Fd sums;  // of the home image; may be invalid
};

// What the engine tells; in the loop's thread, never within a call into it but for works().
struct EngineCalls {
  std::function<void(std::uint64_t id, int error)> answer;  // to the front end
  std::function<void(int error)> promoted;                  // 0: reads and writes are served
  std::function<void(int error)> demoted;
  std::function<void(int error)> discarded;
  std::function<void(bool)> in_step;
  std::function<void()> deposed;
  std::function<void(core::volume::Stall)> stalled;
  std::function<void(int error)> disk_failed;
  // A comparison of the images ended, or found the first difference.
  std::function<void(bool ended)> compared = [](bool) {};
  std::function<void(int error, bool at_peer)> resized = [](int, bool) {};
  std::function<void()> works = [] {};  // there is a batch: within a call into it
  std::function<void()> read_register;
  std::function<void(const core::volume::Register& expected, const core::volume::Register& wanted)>
      swap_register;
};

struct Counts {
  std::uint64_t heard = 0;
  std::uint64_t malformed = 0;  // messages that no honest peer sends
  std::uint64_t spoiled = 0;    // batches and extents whose data is not what was said
  std::uint64_t batches_sent = 0;
  std::uint64_t extents_sent = 0;
  std::uint64_t extents_written = 0;
  std::uint64_t superblocks = 0;
  std::uint64_t syncs = 0;
};

class Engine {
 public:
  Engine(loop::Loop& loop, loop::Hands& hands, EngineDisks disks, transport::Carriage& carriage,
         const core::volume::Settings& settings, const std::string& folder, EngineCalls calls);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Once, first. session and seed: random, not 0.
  void start(const Found& found, std::uint64_t session, core::volume::Generation seed);

  void take(const volume::Request& request) { desk_->take(request); }
  // All requests from now on, until it is promoted.
  void refuse(int error) { desk_->refuse(error); }

  void promote(bool accept_loss);
  void demote(bool hand_over);
  void go_alone();
  void discard();
  void pause(bool on);
  // As if the way to the peer had gone and come back: both say anew what they have.
  void agree_anew();
  void set_mode(core::volume::Mode mode);
  // Compares all of both images, at the writer. errno when that cannot be begun.
  int verify();
  void end_verify();
  // Makes the volume longer on both nodes; resized() tells the end.
  void resize(std::uint64_t bytes);

  void register_read(int error, const core::volume::Register& seen);
  void register_swapped(int error, bool granted);

  const core::volume::State& state() const noexcept { return s_; }
  const Counts& counts() const noexcept { return counts_; }
  const char* protection() const noexcept { return protection_->name(); }
  // What the image that is kept aside during a copy holds, where that is known.
  std::optional<core::volume::Position> kept_position() const;
  int disk_error() const noexcept { return disk_error_; }
  const Sums& sums() const noexcept { return *sums_; }  // after start()
  const ScrubFacts& scrub() const noexcept { return mending_->scrub(); }
  CompareFacts comparison() const { return comparing_->facts(); }
  bool paused() const noexcept { return paused_; }
  std::uint64_t bytes_behind() const;  // that the follower, or this follower, still lacks
  bool serves() const noexcept { return view_ready_; }
  std::size_t requests_waiting() const noexcept { return desk_->waiting(); }
  // Nothing is on its way to a disk, so that the process may end.
  bool idle() const noexcept { return disk_work_ == 0; }

 private:
  // engine.cpp
  void event(const core::volume::Event& event);
  void step(const core::volume::Event& event);
  void run(const core::volume::Actions& actions);
  void run(const core::volume::Action& action);
  void after_step();
  void tell(std::function<void()> call);
  void schedule_tick();
  void build_view();
  void failed();

  // engine_disk.cpp
  void append(const core::volume::Action& action);
  void sync(const core::volume::Action& action);
  void record();
  void apply(const core::volume::Action& action);
  void start_apply();
  bool apply_is_urgent() const;
  void sync_home(const core::volume::Action& action);
  void fold(const core::volume::Action& action);
  void fold_more(core::volume::Position at, core::volume::Position to, int slot,
                 core::volume::Digest digest);
  void write_map(core::volume::Position to, int slot, core::volume::Digest digest);
  void grow(const core::volume::Action& action);
  void length_changed();
  void write_extent(const core::volume::Action& action);
  void restore_image();

  // engine_peer.cpp
  void listen();
  void heard(transport::ConstBytes bytes);
  bool must_wait(const core::volume::BatchHeader& batch) const;
  void take_waiting();
  void say(transport::Priority priority, const core::volume::Message& message,
           const core::volume::BatchHeader* batch, std::span<const std::byte> payload);
  void send(const core::volume::Action& action);
  void pump_send();
  void send_batches(const std::vector<BatchPtr>& batches);
  void send_extent(const core::volume::Action& action);
  void pump_extents();
  Comparing::Calls comparing_calls();

  loop::Loop& loop_;
  loop::Hands& hands_;
  std::string folder_;
  EngineCalls calls_;
  EngineDisks disks_;
  transport::Carriage& carriage_;
  Pool pool_;
  core::volume::Settings settings_;
  core::volume::State s_;
  std::vector<std::uint64_t> map_words_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Sums> sums_;
  std::unique_ptr<Home> home_;
  std::unique_ptr<Protection> protection_;
  View view_;  // only while this node serves: [applied, issued)
  bool view_ready_ = false;
  bool view_building_ = false;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<Mending> mending_;
  std::unique_ptr<Comparing> comparing_;
  bool forget_sums_ = false;  // before the superblock says that there is an image
  bool doubts_ = true;        // the image is not yet what the log says since the checkpoint
  core::volume::Position found_end_ = 0;

  bool stepping_ = false;
  std::deque<core::volume::Event> events_;
  std::deque<std::function<void()>> told_;
  core::volume::Position issued_before_ = 0;
  std::uint64_t copying_before_ = 0;
  bool failed_told_ = false;
  int disk_error_ = 0;
  loop::TimerId tick_;
  Instant last_tick_;
  int disk_work_ = 0;
  int extents_writing_ = 0;
  bool restoring_ = false;  // once no extent is being written

  // Batches of the peer for which the core has no slot yet, one behind the other.
  struct Waiting {
    core::volume::Message message;
    core::volume::BatchHeader batch;
    BufferPtr payload;
  };
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool taking_ = false;
  std::span<const std::byte> payload_heard_;  // of the message at hand
  core::volume::Action applying_;
  bool apply_waits_ = false;
  loop::TimerId apply_timer_;

  core::volume::Action sending_;
  core::volume::Position sent_to_ = 0;
  bool hurry_ = false;  // the peer's way is longer than that to our own disk: it goes first
  bool send_active_ = false;
  bool send_fetching_ = false;
  std::deque<core::volume::Message> extents_;
  int extents_reading_ = 0;
  std::uint64_t extents_left_ = 0;  // as the peer said: of a copy into this node
  bool paused_ = false;

  Counts counts_;
  loop::Leash leash_;
};

}  // namespace cb::replication
