// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/none.h"

#include <cerrno>
#include <utility>

namespace cb::volume {

void None::listen(Events events) { events_ = std::move(events); }

void None::promote(bool /*accept_loss*/, loop::Done done) { done(0); }

void None::demote(bool /*hand_over*/, loop::Done done) { done(0); }

void None::resync(Resync /*how*/, loop::Done done) {
  done(0);
  if (events_.in_step) {
    events_.in_step();
  }
}

void None::pause(bool /*on*/, loop::Done done) { done(0); }

void None::verify(bool /*on*/, loop::Done done) { done(ENODEV); }

void None::resize(std::uint64_t /*bytes*/, bool /*dry_run*/,
                  std::function<void(int error, const std::string& text)> done) {
  done(ENODEV, "there is no volume");
}

void None::allow_alone(bool /*allowed*/) {}

void None::end() {}

Status None::status() const {
  Status status;
  status.in_step = true;
  status.text = "no volume";
  return status;
}

void None::history(std::function<void(int error, const std::string& json)> done) {
  done(ENODEV, "");
}

void None::mount(loop::Done done) { done(0); }

void None::unmount(bool /*detach*/, loop::Done done) { done(0); }

}  // namespace cb::volume
