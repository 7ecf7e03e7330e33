// SPDX-License-Identifier: Apache-2.0
//
// Mailbox: functions from any thread to the one that owns the mailbox, in order, without a lock: a
// sender of low priority that is preempted in mid-sending cannot hold up a real-time reader.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace cb::loop {

class Mailbox {
 public:
  // blocking: whether the owner's wait() shall sleep, or the owner polls fd() itself.
  static Result<Fd> open_bell(bool blocking);

  explicit Mailbox(Fd bell) noexcept : bell_(std::move(bell)) {}
  ~Mailbox();  // what was not taken is destroyed, not run
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. Allocates, rings.
  void put(std::function<void()> letter);

  // Any thread, also a signal handler: no allocation, no lock; at most one write to an eventfd
  // until the owner has answered the bell.
  void ring() noexcept;

  // The owner. Reads the bell: sleeps until it rings when it was opened blocking.
  void answer() noexcept;
  // The owner. Everything put so far, oldest first.
  std::vector<std::function<void()>> take();

  int fd() const noexcept { return bell_.get(); }

 private:
  struct Letter {
    std::function<void()> text;
    Letter* older;
  };
  Fd bell_;
  std::atomic<bool> rung_{false};
  std::atomic<Letter*> newest_{nullptr};
};

}  // namespace cb::loop
