// SPDX-License-Identifier: Apache-2.0
#include "edge/folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace cb::edge {

std::string under(const std::string& root, const std::string& path) {
  return root.ends_with('/') ? root + path : root + "/" + path;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

Result<> make_folders(const std::string& folder, mode_t mode) {
  for (std::size_t at = 1; at != std::string::npos;) {
    const std::size_t end = folder.find('/', at);
    const std::string part = folder.substr(0, end);
    const bool last = end == std::string::npos;
    if (!part.empty() && ::mkdir(part.c_str(), last ? mode : 0755) != 0 && errno != EEXIST) {
      return fail(errno, "make the folder " + part);
    }
    at = last ? std::string::npos : end + 1;
  }
  return {};
}

Result<> sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return fail(errno, "open the folder " + folder);
  }
  if (::fsync(fd.get()) != 0) {
    return fail(errno, "make the folder " + folder + " durable");
  }
  return {};
}

}  // namespace cb::edge
