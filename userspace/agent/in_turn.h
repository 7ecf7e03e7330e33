// SPDX-License-Identifier: Apache-2.0
//
// Things that take more than one turn of the loop, one after another: the next one begins when
// the one before has said that it is over. One thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace cb::agent {

class InTurn {
 public:
  using Over = std::function<void()>;
  using Thing = std::function<void(Over)>;

  InTurn() = default;
  InTurn(const InTurn&) = delete;
  InTurn& operator=(const InTurn&) = delete;
  ~InTurn() = default;

  // Begins at once when nothing is under way. `thing` calls its argument exactly once, in this turn
  // or in a later one, and not after the end of this object.
  void add(Thing thing) {
    waiting_.push_back(std::move(thing));
    if (!busy_) {
      begin_next();
    }
  }

  bool busy() const { return busy_; }

 private:
  void begin_next() {
    // A thing that is over before it returns must not make the stack grow with each one waiting.
    while (!busy_ && !waiting_.empty()) {
      const Thing thing = std::exchange(waiting_.front(), nullptr);
      waiting_.pop_front();
      busy_ = true;
      beginning_ = true;
      thing([this] { end(); });
      beginning_ = false;
    }
  }
  void end() {
    busy_ = false;
    if (!beginning_) {
      begin_next();
    }
  }

  std::deque<Thing> waiting_;
  bool busy_ = false;
  bool beginning_ = false;
};

}  // namespace cb::agent
