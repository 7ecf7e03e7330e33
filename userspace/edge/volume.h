// SPDX-License-Identifier: Apache-2.0
//
// The volume of one instance as the ladders see it: promote, mount, unmount, demote, resync. A thin
// adapter over a driver (drivers/volume/volume.h) that adds deadlines; without a volume everything
// succeeds at once and is always in step.
#pragma once

#include <memory>

#include "drivers/volume/volume.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::edge {

class VolumeEdge {
 public:
  // events: called in the loop's thread, in a later turn than any call here.
  VolumeEdge(loop::Loop& loop, std::unique_ptr<volume::Volume> driver, volume::Events events);
  ~VolumeEdge();

  void promote(bool accept_loss, Instant deadline, loop::Done done);
  void demote(bool hand_over, Instant deadline, loop::Done done);
  void mount(Instant deadline, loop::Done done);
  void unmount(bool detach, Instant deadline, loop::Done done);
  // 0: begun; the events tell the rest.
  void resync(volume::Resync how, Instant deadline, loop::Done done);
  void pause(bool on, Instant deadline, loop::Done done);
  void verify(bool on, Instant deadline, loop::Done done);
  void resize(std::uint64_t bytes, bool dry_run,
              std::function<void(int error, const std::string& text)> done);
  void allow_alone(bool allowed);
  void end();
  volume::Status status() const;
  void history(std::function<void(int error, const std::string& json)> done);

 private:
  loop::Loop& loop_;
  std::unique_ptr<volume::Volume> driver_;
  loop::Leash leash_;
};

}  // namespace cb::edge
