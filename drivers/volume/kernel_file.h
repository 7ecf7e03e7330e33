// SPDX-License-Identifier: Apache-2.0
//
// A file of sysfs or procfs that sets something.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace cb::volume {

// The error is the errno with which the kernel refused it.
Result<> set_kernel_file(const std::string& path, std::string_view text);

}  // namespace cb::volume
