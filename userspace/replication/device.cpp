// SPDX-License-Identifier: Apache-2.0
#include "replication/device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

namespace cb::replication {
namespace {

constexpr std::uint64_t kLooked = 1u << 20;  // at either end

// The part of another copy that lies on this device; empty: none.
std::string other_copy_on(dev_t device, const std::string& folder) {
  std::error_code error;
  const std::filesystem::path own(folder);
  for (std::filesystem::directory_iterator at(own.parent_path(), error), end; !error && at != end;
       at.increment(error)) {
    if (at->path() == own) {
      continue;
    }
    for (const char* part : {"log", "home"}) {
      const std::string path = at->path() / part;
      struct stat info {};
      if (::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode) && info.st_rdev == device) {
        return path;
      }
    }
  }
  return {};
}

Result<bool> is_zero(int fd, std::uint64_t from, std::uint64_t to, const std::string& device) {
  std::vector<char> bytes(static_cast<std::size_t>(to - from));
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n =
        ::pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(from + got));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return fail(n < 0 ? errno : EIO, "read " + device);
    }
    got += static_cast<std::size_t>(n);
  }
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

// access: O_RDWR, or O_RDONLY only to look.
Result<Fd> take(const std::string& device, std::uint64_t bytes, const std::string& folder,
                bool overwrite, int access) {
  struct stat info {};
  if (::stat(device.c_str(), &info) != 0) {
    return fail(errno, "look at " + device);
  }
  if (!S_ISBLK(info.st_mode)) {
    return fail(ENOTBLK, device + " is no block device");
  }
  Fd fd(::open(device.c_str(), access | O_EXCL | O_CLOEXEC));
  if (!fd) {
    return errno == EBUSY ? fail(EBUSY, device + " is mounted, or something else holds it")
                          : fail(errno, "open " + device);
  }
  int read_only = 0;
  if (::ioctl(fd.get(), BLKROGET, &read_only) != 0 || read_only != 0) {
    return fail(EROFS, device + " can only be read");
  }
  std::uint64_t room = 0;
  if (::ioctl(fd.get(), BLKGETSIZE64, &room) != 0) {
    return fail(errno, "ask for the size of " + device);
  }
  if (room < bytes) {
    return fail(ENOSPC, device + " has " + std::to_string(room) + " bytes, " +
                            std::to_string(bytes) + " are needed");
  }
  if (overwrite) {
    return fd;
  }
  if (const std::string other = other_copy_on(info.st_rdev, folder); !other.empty()) {
    return fail(EEXIST, other + " lies on " + device + ": another copy of a volume");
  }
  CB_TRY(begin, is_zero(fd.get(), 0, std::min(room, kLooked), device));
  CB_TRY(end, is_zero(fd.get(), room - std::min(room, kLooked), room, device));
  if (!begin || !end) {
    return fail(EEXIST, device +
                            " holds something (a file system, a partition table, an older copy): "
                            "if nobody needs it, fill it with zeros: blkdiscard -z " +
                            device);
  }
  return fd;
}

}  // namespace

Result<Fd> claim_device(const std::string& device, std::uint64_t bytes, const std::string& folder,
                        bool overwrite) {
  return take(device, bytes, folder, overwrite, O_RDWR);
}

Result<> look_at_device(const std::string& device, std::uint64_t bytes, const std::string& folder,
                        bool overwrite) {
  CB_TRY_DO(take(device, bytes, folder, overwrite, O_RDONLY));
  return {};
}

bool is_one_device(const std::string& a, const std::string& b) {
  struct stat one {};
  struct stat other {};
  return !a.empty() && !b.empty() &&
         (a == b ||
          (::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && S_ISBLK(one.st_mode) &&
           S_ISBLK(other.st_mode) && one.st_rdev == other.st_rdev));
}

}  // namespace cb::replication
