// SPDX-License-Identifier: Apache-2.0
//
// The maker's own commands at changes of state ([[hook]]). All of them stand in one queue and run
// one after the other, each with its deadline, so that a hook sees the changes in the order in
// which they happened. Nothing waits for them: a move never does, and a queue that is full loses
// its oldest entry and says so.
//
// A hook learns what happened from its environment (CROSSBEAT_...) and, as one JSON object, from
// its standard input.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/ir.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

struct StateChange {
  std::string node;
  std::string role;     // "primary" or "secondary"
  std::string pairing;  // primary HM address
  std::string from;     // two of the nine names
  std::string to;
  std::string reason;       // its name ...
  std::string reason_text;  // ... and what an operator reads
  bool serving = false;
  std::uint64_t term = 0;
  std::vector<std::string> addresses;  // with prefix
  std::string wall;                    // RFC 3339
};

class HookEdge {
 public:
  // on_result: for the event log; error is 0, or an errno.
  using OnResult = std::function<void(const std::string& pairing, const std::string& hook,
                                      int error, const std::string& text)>;
  // A thread of its own, which starts the commands: their programs may lie on a disk that hangs.
  static Result<std::unique_ptr<HookEdge>> open(loop::Loop& loop, std::vector<config::Hook> hooks,
                                                OnResult on_result);
  ~HookEdge();  // what runs, runs on; what waits is dropped
  HookEdge(const HookEdge&) = delete;
  HookEdge& operator=(const HookEdge&) = delete;

  void on_change(const StateChange& change);
  bool is_idle() const noexcept { return queue_.empty() && !running_; }
  std::uint64_t dropped() const noexcept { return dropped_; }

  static constexpr std::size_t kQueueMax = 256;

 private:
  struct Waiting {
    std::size_t hook = 0;
    StateChange change;
  };
  HookEdge(loop::Loop& loop, std::vector<config::Hook> hooks, OnResult on_result);
  void run_next();

  loop::Loop& loop_;
  std::vector<config::Hook> hooks_;
  OnResult on_result_;
  std::unique_ptr<loop::Hands> hands_;
  std::deque<Waiting> queue_;
  bool running_ = false;
  std::uint64_t dropped_ = 0;
  loop::Leash leash_;
};

}  // namespace cb::edge
