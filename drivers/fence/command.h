// SPDX-License-Identifier: Apache-2.0
//
// A fence that is a command: exit code 0 within the deadline means that the peer is off. It learns
// CROSSBEAT_PEER_NAME, CROSSBEAT_PEER_ADDRESS, CROSSBEAT_PAIRING and CROSSBEAT_REASON. Late or
// failed: not fenced.
#pragma once

#include "drivers/fence/fence.h"

namespace cb::fence {

class Command final : public Fence {
 public:
  Command(loop::Loop& loop, loop::Hands& hands, std::vector<std::string> command);
  void start(const Target& target, Instant deadline,
             std::function<void(int error, const std::string& text)> done) override;

 private:
  loop::Loop& loop_;
  loop::Hands& hands_;
  std::vector<std::string> command_;
};

}  // namespace cb::fence
