// SPDX-License-Identifier: Apache-2.0
//
// Hands: a thread for what may block: netlink requests, replacing BPF programs, directory fsync,
// starting a process. It runs one piece of work after another, in order, and posts each result to
// the loop. A monitor has two: one for what a failover waits for, one for the rest.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "loop/mailbox.h"

namespace cb::loop {

struct HandsOptions {
  std::string name = "cb-hands";  // of the thread, at most 15 characters
  std::optional<int> fifo;        // SCHED_FIFO at this priority; SCHED_OTHER when refused or empty
};

class Hands {
 public:
  static Result<std::unique_ptr<Hands>> start(Loop& loop, HandsOptions options);
  // Waits for the work that is running. Work that has not begun is dropped, and so is its `done`.
  // Before the loop is destroyed.
  ~Hands();
  Hands(const Hands&) = delete;
  Hands& operator=(const Hands&) = delete;

  // The loop's thread. work runs in the other thread and returns 0 or an errno; done runs in the
  // loop's thread afterwards. Both are destroyed in the loop's thread.
  void run(std::function<int()> work, std::function<void(int)> done);

  // Whether SCHED_FIFO was asked for and got.
  bool is_fifo() const noexcept { return fifo_; }

 private:
  struct Job;
  Hands(Loop& loop, Fd bell) : loop_(loop), mailbox_(std::move(bell)) {}
  Result<> start_thread(const HandsOptions& options);
  void work_until_stopped();

  Loop& loop_;
  Mailbox mailbox_;
  std::vector<std::function<void()>> batch_;  // the thread's, while it runs
  std::atomic<bool> stop_{false};
  bool fifo_ = false;
  bool started_ = false;
  pthread_t thread_{};
};

}  // namespace cb::loop
