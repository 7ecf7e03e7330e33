// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/none.h"

#include <utility>

namespace cb::volume {

void None::listen(Events events) { events_ = std::move(events); }

void None::promote(loop::Done done) { done(0); }

void None::demote(loop::Done done) { done(0); }

void None::resync(loop::Done done) {
  done(0);
  if (events_.in_step) {
    events_.in_step();
  }
}

void None::pause(loop::Done done) { done(0); }

Status None::status() const {
  Status status;
  status.in_step = true;
  status.text = "no volume";
  return status;
}

void None::mount(loop::Done done) { done(0); }

void None::unmount(loop::Done done) { done(0); }

}  // namespace cb::volume
