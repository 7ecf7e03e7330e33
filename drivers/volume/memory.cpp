// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/memory.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

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
  const Fd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (!score) {
    return errno;
  }
  const auto written = write_all(score.get(), "-1000");
  return written ? 0 : written.error().code;
}

}  // namespace cb::volume
