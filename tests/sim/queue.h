// SPDX-License-Identifier: Apache-2.0
//
// queue.h - virtual time. Nothing sleeps: the next event is simply the next thing that happens.
// Events at the same instant happen in the order in which they were scheduled, so a seed replays
// exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace cb::sim {

enum class What : uint8_t { Frame, Probe, Turn, Call };

struct Happening {
  int64_t at = 0;  // world time, nanoseconds
  uint64_t order = 0;
  What what = What::Call;
  int a = 0;
  int b = 0;
  int c = 0;
  uint64_t life = 0;
};

class Queue {
 public:
  int64_t now() const { return now_; }
  bool empty() const { return heap_.empty(); }
  int64_t next_at() const { return heap_.top().at; }

  void push(int64_t at, What what, int a, int b = 0, int c = 0, uint64_t life = 0) {
    heap_.push({at < now_ ? now_ : at, order_++, what, a, b, c, life});
  }
  // Rare things are closures.
  void call(int64_t at, std::function<void()> what) {
    int index = 0;
    if (free_.empty()) {
      index = static_cast<int>(calls_.size());
      calls_.push_back(std::move(what));
    } else {
      index = free_.back();
      free_.pop_back();
      calls_[static_cast<size_t>(index)] = std::move(what);
    }
    push(at, What::Call, index);
  }
  Happening pop() {
    Happening next = heap_.top();
    heap_.pop();
    now_ = next.at;
    return next;
  }
  std::function<void()> take_call(int index) {
    std::function<void()> call = std::move(calls_[static_cast<size_t>(index)]);
    free_.push_back(index);
    return call;
  }
  void advance_to(int64_t at) { now_ = at > now_ ? at : now_; }

 private:
  struct Later {
    bool operator()(const Happening& x, const Happening& y) const {
      return x.at != y.at ? x.at > y.at : x.order > y.order;
    }
  };
  std::priority_queue<Happening, std::vector<Happening>, Later> heap_;
  std::vector<std::function<void()>> calls_;
  std::vector<int> free_;
  int64_t now_ = 0;
  uint64_t order_ = 0;
};

// A machine's CLOCK_BOOTTIME: begins near zero at each boot and drifts.
class Clock {
 public:
  void boot(int64_t world, int64_t local, int ppm) {
    world_ = world;
    local_ = local;
    ppm_ = ppm;
  }
  int64_t local(int64_t world) const {
    const int64_t d = world - world_;
    return local_ + d + d * ppm_ / 1'000'000;
  }
  // The first world time at which local() has reached `local`.
  int64_t world(int64_t local) const {
    const int64_t d = local - local_;
    return world_ + d - d * ppm_ / (1'000'000 + ppm_) + 1;
  }

 private:
  int64_t world_ = 0;
  int64_t local_ = 0;
  int64_t ppm_ = 0;
};

}  // namespace cb::sim
