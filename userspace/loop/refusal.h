// SPDX-License-Identifier: Apache-2.0
//
// Why io_uring_setup was refused, and the next step, for an operator.
#pragma once

#include <optional>

#include "base/result.h"

namespace cb::loop {

// disabled: the content of /proc/sys/kernel/io_uring_disabled, or nothing when there is no such
// file; filtered: this process has a seccomp filter.
Error explain_refusal(int error, std::optional<int> disabled, bool filtered);

// The same, with what /proc says of this machine and process.
Error explain_refusal_here(int error);

}  // namespace cb::loop
