// SPDX-License-Identifier: Apache-2.0
//
// The front end on the kernel's ublk driver (6.4 and later, where it is built): /dev/ublkbN. The
// device belongs to the kernel and outlives this process; the kernel says again, to the next one,
// what was not answered. docs/decisions/, 014.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/instant.h"
#include "drivers/volume/errand.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/ublk_control.h"
#include "drivers/volume/ublk_slots.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::volume {

struct UblkOptions {
  // ROOT/run/crossbeat/volume-INSTANCE: names the volume. Beside it is FOLDER.ublk, a file that is
  // there while the volume may have a device, with its number.
  std::string folder;
  // The device always says that it has a write cache. Without one, flushes find all of it done.
  bool write_cache = true;
};

// Whether an earlier process left a device of this volume behind. Waits for nobody.
bool has_ublk_left(const std::string& folder);

// One process at a time has a folder: the caller holds a lock.
class Ublk final : public FrontEnd {
 public:
  Ublk(loop::Loop& loop, UblkOptions options);
  // Leaves the device as it is: the next process goes on with it.
  ~Ublk() override;
  Ublk(const Ublk&) = delete;
  Ublk& operator=(const Ublk&) = delete;

  void attach(std::uint64_t bytes, std::function<void(const Request&)> take,
              loop::Done done) override;
  void answer(std::uint64_t id, int error) override;
  void detach(loop::Done done) override;
  bool has_write_cache() const override { return options_.write_cache; }
  FrontEndFacts facts() const override { return facts_; }

 private:
  enum class Stage { None, Starting, Live, Stopping };

  // attach: what an earlier process left, or a new device
  void find();
  void look_at(std::vector<std::uint32_t> numbers, std::size_t next);
  void on_found(const ublksrv_ctrl_dev_info& info);
  void recover();
  void make_anew();
  void open_channel(std::uint32_t last);
  int fetch_all(bool privileged);
  void settle();
  void end_attach(int error, const std::string& text);

  // detach
  void try_detach(int tries_left);
  void stop();
  void end_detach();
  void drop_device();

  // requests
  void on_slot(unsigned tag, int result);
  void handle(unsigned tag);
  void pass(unsigned tag, const Request& request);
  void commit(unsigned tag, int result);

  std::string mark() const { return options_.folder + ".ublk"; }
  // f once more in a moment, unless this has gone on for too long: then false.
  bool again(std::function<void()> f);

  loop::Loop& loop_;
  UblkOptions options_;
  std::uint64_t owner_;  // what our device is known by
  std::uint64_t bytes_ = 0;
  std::function<void(const Request&)> take_;
  loop::Done attached_;
  loop::Done detached_;
  Stage stage_ = Stage::None;
  bool is_attached_ = false;
  std::unique_ptr<UblkSlots> slots_;
  Fd channel_;
  std::uint32_t number_ = 0;
  unsigned ended_ = 0;  // slots into which the kernel will put nothing any more
  bool stopped_ = false;
  std::uint64_t last_serial_ = 0;
  Instant patience_;
  std::unique_ptr<Errand> errand_;
  loop::TimerId retry_;
  FrontEndFacts facts_;
  std::unique_ptr<UblkRing> ring_;  // last: it ends before what its commands point to
};

}  // namespace cb::volume
