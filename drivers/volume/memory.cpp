// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/memory.h"

#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "drivers/volume/kernel_file.h"

namespace cb::volume {

int become_io_flusher() {
  static bool told = false;  // by the loop's thread: a volume's process has one
  if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0) {
    return 0;
  }
  const int error = errno;
  if (!told) {
    told = true;
    log_warning("volume: PR_SET_IO_FLUSHER is refused (%s): under memory pressure writes may stall",
                std::strerror(error));
  }
  return error;
}

int be_spared_when_memory_ends() {
  const auto set = set_kernel_file("/proc/self/oom_score_adj", "-1000");
  return set ? 0 : set.error().code;
}

}  // namespace cb::volume
