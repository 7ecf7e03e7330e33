// SPDX-License-Identifier: Apache-2.0
//
// An instance without a volume: nothing to do, always in step.
#pragma once

#include "drivers/volume/volume.h"

namespace cb::volume {

class None final : public Volume {
 public:
  void listen(Events events) override;
  void promote(loop::Done done) override;
  void demote(loop::Done done) override;
  void resync(loop::Done done) override;
  void pause(loop::Done done) override;
  Status status() const override;
  void mount(loop::Done done) override;
  void unmount(loop::Done done) override;

 private:
  Events events_;
};

}  // namespace cb::volume
