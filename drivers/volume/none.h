// SPDX-License-Identifier: Apache-2.0
//
// An instance without a volume: nothing to do, always in step.
#pragma once

#include "drivers/volume/volume.h"

namespace cb::volume {

class None final : public Volume {
 public:
  void listen(Events events) override;
  void promote(bool accept_loss, loop::Done done) override;
  void demote(bool hand_over, loop::Done done) override;
  void resync(Resync how, loop::Done done) override;
  void pause(bool on, loop::Done done) override;
  void verify(bool on, loop::Done done) override;
  void resize(std::uint64_t bytes, bool dry_run,
              std::function<void(int error, const std::string& text)> done) override;
  void allow_alone(bool allowed) override;
  void end() override;
  Status status() const override;
  void history(std::function<void(int error, const std::string& json)> done) override;
  void mount(loop::Done done) override;
  void unmount(bool detach, loop::Done done) override;

 private:
  Events events_;
};

}  // namespace cb::volume
