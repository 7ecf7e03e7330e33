// SPDX-License-Identifier: Apache-2.0
//
// What the monitor knows of a volume (DESIGN.md section 7): five verbs and four events. Every verb
// begins something and answers once, in the loop's thread; none blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "loop/done.h"

namespace cb::volume {

struct Status {
  bool present = false;  // there is a volume at all
  bool in_step = false;
  std::uint16_t progress_permille = 0;  // while synchronizing
  std::uint64_t position = 0;
  std::string text;  // for people
};

struct Events {
  std::function<void()> in_step;
  std::function<void(unsigned permille)> progress;
  std::function<void()> fell_behind;
  std::function<void(int error)> disk_failed;
};

class Volume {
 public:
  virtual ~Volume() = default;
  // Before any verb; once.
  virtual void listen(Events events) = 0;

  virtual void promote(loop::Done done) = 0;  // this node's copy becomes the one that is written
  virtual void demote(loop::Done done) = 0;
  virtual void resync(loop::Done done) = 0;  // begins; events tell the rest
  virtual void pause(loop::Done done) = 0;   // resync and replication, until resync
  virtual Status status() const = 0;

  // The file system on it.
  virtual void mount(loop::Done done) = 0;
  virtual void unmount(loop::Done done) = 0;
};

}  // namespace cb::volume
