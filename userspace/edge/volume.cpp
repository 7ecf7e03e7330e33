// SPDX-License-Identifier: Apache-2.0
#include "edge/volume.h"

#include <utility>

namespace cb::edge {

VolumeEdge::VolumeEdge(loop::Loop& loop, std::unique_ptr<volume::Volume> driver,
                       volume::Events events)
    : loop_(loop), driver_(std::move(driver)) {
  // A driver may report from within a verb; our caller is promised a later turn.
  const auto later = [this](auto f) {
    return leash_.guard([this, f = std::move(f)](auto... args) {
      loop_.post(leash_.guard([f, args...] {
        if (f) {
          f(args...);
        }
      }));
    });
  };
  driver_->listen({.in_step = later(std::move(events.in_step)),
                   .progress = later(std::move(events.progress)),
                   .fell_behind = later(std::move(events.fell_behind)),
                   .disk_failed = later(std::move(events.disk_failed))});
}

VolumeEdge::~VolumeEdge() = default;

void VolumeEdge::promote(Instant deadline, loop::Done done) {
  driver_->promote(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::demote(Instant deadline, loop::Done done) {
  driver_->demote(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::mount(Instant deadline, loop::Done done) {
  driver_->mount(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::unmount(Instant deadline, loop::Done done) {
  driver_->unmount(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::resync(Instant deadline, loop::Done done) {
  driver_->resync(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::pause(Instant deadline, loop::Done done) {
  driver_->pause(loop::answer_by(loop_, deadline, std::move(done)));
}

volume::Status VolumeEdge::status() const { return driver_->status(); }

}  // namespace cb::edge
