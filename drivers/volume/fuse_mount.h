// SPDX-License-Identifier: Apache-2.0
//
// What has to be done around a volume's one-file file system: mounting it, making its loop device,
// testing it, taking both away. Blocks on answers of the volume process: for an Errand.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/volume/errand.h"

namespace cb::volume {

struct MountPlan {
  std::string folder;       // where the file system is mounted; only root may look into it
  std::uint64_t bytes = 0;  // of the volume
  int fuse = -1;            // /dev/fuse

  std::string file() const;       // the volume as a file
  std::string lock_path() const;  // one errand at a time
};

// Takes away what earlier processes left behind without a keeper, and mounts; unless an earlier
// process has mounted this very descriptor.
Report mount_volume(const MountPlan& plan);

// number: of the loop device, made anew or the one that is there.
Report attach_device(const MountPlan& plan);

// The fsync that attach's answer waits for, of a device that passes flushes on.
Report flush_device(int number);

// From here on the kernel takes what is answered for durable, and flushes nothing.
Report end_write_cache(int number);

// EBUSY: the device is in use, and nothing was changed.
Report detach_device(const MountPlan& plan);

// Whether something is mounted through this descriptor. Does not block.
bool is_connected(int fuse);

}  // namespace cb::volume
