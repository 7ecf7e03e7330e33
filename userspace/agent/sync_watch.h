// SPDX-License-Identifier: Apache-2.0
//
// Looks at a copy that is being brought into step, and says when it has stood still for too long
// and is to be begun again: core::StallWatch with what the volume tells of itself.
#pragma once

#include <optional>
#include <string>

#include "core/stall.h"
#include "drivers/volume/volume.h"

namespace cb::agent {

class SyncWatch {
 public:
  // stuck_after: without any progress.
  explicit SyncWatch(Duration stuck_after);

  // follows: this node stands by, and its peer is there and serves. An answer: begin it again now;
  // the text is for the event log. Call it about every look_every().
  std::optional<std::string> look(const volume::Status& volume, bool follows, Instant now);
  Duration look_every() const { return look_every_; }

 private:
  core::StallWatch watch_;
  Duration look_every_;
};

}  // namespace cb::agent
