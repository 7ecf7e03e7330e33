// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/fuse_mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/fd.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/fuse_kernel.h"
#include "drivers/volume/loop_device.h"

namespace cb::volume {

namespace {

constexpr int kMountsMax = 16;  // of dead processes, one on another

// An errand of a process that was killed may still be on its way.
Result<Fd> lock(const MountPlan& plan) {
  Fd fd(::open(plan.lock_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return fail(errno, "open " + plan.lock_path());
  }
  if (::flock(fd.get(), LOCK_EX) != 0) {
    return fail(errno, "lock " + plan.lock_path());
  }
  return fd;
}

Result<> unmount_all(const MountPlan& plan) {
  for (int i = 0; i < kMountsMax; ++i) {
    if (::umount2(plan.folder.c_str(), MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      return errno == EINVAL || errno == ENOENT ? Result<>()
                                                : fail(errno, "unmount " + plan.folder);
    }
  }
  return {};
}

Result<> mount_anew(const MountPlan& plan) {
  CB_TRY(locked, lock(plan));
  if (is_connected(plan.fuse)) {
    return {};
  }
  for (const int number : loop_devices_on(plan.file())) {
    CB_TRY_DO(give_up_loop_device(number));
  }
  CB_TRY_DO(unmount_all(plan));
  if (::mkdir(plan.folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(errno, "make the folder " + plan.folder);
  }
  if (::chmod(plan.folder.c_str(), 0700) != 0) {
    return fail(errno, "set the mode of " + plan.folder);
  }
  const std::string options =
      "fd=" + std::to_string(plan.fuse) + ",rootmode=40000,user_id=" + std::to_string(::getuid()) +
      ",group_id=" + std::to_string(::getgid()) + ",max_read=" + std::to_string(kRequestMax);
  if (::mount("crossbeat", plan.folder.c_str(), "fuse.crossbeat",
              MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, options.c_str()) != 0) {
    return fail(errno, "mount a FUSE file system on " + plan.folder);
  }
  return {};
}

Result<int> attach(const MountPlan& plan) {
  CB_TRY(locked, lock(plan));
  int number = -1;
  const std::vector<int> there = loop_devices_on(plan.file());
  if (!there.empty()) {
    number = there.front();
    CB_TRY_DO(grow_loop_device(number, plan.file(), plan.bytes));
  } else {
    const Fd file(::open(plan.file().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!file) {
      return fail(errno, "open " + plan.file());
    }
    CB_TRY(made, make_loop_device(file.get(), plan.file(), plan.file()));
    number = made;
  }
  CB_TRY_DO(check_loop_device(number, plan.bytes));
  return number;
}

Result<> detach(const MountPlan& plan) {
  CB_TRY(locked, lock(plan));
  for (const int number : loop_devices_on(plan.file())) {
    CB_TRY_DO(remove_loop_device(number));
  }
  CB_TRY_DO(unmount_all(plan));
  if (::rmdir(plan.folder.c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove the folder " + plan.folder);
  }
  return {};
}

Report report_of(const Result<>& result) {
  return result ? Report::success(0) : Report::failure(result.error());
}

}  // namespace

std::string MountPlan::file() const { return folder + "/" + kFileName; }
std::string MountPlan::lock_path() const { return folder + ".errand"; }

bool is_connected(int fuse) {
  pollfd look = {.fd = fuse, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, 0) >= 0 && (look.revents & POLLERR) == 0;
}

Report mount_volume(const MountPlan& plan) { return report_of(mount_anew(plan)); }

Report attach_device(const MountPlan& plan) {
  const auto number = attach(plan);
  return number ? Report::success(*number) : Report::failure(number.error());
}

Report flush_device(int number) {
  const auto on = set_write_cache(number, true);
  return report_of(on ? flush_loop_device(number) : on);
}

Report end_write_cache(int number) { return report_of(set_write_cache(number, false)); }

Report detach_device(const MountPlan& plan) { return report_of(detach(plan)); }

}  // namespace cb::volume
