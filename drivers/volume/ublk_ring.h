// SPDX-License-Identifier: Apache-2.0
//
// UblkRing: the io_uring over which a ublk device is controlled and served. One of its own, because
// control commands need entries of twice the size; the loop watches its eventfd. The kernel wants
// all requests of a device to be fetched by one thread: that of the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/fd.h"
#include "base/result.h"
#include "drivers/volume/ublk_kernel.h"
#include "loop/done.h"
#include "loop/loop.h"

struct io_uring;
struct io_uring_sqe;

namespace cb::volume {

class UblkRing {
 public:
  // result: of the kernel, not negative; or -errno.
  using Answer = std::function<void(int result)>;

  // ENODEV: this kernel has no ublk, or its module is not loaded.
  static Result<std::unique_ptr<UblkRing>> open(loop::Loop& loop);
  // What is under way is taken back or left to the kernel; nothing is answered any more.
  ~UblkRing();
  UblkRing(const UblkRing&) = delete;
  UblkRing& operator=(const UblkRing&) = delete;

  // A control command. memory: what command.addr points to. Answered in a later turn; the kernel
  // carries it out in a thread of its own.
  void control(std::uint32_t operation, const ublksrv_ctrl_cmd& command,
               std::shared_ptr<void> memory, Answer done);

  // on_request: the kernel has put a request into the slot `tag` (result 0), or the slot has ended.
  void serve(int device, std::function<void(unsigned tag, int result)> on_request);
  // Fetches into a slot; with kUblkCommit after an answer to what it held.
  void fetch(std::uint32_t operation, unsigned tag, int result, void* memory);
  // Tells the kernel of what was fetched. 0 or errno.
  int submit();
  // The same, within completions together with others at their end.
  void submit_soon() {
    if (!in_completions_) {
      submit();
    }
  }

 private:
  explicit UblkRing(loop::Loop& loop);
  io_uring_sqe& next_entry();
  void on_ready();

  struct Control {
    std::shared_ptr<void> memory;
    Answer done;
  };

  loop::Loop& loop_;
  std::unique_ptr<io_uring> ring_;
  bool ring_open_ = false;
  bool in_completions_ = false;
  Fd control_;
  Fd bell_;
  int device_ = -1;
  std::function<void(unsigned, int)> on_request_;
  std::uint64_t last_serial_ = 0;
  std::unordered_map<std::uint64_t, Control> controls_;
  loop::Leash leash_;
};

}  // namespace cb::volume
