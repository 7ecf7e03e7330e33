// SPDX-License-Identifier: Apache-2.0
//
// Loop: the io_uring control loop. One thread owns it; a *turn* waits for something to happen, then
// runs the callbacks of everything that is ready, then those of the timers that are due, and
// returns, so that the owner can judge after the drain. No callback may block.
//
// Everything but post() and wake() belongs to the thread that opened the loop (checked). Callbacks
// may call everything but turn(): they may also take back the watch, operation or timer that they
// are the callback of. Callbacks are never run from within watch, send, post and so on.
//
// Needs kernel 5.15; uses SINGLE_ISSUER, DEFER_TASKRUN and a CLOCK_BOOTTIME wait where the kernel
// has them. There is no other back end: where io_uring is refused, open() says by whom and what to
// do.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/instant.h"
#include "base/result.h"
#include "loop/done.h"
#include "loop/mailbox.h"

struct io_uring;

namespace cb::loop {

struct Operation;

struct TimerId {
  Instant at;
  std::uint64_t serial = 0;  // 0: none
  explicit operator bool() const noexcept { return serial != 0; }
  auto operator<=>(const TimerId&) const noexcept = default;
};

using OperationId = std::uint64_t;  // 0: none

struct LoopStats {
  std::uint64_t turns = 0;
  std::uint64_t completions = 0;
  std::uint64_t timers = 0;
  Duration last_turn{};     // time in callbacks, not in waiting
  Duration longest_turn{};  // since reset_longest_turn()
};

// What this kernel gave us, for status and logs.
struct LoopFacts {
  bool single_issuer = false;
  bool defer_taskrun = false;
  bool boottime_wait = false;
  std::string text() const;  // "io_uring, single issuer, deferred task work, boottime"
};

struct LoopOptions {
  // Leaves out so many of the newer ways to set up a ring, and the newer clock with the first: the
  // ways that old kernels go, for tests on a new one.
  unsigned as_if_older = 0;
};
inline constexpr unsigned kLoopForms = 3;  // since 6.1, since 5.19, since 5.15

class Loop {
 public:
  static Result<std::unique_ptr<Loop>> open(LoopOptions options = {});
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // ---- one turn

  // Submits what was asked for, waits until something happens, until `until` or the next timer,
  // then runs all callbacks that are ready. until in the past: does not wait. Fails only when the
  // ring itself fails, which nothing can go on after.
  Result<> turn(Instant until);

  // The clock as read once at the end of this turn's wait. For callbacks that need no better.
  Instant now() const noexcept { return now_; }

  // ---- readiness

  // Calls on_readable in every turn in which fd has something to read (level-triggered: what a
  // callback leaves unread makes the next call), an error or a hang-up. One watch a descriptor.
  // unwatch before closing the descriptor.
  void watch(int fd, std::function<void()> on_readable);
  void unwatch(int fd);  // nothing happens if it is not watched

  // ---- descriptors. The loop keeps the bytes; the caller keeps the descriptor open until the
  // ---- callback has come, or calls forget() before closing it.

  // One connection after another, until forgotten. The descriptors are non-blocking and
  // close-on-exec. Refused for lack of descriptors or memory: tried again in a second.
  OperationId accept(int listen_fd, std::function<void(Fd)> on_connection);
  // One receive. bytes: what came (valid within the callback); n: their number, 0 at the end, or
  // -errno.
  OperationId recv(int fd, std::size_t limit,
                   std::function<void(int n, std::span<const std::byte> bytes)> done);
  // All of it, in order with other sends only if the caller waits for one before the next.
  // error: 0 or errno (no SIGPIPE).
  OperationId send(int fd, std::string bytes, Done done);
  // Connects a non-blocking or blocking socket to the address (its bytes are copied).
  OperationId connect(int fd, std::span<const std::byte> address, Done done);
  // All of it at this offset of a file.
  OperationId write(int fd, std::uint64_t offset, std::string bytes, Done done);
  // For disks: all of `bytes`, memory of the caller's, without a copy. `keeps` lives until the
  // kernel is done with them, also when the loop goes first. error: 0 or errno; EIO where the file
  // ends.
  OperationId read_into(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                        std::shared_ptr<const void> keeps, Done done);
  // Durable::Yes: done when these bytes are durable (RWF_DSYNC), which spares the turn between a
  // write and its fsync.
  OperationId write_from(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                         Durable durable, std::shared_ptr<const void> keeps, Done done);
  // fallocate(2).
  OperationId allocate(int fd, int mode, std::uint64_t offset, std::uint64_t length, Done done);
  // fdatasync, or fsync when metadata is true.
  OperationId fsync(int fd, bool metadata, Done done);
  // The callback will not be called any more. The operation is cancelled if it can be; a write or
  // fsync that has begun runs to its end. Nothing happens for an unknown or finished id.
  void forget(OperationId id);
  // Whether its callback may still come.
  bool is_pending(OperationId id) const;

  // ---- time (CLOCK_BOOTTIME)

  TimerId at(Instant when, std::function<void()> f);
  TimerId after(Duration span, std::function<void()> f);  // from the clock as it is at the call
  void cancel(TimerId id);  // nothing happens if it ran or was cancelled

  // ---- signals. Blocks them in this thread (so call it before other threads are started) and
  // ---- calls on_signal(number) for each. Once a loop.
  Result<> on_signals(std::initializer_list<int> signals, std::function<void(int)> on_signal);

  // ---- other threads

  // f runs in the loop's thread, in order. Any thread; allocates.
  void post(std::function<void()> f) { mailbox_->put(std::move(f)); }
  // Ends the wait of the current or next turn. Any thread, also a signal handler: no lock, no
  // allocation, at most one system call until the loop has noticed.
  void wake() noexcept { mailbox_->ring(); }

  const LoopStats& stats() const noexcept { return stats_; }
  void reset_longest_turn() noexcept { stats_.longest_turn = {}; }
  const LoopFacts& facts() const noexcept { return facts_; }

 private:
  Loop();
  Result<> open_ring(LoopOptions options);
  Operation* start(std::unique_ptr<Operation> operation);
  void submit_one(Operation& operation);
  void submit_now();
  void drain_completions();
  void on_completion(std::uint64_t id, int result);
  void run_timers();
  void check_thread() const;

  std::unique_ptr<io_uring> ring_;
  bool ring_open_ = false;
  std::thread::id owner_;
  std::unique_ptr<Mailbox> mailbox_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Operation>> operations_;
  std::unordered_map<int, std::uint64_t> watches_;  // fd -> operation
  std::uint64_t last_id_ = 0;
  std::map<TimerId, std::function<void()>> timers_;
  std::uint64_t last_timer_ = 0;
  Fd signals_;
  Instant now_;
  LoopStats stats_;
  LoopFacts facts_;
  bool in_turn_ = false;
};

}  // namespace cb::loop
