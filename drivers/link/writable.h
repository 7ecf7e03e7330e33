// SPDX-License-Identifier: Apache-2.0
//
// "There is room to send again", which the loop's watches do not tell: a descriptor of its own that
// becomes readable when the socket becomes writable.
#pragma once

#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "loop/loop.h"

namespace cb::link {

class Writable {
 public:
  static Result<std::unique_ptr<Writable>> open(loop::Loop& loop, int socket,
                                                std::function<void()> call);
  ~Writable();
  Writable(const Writable&) = delete;
  Writable& operator=(const Writable&) = delete;

  // Calls once when the socket takes something (or has an error), in a later turn.
  void ask();
  // The same after a while: for a queue behind the socket, of which nobody tells.
  void ask_after(Duration span);
  bool asked() const noexcept { return asked_ || static_cast<bool>(timer_); }

 private:
  Writable(loop::Loop& loop, int socket, std::function<void()> call, Fd epoll);
  void on_ready();

  loop::Loop& loop_;
  int socket_;
  std::function<void()> call_;
  Fd epoll_;
  bool asked_ = false;
  loop::TimerId timer_;
};

}  // namespace cb::link
