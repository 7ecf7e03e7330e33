// SPDX-License-Identifier: Apache-2.0
// lease.h - the arithmetic of grants (DESIGN.md section 5). The counting itself is in
// bpf/heartbeat.h, which runs in the kernel.
#pragma once

#include "base/instant.h"

namespace cb::core {

// Two crystal oscillators differ by less than this (500 ppm is generous), and a floor for reading
// clocks.
Duration drift_margin(Duration grant) noexcept;

// When a grantor that has stopped granting may start to serve.
Instant lease_closed_at(Instant granted_until, Duration longest_grant) noexcept;

// The grant that a standby gives with this timing: a little shorter than detection, so that waiting
// it out costs nothing.
Duration grant_for(Duration detection) noexcept;

}  // namespace cb::core
