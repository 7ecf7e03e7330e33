// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <cerrno>

namespace cb {

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    const int saved = errno;
    ::close(fd_);  // ignored: where a lost write matters, the writer has called fsync before
    errno = saved;
  }
  fd_ = fd;
}

}  // namespace cb
