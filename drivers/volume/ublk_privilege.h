// SPDX-License-Identifier: Apache-2.0
//
// This thread without CAP_SYS_ADMIN, while the object lives.
#pragma once

#include <linux/capability.h>

#include <array>

namespace cb::volume {

class WithoutAdministration {
 public:
  WithoutAdministration() noexcept;
  ~WithoutAdministration();
  WithoutAdministration(const WithoutAdministration&) = delete;
  WithoutAdministration& operator=(const WithoutAdministration&) = delete;

 private:
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> before_{};
  bool changed_ = false;
};

}  // namespace cb::volume
