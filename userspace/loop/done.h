// SPDX-License-Identifier: Apache-2.0
//
// How an action is answered: exactly once, with 0 or an errno; ETIMEDOUT when it is late. Called in
// the loop's thread, in a later turn or, when the work is instantaneous, before start returns.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/instant.h"

namespace cb::loop {

class Loop;

using Done = std::function<void(int error)>;

enum class Durable : bool { No, Yes };  // is a write done when its bytes are durable?

// Makes "exactly once, never late" hold whatever the work does: the returned function passes its
// first call on; if none has come by the deadline, ETIMEDOUT is passed on, and what comes later is
// dropped. Copies share one answer. Instant::never() means no deadline.
[[nodiscard]] Done answer_by(Loop& loop, Instant deadline, Done done);

// Ties callbacks to the life of their owner: what guard() returns does nothing once the Leash is
// gone. A member of everything that hands `this` to the loop, to a Hands or to a Child.
class Leash {
 public:
  Leash() : token_(std::make_shared<char>()) {}
  Leash(const Leash&) = delete;
  Leash& operator=(const Leash&) = delete;
  ~Leash() = default;

  template <class F>
  auto guard(F f) const {
    return [alive = std::weak_ptr<char>(token_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) {
        f(std::forward<decltype(args)>(args)...);
      }
    };
  }

  // For code that goes on after a callback: expired() when the callback destroyed the owner.
  std::weak_ptr<const char> sight() const { return token_; }

 private:
  std::shared_ptr<char> token_;
};

}  // namespace cb::loop
