// SPDX-License-Identifier: Apache-2.0
//
// The volume process: one engine, its control socket and what the monitor configured. Nothing is
// opened for writing before that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "drivers/volume/front_end.h"
#include "loop/hands.h"
#include "loop/loop.h"
#include "replication/control.h"
#include "replication/engine.h"
#include "replication/keep_awake.h"
#include "replication/progress.h"
#include "replication/settings.h"

namespace cb::replication {

// What the kernel refused this process (errnos, 0: nothing), so that its writes may come to wait
// for memory that is freed by nothing but its writes.
struct Memory {
  int io_flusher_error = 0;
  int lock_error = 0;
};

// What the process is given by its main program: the back ends that it knows by their interfaces.
struct Makers {
  // instance: the same number on both nodes, and no other pair's.
  std::function<Result<std::unique_ptr<transport::Carriage>>(loop::Loop&, const Settings&,
                                                             std::uint64_t instance)>
      carriage;
  std::function<Result<std::unique_ptr<volume::FrontEnd>>(loop::Loop&, const Settings&)> front_end;
  // Whether an earlier process left its device behind.
  std::function<bool()> left_behind = [] { return false; };
  Memory memory;
};

struct Places {
  std::string root;
  std::string instance;
  std::string socket() const { return root + "/run/crossbeat/volume-" + instance + ".sock"; }
  std::string device_folder() const { return root + "/run/crossbeat/volume-" + instance; }
  std::string lock() const { return root + "/run/crossbeat/volume-" + instance + ".lock"; }
};

class Process {
 public:
  // EBUSY: another process has this volume.
  static Result<std::unique_ptr<Process>> open(loop::Loop& loop, loop::Hands& hands,
                                               const Places& places, Makers makers);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Asked to end, and what was to be said is said.
  bool ended() const;
  // SIGTERM: ends at once. The disks and the core bear that.
  void end() { ending_ = true; }
  Json status() const;

 private:
  using Id = std::uint64_t;
  struct Verb {
    Id id = 0;
    std::uint64_t connection = 0;
  };

  Process(loop::Loop& loop, loop::Hands& hands, Makers makers)
      : loop_(loop), hands_(hands), makers_(std::move(makers)) {}

  void on_packet(const Json& packet);
  void on_verb(Id id, const std::string& verb, const Json& packet);
  void on_register(const Json& packet);
  void on_gone();
  void reply(const Verb& verb, int error, const std::string& text = {});
  void reply_all(std::vector<Verb>& verbs, int error, const std::string& text = {});
  void configure(const Verb& verb, const Json& packet);
  void start_engine(OpenFiles files, const Found& found);
  void on_started(const Verb& verb, int error, const std::string& text);
  EngineCalls engine_calls();
  void on_promoted(int error);
  void attach();
  void demote(const Verb& verb, bool hand_over);
  void take(volume::Request request);
  void detach(bool hand_over);
  void remove_left_behind();
  void event(Json packet);
  void resize(const Verb& verb, std::uint64_t bytes, bool dry_run);
  void on_resized(int error, bool at_peer);
  void end_resize(int error, const std::string& text);
  void watch_progress();
  std::uint64_t ask_register(Json packet);
  void register_unanswered(std::uint64_t number);
  bool writes() const;

  loop::Loop& loop_;
  loop::Hands& hands_;
  Makers makers_;
  Fd lock_;
  std::unique_ptr<ControlSocket> control_;
  std::uint64_t connection_ = 1;  // counts, so that an answer goes to whom it belongs
  bool configured_ = false;       // on this connection
  std::optional<Settings> settings_;
  bool starting_ = false;
  std::vector<Verb> configuring_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<KeepAwake> awake_;
  std::unique_ptr<transport::Carriage> carriage_;
  std::unique_ptr<volume::FrontEnd> front_end_;
  std::unique_ptr<Engine> engine_;
  bool attached_ = false;
  bool attaching_ = false;
  bool promoted_ = false;
  std::vector<Verb> promoting_;
  std::vector<Verb> demoting_;
  std::vector<Verb> discarding_;
  std::uint64_t asked_ = 0;      // register requests
  std::uint64_t asked_now_ = 0;  // the one outstanding, 0: none
  bool asked_swap_ = false;
  loop::TimerId asked_timer_;
  core::volume::Stall stall_ = core::volume::Stall::None;
  struct Resize {
    bool running = false;
    std::uint64_t bytes = 0;  // 0: none was asked for in this life
    int error = 0;
    std::string text;
  };
  Resize resize_;
  Progress progress_;
  loop::TimerId progress_timer_;
  bool ending_ = false;
  loop::Leash leash_;
};

}  // namespace cb::replication
