// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/loop_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/kernel_file.h"

namespace cb::volume {

namespace {

constexpr int kTries = 16;  // somebody else may take the free device first

Result<Fd> open_device(int number, int flags) {
  const std::string path = loop_device_path(number);
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) {
    return fail(errno, "open " + path);
  }
  return fd;
}

Result<loop_info64> look_at(const Fd& device, int number) {
  loop_info64 info{};
  if (::ioctl(device.get(), LOOP_GET_STATUS64, &info) != 0) {
    return fail(errno, "look at " + loop_device_path(number));
  }
  return info;
}

Result<std::uint64_t> discard_limit(int number) {
  const std::string path = "/sys/block/loop" + std::to_string(number) + "/queue/discard_max_bytes";
  CB_TRY(text, read_all(path, 64));
  const auto limit = parse_number(trim(text));
  if (!limit) {
    return fail(EPROTO, "read " + path);
  }
  return *limit;
}

// Ignored where it fails: the device is gone, and whoever makes the next one may set it, too.
void leave_write_cache_on(int number) { static_cast<void>(set_write_cache(number, true)); }

}  // namespace

std::string loop_device_path(int number) { return "/dev/loop" + std::to_string(number); }

std::vector<int> loop_devices_on(const std::string& path) {
  std::vector<int> found;
  std::error_code error;
  constexpr std::string_view kPrefix = "loop";
  for (std::filesystem::directory_iterator at("/sys/block", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    if (!name.starts_with(kPrefix)) {
      continue;
    }
    const auto number = parse_number(std::string_view(name).substr(kPrefix.size()), 1u << 20);
    const auto backing = read_all("/sys/block/" + name + "/loop/backing_file", 8192);
    if (number && backing && trim(*backing) == path) {
      found.push_back(static_cast<int>(*number));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<int> make_loop_device(int file, const std::string& name, const std::string& path) {
  const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) {
    return fail(errno, "open /dev/loop-control (is the module loop there?)");
  }
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.block_size = kRequestAlign;
  config.info.lo_flags = LO_FLAGS_DIRECT_IO;
  // The end of a long name says more than its beginning.
  const std::size_t room = sizeof config.info.lo_file_name - 1;
  const std::string shown = name.size() > room ? name.substr(name.size() - room) : name;
  std::memcpy(config.info.lo_file_name, shown.data(), shown.size());
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
      return fail(errno, "find a free loop device");
    }
    CB_TRY(device, open_device(number, O_RDWR));
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      // A device that somebody once set read-only (blockdev --setro) stays so for its next users.
      const int writable = 0;
      if (::ioctl(device.get(), BLKROSET, &writable) != 0) {
        const int error = errno;
        (void)::ioctl(device.get(), LOOP_CLR_FD);  // ignored: the first error is the one to tell
        return fail(error, "make " + loop_device_path(number) + " writable");
      }
      return number;
    }
    if (errno != EBUSY) {
      return fail(errno, "attach " + loop_device_path(number) + " to " + path);
    }
  }
  return fail(EBUSY, "find a free loop device");
}

Result<> check_loop_device(int number, std::uint64_t bytes) {
  const std::string path = loop_device_path(number);
  CB_TRY(device, open_device(number, O_RDWR));
  CB_TRY(info, look_at(device, number));
  if ((info.lo_flags & LO_FLAGS_DIRECT_IO) == 0) {
    return fail(EOPNOTSUPP, path + " has no direct I/O");
  }
  if ((info.lo_flags & (LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY)) != 0) {
    return fail(EBUSY, path + " is read-only or about to be taken away");
  }
  std::uint64_t size = 0;
  int block = 0;
  if (::ioctl(device.get(), BLKGETSIZE64, &size) != 0 ||
      ::ioctl(device.get(), BLKSSZGET, &block) != 0) {
    return fail(errno, "look at " + path);
  }
  if (size != bytes || block != static_cast<int>(kRequestAlign)) {
    return fail(EPROTO, path + " has " + std::to_string(size) + " bytes in blocks of " +
                            std::to_string(block) + ", not " + std::to_string(bytes));
  }
  CB_TRY(discard, discard_limit(number));
  if (discard == 0) {
    return fail(EOPNOTSUPP, path + " cannot discard");
  }
  return {};
}

Result<> grow_loop_device(int number, const std::string& path, std::uint64_t bytes) {
  CB_TRY(device, open_device(number, O_RDWR));
  std::uint64_t size = 0;
  if (::ioctl(device.get(), BLKGETSIZE64, &size) != 0) {
    return fail(errno, "look at " + loop_device_path(number));
  }
  if (size >= bytes) {
    return {};
  }
  // Older kernels take the size that was last asked for.
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0 || ::ioctl(device.get(), LOOP_SET_CAPACITY) != 0) {
    return fail(errno, "make " + loop_device_path(number) + " longer");
  }
  return {};
}

Result<> set_write_cache(int number, bool on) {
  const std::string path = "/sys/block/loop" + std::to_string(number) + "/queue/write_cache";
  const std::string_view wanted = on ? "write back" : "write through";
  CB_TRY(before, read_all(path, 64));
  if (trim(before) == wanted) {
    return {};
  }
  CB_TRY_DO(set_kernel_file(path, wanted));
  CB_TRY(after, read_all(path, 64));
  return trim(after) == wanted ? Result<>()
                               : fail(EPROTO, path + " stays \"" + std::string(trim(after)) + "\"");
}

Result<> flush_loop_device(int number) {
  CB_TRY(device, open_device(number, O_RDWR));
  if (::fsync(device.get()) != 0) {
    return fail(errno, "flush " + loop_device_path(number));
  }
  return {};
}

// LOOP_CLR_FD on a device that is open elsewhere succeeds and clears it at the last close. That is
// taken back: nobody shall find a device gone some time later, and attached anew to something else.
Result<> remove_loop_device(int number) {
  const std::string path = loop_device_path(number);
  CB_TRY(device, open_device(number, O_RDWR | O_EXCL));  // EBUSY: mounted, swap, device mapper ...
  CB_TRY(before, look_at(device, number));
  if (::ioctl(device.get(), LOOP_CLR_FD) != 0) {
    return fail(errno, "detach " + path);
  }
  auto after = look_at(device, number);
  if (!after) {
    leave_write_cache_on(number);
    return {};
  }
  after->lo_flags = before.lo_flags & ~static_cast<std::uint32_t>(LO_FLAGS_AUTOCLEAR);
  if (::ioctl(device.get(), LOOP_SET_STATUS64, &*after) != 0) {
    return fail(errno, "keep " + path + ", which is still open somewhere");
  }
  return fail(EBUSY, path + " is open");
}

Result<> give_up_loop_device(int number) {
  CB_TRY(device, open_device(number, O_RDWR));
  leave_write_cache_on(number);
  if (::ioctl(device.get(), LOOP_CLR_FD) != 0 && errno != ENXIO) {
    return fail(errno, "detach " + loop_device_path(number));
  }
  return {};
}

}  // namespace cb::volume
