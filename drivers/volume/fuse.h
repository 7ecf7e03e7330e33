// SPDX-License-Identifier: Apache-2.0
//
// The front end for any kernel: a FUSE file system of one file, the volume, and a loop device with
// direct I/O on it. It speaks the kernel's protocol itself (docs/decisions/, 012). With a
// keeper, a new process goes on where a killed one stopped, on any kernel.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "drivers/volume/errand.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/fuse_mount.h"
#include "drivers/volume/fuse_pool.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::volume {

struct FuseOptions {
  // ROOT/run/crossbeat/volume-INSTANCE: where it is mounted. Its parent is there; beside it are
  // FOLDER.keeper (a socket) and FOLDER.errand (a lock).
  std::string folder;
  // What is executed as keeper and calls run_keeper(); empty: no keeper, and the volume ends with
  // this process.
  std::vector<std::string> keeper;
  // The device is one with a write cache: its users flush it.
  bool write_cache = true;
};

// One process at a time has a folder: the caller holds a lock.
class Fuse final : public FrontEnd {
 public:
  Fuse(loop::Loop& loop, FuseOptions options) : loop_(loop), options_(std::move(options)) {
    facts_.kind = "fuse";
  }
  // Leaves the device as it is: with a keeper the next process goes on with it.
  ~Fuse() override;
  Fuse(const Fuse&) = delete;
  Fuse& operator=(const Fuse&) = delete;

  void attach(std::uint64_t bytes, std::function<void(const Request&)> take,
              loop::Done done) override;
  void answer(std::uint64_t id, int error) override;
  void detach(loop::Done done) override;
  void resize(std::uint64_t bytes, loop::Done done) override;
  bool has_write_cache() const override { return is_attached_ && options_.write_cache; }
  FrontEndFacts facts() const override { return facts_; }

 private:
  // A request that `take` has.
  struct Open {
    bool taken = false;
    Request request;
  };

  std::string keeper_path() const { return options_.folder + ".keeper"; }
  MountPlan plan() const;
  Result<> connect();
  Result<> find_connection();
  Result<> go_on_after_failure();
  // Whether the connection of an earlier process goes on.
  Result<bool> go_on_with(Fd fuse, Fd memory);
  bool is_ended();
  Result<> begin_anew();
  Result<> find_keeper();
  void run_errand(const std::function<Report()>& work, std::function<void(const Report&)> done);
  void on_mounted(const Report& report);
  void on_device(const Report& report);
  void on_flushed(int number, const Report& report, std::uint64_t flushes_before);
  void forget_size();  // that the kernel keeps
  void end_attach(int error, const char* text);
  void try_detach(int tries_left);
  void end_detach();
  void drop_connection();

  // the kernel's requests
  void set_watch(bool on);
  void on_readable();
  bool read_one();
  void on_gone(int error);
  void handle(unsigned slot);
  void on_read(unsigned slot);
  void on_write(unsigned slot);
  void on_fallocate(unsigned slot);
  void pass(unsigned slot, Request request);

  // answered at once: fuse_meta.cpp
  void handle_meta(unsigned slot);
  void on_init(unsigned slot);
  void on_lookup(unsigned slot);
  void on_readdir(unsigned slot);

  // Sends the answer and frees the slot.
  void reply_bytes(unsigned slot, int error, const void* bytes, std::size_t length);
  void reply_error(unsigned slot, int error) { reply_bytes(slot, error, nullptr, 0); }
  template <class T>
  void reply(unsigned slot, const T& body) {
    reply_bytes(slot, 0, &body, sizeof body);
  }
  void drop(unsigned slot) { pool_->release(slot); }  // for what has no answer

  loop::Loop& loop_;
  FuseOptions options_;
  std::uint64_t bytes_ = 0;
  std::function<void(const Request&)> take_;
  loop::Done attached_;
  loop::Done detached_;
  loop::Done resized_;
  Fd fuse_;
  std::optional<FusePool> pool_;
  std::array<Open, kSlots> open_;
  unsigned open_count_ = 0;
  std::uint64_t last_serial_ = 0;
  bool watching_ = false;
  bool is_attached_ = false;
  bool device_gone_ = false;  // detach is waiting for the last answers only
  bool grown_ = false;        // since the kernel was told the size
  std::unique_ptr<Errand> errand_;
  loop::TimerId retry_;
  FrontEndFacts facts_;
};

}  // namespace cb::volume
