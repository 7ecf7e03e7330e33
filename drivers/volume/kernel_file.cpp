// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/kernel_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace cb::volume {

Result<> set_kernel_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) {
    return fail(errno, "open " + path);
  }
  if (::write(fd.get(), text.data(), text.size()) < 0) {
    return fail(errno, "write \"" + std::string(text) + "\" to " + path);
  }
  return {};
}

}  // namespace cb::volume
