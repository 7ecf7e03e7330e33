// SPDX-License-Identifier: Apache-2.0
//
// A fence makes certain that a machine is off. Success is a promise: the caller starts to serve on
// it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/instant.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::fence {

struct Target {
  std::string pairing;  // primary HM address
  std::string peer_name;
  std::string peer_address;  // HM address
  std::string reason;
};

class Fence {
 public:
  virtual ~Fence() = default;
  // Answered once. error: 0 or errno; text: one line for the log.
  virtual void start(const Target& target, Instant deadline,
                     std::function<void(int error, const std::string& text)> done) = 0;
};

}  // namespace cb::fence
