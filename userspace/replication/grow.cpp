// SPDX-License-Identifier: Apache-2.0
#include "replication/grow.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/fd.h"
#include "core/volume/types.h"
#include "replication/files.h"
#include "replication/sums.h"

namespace cb::replication {
namespace {

constexpr std::size_t kFilledAtOnce = 1u << 20;

struct Part {
  Fd fd;
  std::uint64_t bytes = 0;
  std::uint64_t allocated = 0;
  bool device = false;
};

Result<Part> open_part(const std::string& path, int flags) {
  Part part;
  part.fd = Fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!part.fd) {
    return fail(errno, "open " + path);
  }
  struct stat info {};
  if (::fstat(part.fd.get(), &info) != 0) {
    return fail(errno, "look at " + path);
  }
  part.device = S_ISBLK(info.st_mode);
  part.bytes = static_cast<std::uint64_t>(info.st_size);
  part.allocated = static_cast<std::uint64_t>(info.st_blocks) * 512;
  if (part.device && ::ioctl(part.fd.get(), BLKGETSIZE64, &part.bytes) != 0) {
    return fail(errno, "ask for the size of " + path);
  }
  return part;
}

Result<> check_room(const Part& home, const std::string& path, std::uint64_t bytes) {
  std::uint64_t room = home.bytes;
  if (!home.device) {
    struct statvfs system {};
    if (::fstatvfs(home.fd.get(), &system) != 0) {
      return fail(errno, "look at the file system of " + path);
    }
    room = home.allocated + std::uint64_t{system.f_bavail} * system.f_frsize;
  }
  if (room < bytes) {
    return fail(ENOSPC, path + " has room for " + std::to_string(room) + " bytes, " +
                            std::to_string(bytes) + " are wanted");
  }
  return {};
}

Result<> fill_with_zeros(int fd, std::uint64_t from, std::uint64_t to, const std::string& path) {
  const std::vector<std::byte> zeros(kFilledAtOnce);
  while (from < to) {
    const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(to - from, kFilledAtOnce));
    const ssize_t put = ::pwrite(fd, zeros.data(), now, static_cast<off_t>(from));
    if (put <= 0 && errno != EINTR) {
      return fail(put < 0 ? errno : EIO, "write " + path);
    }
    from += static_cast<std::uint64_t>(std::max<ssize_t>(put, 0));
  }
  return {};
}

Result<> empty(const Part& home, std::uint64_t from, std::uint64_t to, const std::string& path) {
  if (home.device) {
    std::uint64_t range[2] = {from, to - from};
    return ::ioctl(home.fd.get(), BLKZEROOUT, &range) == 0
               ? Result<>()
               : fail(errno, "fill " + path + " with zeros");
  }
  const std::uint64_t end = std::min(home.bytes, to);
  if (from < end && ::fallocate(home.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(from), static_cast<off_t>(end - from)) != 0) {
    CB_TRY_DO(fill_with_zeros(home.fd.get(), from, end, path));
  }
  if (home.bytes < to && ::ftruncate(home.fd.get(), static_cast<off_t>(to)) != 0) {
    return fail(errno, "make " + path + " longer");
  }
  return {};
}

Result<> make_durable(const Part& part, const std::string& path) {
  return ::fsync(part.fd.get()) == 0 ? Result<>() : fail(errno, "make " + path + " durable");
}

// Room that is there, so that a write into it never fails for want of it.
Result<> reserve(const Part& part, std::uint64_t bytes, const std::string& path) {
  if (part.bytes < bytes && ::fallocate(part.fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    return fail(errno, "reserve the room of " + path);
  }
  return {};
}

}  // namespace

Result<> room_for(const std::string& folder, std::uint64_t bytes) {
  CB_TRY(home, open_part(folder + "/home", O_RDONLY));
  return check_room(home, folder + "/home", bytes);
}

Result<> grow_files(const std::string& folder, std::uint64_t from, std::uint64_t bytes) {
  const std::string image = folder + "/home";
  CB_TRY(home, open_part(image, O_RDWR));
  CB_TRY_DO(check_room(home, image, bytes));
  CB_TRY_DO(empty(home, from, bytes, image));
  CB_TRY_DO(make_durable(home, image));
  // Of a block that was never written nothing is known.
  const std::string sums = folder + "/sums";
  if (auto part = open_part(sums, O_RDWR); part) {
    const std::uint64_t end = Sums::sum_bytes(bytes);
    CB_TRY_DO(reserve(*part, end, sums));
    CB_TRY_DO(fill_with_zeros(part->fd.get(), from / core::volume::kBlock * sizeof(std::uint32_t),
                              end, sums));
    CB_TRY_DO(make_durable(*part, sums));
  } else if (part.error().code != ENOENT) {
    return part.error();
  }
  const std::string map = folder + "/map";
  CB_TRY(bits, open_part(map, O_RDWR));
  CB_TRY_DO(reserve(bits, 2 * map_slot_bytes(bytes), map));
  return make_durable(bits, map);
}

}  // namespace cb::replication
