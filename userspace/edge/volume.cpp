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
                   .disk_failed = later(std::move(events.disk_failed)),
                   .report = later(std::move(events.report)),
                   .grown = later(std::move(events.grown))});
}

VolumeEdge::~VolumeEdge() = default;

void VolumeEdge::promote(bool accept_loss, Instant deadline, loop::Done done) {
  driver_->promote(accept_loss, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::demote(bool hand_over, Instant deadline, loop::Done done) {
  driver_->demote(hand_over, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::mount(Instant deadline, loop::Done done) {
  driver_->mount(loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::unmount(bool detach, Instant deadline, loop::Done done) {
  driver_->unmount(detach, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::resync(volume::Resync how, Instant deadline, loop::Done done) {
  driver_->resync(how, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::pause(bool on, Instant deadline, loop::Done done) {
  driver_->pause(on, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::verify(bool on, Instant deadline, loop::Done done) {
  driver_->verify(on, loop::answer_by(loop_, deadline, std::move(done)));
}

void VolumeEdge::resize(std::uint64_t bytes, bool dry_run,
                        std::function<void(int error, const std::string& text)> done) {
  driver_->resize(bytes, dry_run, std::move(done));
}

void VolumeEdge::allow_alone(bool allowed) { driver_->allow_alone(allowed); }

void VolumeEdge::end() { driver_->end(); }

volume::Status VolumeEdge::status() const { return driver_->status(); }

void VolumeEdge::history(std::function<void(int error, const std::string& json)> done) {
  driver_->history(std::move(done));
}

}  // namespace cb::edge
