// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_privilege.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace cb::volume {

namespace {

constexpr __u32 kAdministration = CAP_TO_MASK(CAP_SYS_ADMIN);

__user_cap_header_struct this_thread() {
  return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

}  // namespace

WithoutAdministration::WithoutAdministration() noexcept {
  auto header = this_thread();
  if (::syscall(SYS_capget, &header, before_.data()) != 0) {
    return;
  }
  auto less = before_;
  less[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~kAdministration;
  changed_ = ::syscall(SYS_capset, &header, less.data()) == 0;
}

WithoutAdministration::~WithoutAdministration() {
  if (changed_) {
    auto header = this_thread();
    static_cast<void>(::syscall(SYS_capset, &header, before_.data()));
  }
}

}  // namespace cb::volume
