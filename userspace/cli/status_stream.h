// SPDX-License-Identifier: Apache-2.0
//
// Status after status, as things change: what the verbs wait on. Survives a monitor that goes away
// and comes back.
#pragma once

#include <optional>
#include <string>

#include "cli/client.h"

namespace cb::cli {

class StatusStream {
 public:
  explicit StatusStream(std::string path) : path_(std::move(path)) {}

  // The next status: at once the first time, then at each change, or at `until` when nothing has
  // changed. Without a monitor: waits until `until` for its socket to appear, then says why not. A
  // monitor that takes the request but does not answer is given kAnswerWithin.
  Result<Json> next(Instant until);

  static constexpr Duration kAnswerWithin = Duration::from_s(5);

 private:
  Result<Json> first(Instant until);
  Result<Json> following(Instant until);

  std::string path_;
  std::optional<Client> client_;
};

}  // namespace cb::cli
