// SPDX-License-Identifier: Apache-2.0
//
// The file system on a volume: made once if that was asked for when the volume was created,
// mounted, unmounted. Everything is done by child processes with a deadline, since all of it may
// block.
#pragma once

#include <string>

#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::volume {

struct FileSystemPlan {
  std::string mount_point;  // below the root already; empty: nothing is mounted
  std::string kind;
  std::string options;
  Duration busy_for = Duration::from_s(5);  // what uses it may end
  std::string folder;  // of the volume: says whether the file system is still to be made
};

class FileSystem {
 public:
  using Answer = std::function<void(int error, const std::string& text)>;

  FileSystem(loop::Loop& loop, loop::Hands& hands, FileSystemPlan plan);

  // Mounted already from this device: nothing is done. A mount that an earlier life left of a
  // device that is gone is taken away first.
  void mount(const std::string& device, Answer done);
  void unmount(bool detach, Answer done);

 private:
  struct Look;
  void look(std::function<void(const Look&)> then);
  void make(const std::string& device, const std::string& kind, Answer done);
  void note_made(const std::string& device, Answer done);
  void mount_now(const std::string& device, Answer done);
  void detach_first(const std::string& device, Answer done);
  void unmount_once(bool detach, Instant deadline, Answer done);
  void run(std::vector<std::string> command, Answer done);

  loop::Loop& loop_;
  loop::Hands& hands_;
  FileSystemPlan plan_;
  loop::Leash leash_;
};

}  // namespace cb::volume
