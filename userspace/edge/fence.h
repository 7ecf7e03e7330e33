// SPDX-License-Identifier: Apache-2.0
//
// Makes sure that a peer is off before we serve (IPMI, a switched socket). A thin adapter over a
// driver (drivers/fence/fence.h): one fence at a time, answered once, never late.
#pragma once

#include <memory>
#include <string>

#include "drivers/fence/fence.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::edge {

class FenceEdge {
 public:
  FenceEdge(loop::Loop& loop, std::unique_ptr<fence::Fence> driver);
  ~FenceEdge();

  // error 0: the peer is certainly off. Everything else means that it may still run.
  using FenceDone = std::function<void(int error, const std::string& text)>;
  void start(const fence::Target& target, Instant deadline, FenceDone done);

 private:
  loop::Loop& loop_;
  std::unique_ptr<fence::Fence> driver_;
  loop::Leash leash_;
};

}  // namespace cb::edge
