// SPDX-License-Identifier: Apache-2.0
#include "drivers/service/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd.h"
#include "base/text.h"

namespace cb::service {

namespace {

bool is_full(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 &&
         static_cast<std::uint64_t>(facts.st_size) >= kOutputBytesMax;
}

int make_folders_of(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    if (mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

int prepare_output(const std::string& path) {
  if (const int error = make_folders_of(path); error != 0) {
    return error;
  }
  if (is_full(path) && rename(path.c_str(), (path + ".1").c_str()) != 0) {
    return errno;
  }
  return 0;
}

int trim_output(const std::string& path) {
  if (!is_full(path)) {
    return 0;
  }
  const Fd from(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  const Fd to(
      ::open((path + ".1").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!from || !to) {
    return errno;
  }
  for (std::uint64_t copied = 0; copied < 2 * kOutputBytesMax;) {
    const ssize_t count = copy_file_range(from.get(), nullptr, to.get(), nullptr, 1 << 20, 0);
    if (count <= 0) {
      break;  // the end; or a disk that is full, and then room is what counts
    }
    copied += static_cast<std::uint64_t>(count);
  }
  // What the service appends between the copy and this is lost: a few lines at most.
  return ftruncate(from.get(), 0) == 0 ? 0 : errno;
}

std::string last_line_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (!file || fstat(file.get(), &facts) != 0) {
    return {};
  }
  std::array<char, 4096> bytes{};
  const off_t from = std::max<off_t>(0, facts.st_size - static_cast<off_t>(bytes.size()));
  const ssize_t count = pread(file.get(), bytes.data(), bytes.size(), from);
  if (count <= 0) {
    return {};
  }
  std::string line;
  for (const auto each :
       split(std::string_view(bytes.data(), static_cast<std::size_t>(count)), '\n')) {
    if (!trim(each).empty()) {
      line = trim(each);
    }
  }
  return line.substr(0, 300);
}

}  // namespace cb::service
