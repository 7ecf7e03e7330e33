// SPDX-License-Identifier: Apache-2.0
//
// The monitor's side of a replicated volume: keeps its process running, tells it what it is
// (docs/volume-process.md), passes verbs and events on, mounts the file system. It decides nothing
// about who may write: that is the core's, and the register's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/ir.h"
#include "config/volume_folder.h"
#include "core/volume/types.h"
#include "drivers/volume/replicated_file_system.h"
#include "drivers/volume/replicated_json.h"
#include "drivers/volume/replicated_process.h"
#include "drivers/volume/volume.h"

namespace cb::volume {

using core::volume::Register;

// Who answers for the register: the witness, or the monitor itself. `own`: what the volume's record
// says of its copy now. Each done is called once. error: nobody knows; it is asked again.
struct RegisterVoice {
  std::function<void(const OwnCopy& own, std::function<void(int error, const Register& seen)>)>
      read;
  std::function<void(const OwnCopy& own, const Register& expected, const Register& wanted,
                     std::function<void(int error, bool granted)>)>
      swap;
  std::function<void(const OwnCopy& own)> look;  // with every status; may be empty
};

struct ReplicatedOptions {
  std::string program;   // crossbeat-volume
  std::string root;      // of the node; "" is /
  std::string instance;  // the primary's health-monitor address
  core::volume::Node node = 0;
  std::string directory;   // holds one folder for each instance
  std::string log_device;  // block devices in place of files, of a copy that is made; empty: none
  std::string home_device;
  config::Volume volume;
  // Nothing: an unpaired primary, which takes what its folder holds.
  std::optional<config::VolumeId> id;
  std::string front_end = "auto";    // of crossbeat-volume: "auto", "fuse", "ublk"
  bool write_cache = false;          // its device has one
  std::string cpu_latency = "auto";  // or "off", or a duration
  std::string key;                   // of replication, 64 hexadecimal digits
  std::string cable_interface;       // empty: no cable
  std::string address;  // of this node and of its peer on the service network; empty: no
  std::string peer;     // peer
  // Does the peer's monitor answer now? Then a stream that is down is not the peer's death.
  std::function<bool()> peer_is_there = [] { return false; };
  Duration stream_may_break = Duration::from_s(5);  // before that counts
  // After a failure its process has this long to tell the peer, and another one is started after
  // that long, then twice as long, and so on.
  Duration failed_stays = Duration::from_s(1);
  Duration recover_after = Duration::from_s(5);
};

class Replicated final : public Volume {
 public:
  Replicated(loop::Loop& loop, loop::Hands& hands, ReplicatedOptions options,
             RegisterVoice register_voice);
  ~Replicated() override;

  void listen(Events events) override;
  void promote(bool accept_loss, loop::Done done) override;
  void demote(bool hand_over, loop::Done done) override;
  void resync(Resync how, loop::Done done) override;
  void pause(bool on, loop::Done done) override;
  void verify(bool on, loop::Done done) override;
  void resize(std::uint64_t bytes, bool dry_run,
              std::function<void(int error, const std::string& text)> done) override;
  void allow_alone(bool allowed) override;
  void end() override;
  Status status() const override;
  void history(std::function<void(int error, const std::string& json)> done) override;
  void mount(loop::Done done) override;
  void unmount(bool detach, loop::Done done) override;

 private:
  using Answered = std::function<void(int error, const Json& reply)>;

  void look_at_folder();
  void on_folder(int error);
  void create_copy();
  void trouble(const std::string& text);
  // replicated_failure.cpp
  bool may_write() const;
  void note_failure(int error, const std::string& text);
  void on_disk_failed(int error, const std::string& text);
  void recover_later();
  void retire();
  void begin_again();
  void recovered();
  void on_connected();
  void on_lost();
  void on_packet(std::string_view packet);
  void on_event(const std::string& event, const Json& message);
  void on_register(const std::string& what, const Json& message);
  void ask(Json request, Answered answered);
  void ask_status(std::function<void(int error)> then = nullptr);
  void take_status(const Json& status);
  void plan_next_look();
  void judge_step();
  void say_promote();
  void say_alone();
  void on_promoted(int error, const Json& reply);
  void settle();
  void when_settled(std::function<void()> what);
  void demote_now(bool hand_over, loop::Done done);

  loop::Loop& loop_;
  loop::Hands& hands_;
  ReplicatedOptions options_;
  std::string folder_;
  RegisterVoice register_;
  Events events_;
  std::unique_ptr<Process> process_;
  FileSystem file_system_;
  std::map<std::uint64_t, Answered> asked_;
  std::uint64_t last_id_ = 0;
  Status status_;
  VolumeReport report_;
  bool configured_ = false;
  bool settled_ = false;  // it is known whether a process of an earlier life runs
  std::vector<std::function<void()>> waiting_;  // ... for that
  bool serve_ = false;                          // promoted, or to be
  bool accept_loss_ = false;
  bool promoting_ = false;  // asked, and not answered
  std::vector<loop::Done> promote_done_;
  bool alone_ = false;      // may acknowledge alone
  bool following_ = false;  // somebody else writes: in step means with them
  bool ended_ = false;
  std::optional<bool> told_in_step_;
  Instant unheard_since_ = Instant::never();  // the writer's volume, by ours
  std::string trouble_;
  unsigned tries_ = 0;  // to go on after a failure
  Instant configured_at_;
  bool looking_ = false;                  // at the folder
  bool take_all_ = false;                 // of the peer's, as soon as a process is there to do it
  std::optional<std::uint64_t> copy_on_;  // the file system on which this node's copy was seen
  loop::TimerId recovery_timer_;
  loop::TimerId look_timer_;
  loop::TimerId folder_timer_;
  loop::Leash leash_;
};

}  // namespace cb::volume
