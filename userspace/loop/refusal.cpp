// SPDX-License-Identifier: Apache-2.0
#include "loop/refusal.h"

#include <cerrno>
#include <string>

#include "base/file.h"
#include "base/text.h"

namespace cb::loop {

Error explain_refusal(int error, std::optional<int> disabled, bool filtered) {
  const std::string what = "io_uring is refused: ";
  const std::string filter =
      "a seccomp filter forbids it. Allow io_uring_setup, io_uring_enter and io_uring_register in "
      "the container's profile, or in SystemCallFilter= of the unit";
  if (error == EPERM && disabled == 2) {
    return fail(error, what +
                           "kernel.io_uring_disabled is 2, so nobody may use it. Run: sysctl -w "
                           "kernel.io_uring_disabled=0, and look for the setting in /etc/sysctl.d");
  }
  if (error == EPERM && disabled == 1) {
    return fail(error, what +
                           "kernel.io_uring_disabled is 1, so it needs CAP_SYS_ADMIN or the group "
                           "of kernel.io_uring_group. Run as root, or: sysctl -w "
                           "kernel.io_uring_disabled=0");
  }
  if ((error == EPERM || error == ENOSYS || error == EACCES) && filtered) {
    return fail(error, what + filter);
  }
  if (error == ENOSYS) {
    return fail(error, what +
                           "this kernel has none. Use a kernel from 5.15 on with CONFIG_IO_URING; "
                           "Debian's have it");
  }
  if (error == EPERM || error == EACCES) {
    return fail(error,
                what +
                    "something forbids it (a security module?). Look into the kernel log and "
                    "the audit log");
  }
  if (error == ENOMEM) {
    return fail(error,
                what +
                    "the limit of locked memory is too low. Raise it: LimitMEMLOCK=infinity in "
                    "the unit, or ulimit -l unlimited");
  }
  if (error == EMFILE || error == ENFILE) {
    return fail(error, what + "too many open files. Raise LimitNOFILE= in the unit");
  }
  return fail(error, what + "io_uring_setup failed");
}

Error explain_refusal_here(int error) {
  std::optional<int> disabled;
  if (const auto setting = read_all("/proc/sys/kernel/io_uring_disabled", 64)) {
    if (const auto number = parse_number(trim(*setting), 2)) {
      disabled = static_cast<int>(*number);
    }
  }
  bool filtered = false;
  if (const auto status = read_all("/proc/self/status", 64 << 10)) {
    filtered = status->find("\nSeccomp:\t2") != std::string::npos;
  }
  return explain_refusal(error, disabled, filtered);
}

}  // namespace cb::loop
