// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_errands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "drivers/volume/kernel_file.h"
#include "drivers/volume/loop_device.h"
#include "drivers/volume/ublk_control.h"

namespace cb::volume {

namespace {

Report failure(int error, const std::string& what) { return Report::failure(fail(error, what)); }

// Only when it is another: the kernel waits for all requests in flight before it takes it.
Result<> make(const std::string& path, const std::string& value) {
  CB_TRY(now, read_all(path, 4096));
  const auto is_chosen = now.find("[" + value + "]") != std::string::npos;
  return trim(now) == value || is_chosen ? Result<>() : set_kernel_file(path, value);
}

bool has_open(const std::filesystem::path& process, dev_t device) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(process / "fd", error), end; !error && at != end;
       at.increment(error)) {
    struct stat facts {};
    if (::stat(at->path().c_str(), &facts) == 0 && S_ISBLK(facts.st_mode) &&
        facts.st_rdev == device) {
      return true;
    }
  }
  return false;
}

// The process that has the device open; empty: none.
std::string opener_of(dev_t device) {
  const std::string self = std::to_string(::getpid());
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end;
       at.increment(error)) {
    std::string name = at->path().filename();
    if (name != self && parse_number(name) && has_open(at->path(), device)) {
      return name;
    }
  }
  return {};
}

}  // namespace

Report settle_ublk(std::uint32_t number, unsigned requests) {
  const std::string queue = ublk_queue_path(number);
  auto settled = make(queue + "scheduler", "none");
  if (settled) {
    settled = make(queue + "nr_requests", std::to_string(requests));
  }
  if (!settled) {
    return Report::failure(settled.error());
  }
  const std::string path = ublk_device_path(number);
  const Fd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!device) {
    return failure(errno, "open " + path);
  }
  return ::fsync(device.get()) == 0 ? Report::success(0) : failure(errno, "flush " + path);
}

Report check_ublk_unused(std::uint32_t number) {
  const std::string path = ublk_device_path(number);
  Fd device(::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
  if (!device) {
    return failure(errno, "open " + path);  // EBUSY: mounted, swap, device mapper ...
  }
  struct stat facts {};
  if (::fstat(device.get(), &facts) != 0) {
    return failure(errno, "look at " + path);
  }
  device.reset();
  if (const std::string pid = opener_of(facts.st_rdev); !pid.empty()) {
    return failure(EBUSY, path + " is open in process " + pid);
  }
  if (!loop_devices_on(path).empty()) {
    return failure(EBUSY, path + " has a loop device on it");
  }
  return Report::success(0);
}

}  // namespace cb::volume
