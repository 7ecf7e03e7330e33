// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace cb {
namespace {

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  if (slash == 0) return "/";
  return path.substr(0, slash);
}

Result<> sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + folder);
  if (::fsync(fd.get()) != 0) return fail(errno, "fsync " + folder);
  return {};
}

// A file of our own at this name: whatever lay there, a leftover or a link set as a trap, is
// removed.
Result<Fd> create_fresh(const std::string& path, mode_t mode) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove " + path);
  }
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, "create " + path);
  if (::fchmod(fd.get(), mode) != 0) return fail(errno, "chmod " + path);
  return fd;
}

Result<> write_durably(const std::string& path, std::string_view bytes, mode_t mode) {
  CB_TRY(fd, create_fresh(path, mode));
  if (auto written = write_all(fd.get(), bytes); !written) {
    return in("write " + path, std::move(written).error());
  }
  if (::fsync(fd.get()) != 0) return fail(errno, "fsync " + path);
  // Some file systems report a lost write only here.
  if (::close(fd.release()) != 0) return fail(errno, "close " + path);
  return {};
}

}  // namespace

Result<Fd> open_readonly(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno, "open " + path);
  return fd;
}

Result<std::string> read_all(const Fd& fd, std::size_t limit) {
  std::string content;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t count = ::read(fd.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno, "read");
    if (count == 0) return content;
    if (static_cast<std::size_t>(count) > limit - content.size()) {
      return fail(EFBIG, "read more than " + std::to_string(limit) + " bytes");
    }
    content.append(part.data(), static_cast<std::size_t>(count));
  }
}

Result<std::string> read_all(const std::string& path, std::size_t limit) {
  CB_TRY(fd, open_readonly(path));
  auto content = read_all(fd, limit);
  if (!content) return in(path, std::move(content).error());
  return content;
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno, "write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<> write_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string fresh = path + ".new";
  if (auto written = write_durably(fresh, bytes, mode); !written) {
    ::unlink(fresh.c_str());  // ignored: the first failure is the one to report
    return std::move(written).error();
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    Error failure = fail(errno, "rename " + fresh + " to " + path);
    ::unlink(fresh.c_str());  // ignored: as above
    return failure;
  }
  return sync_folder(folder_of(path));
}

}  // namespace cb
