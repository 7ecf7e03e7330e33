// SPDX-License-Identifier: Apache-2.0
//
// Errand: system calls that wait for an answer of this very process (a look-up in our own file
// system, an fsync of our own device) are made by a forked child. A thread would do while all goes
// well; but when this process is killed, a thread that waits for its own process cannot end, and
// with it stay the locks and descriptors that the next process needs. A child shares neither, and
// ends with its parent as soon as somebody answers it.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "loop/loop.h"

namespace cb::volume {

struct Report {
  std::int32_t error = 0;
  std::int32_t number = 0;  // what the work found
  std::array<char, 248> text{};

  static Report success(int number);
  static Report failure(const Error& error);
};

class Errand {
 public:
  // work runs in the child, which has the descriptors of `keep` and no other. Nothing of this
  // process is seen after the fork. done: once, in the loop's thread, in a later turn; it may
  // destroy the Errand. Returns the error when no child could be made.
  static Result<std::unique_ptr<Errand>> start(loop::Loop& loop, std::initializer_list<int> keep,
                                               const std::function<Report()>& work,
                                               std::function<void(const Report&)> done);
  ~Errand();  // the child is killed; it ends when what it waits for is answered
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

 private:
  explicit Errand(loop::Loop& loop) : loop_(loop) {}
  void on_end();

  loop::Loop& loop_;
  pid_t pid_ = 0;
  Fd pidfd_;
  Fd reader_;
  std::function<void(const Report&)> done_;
};

// Closes everything but the standard descriptors and these. For a child.
void close_all_but(std::initializer_list<int> keep, int one_more) noexcept;

}  // namespace cb::volume
