// SPDX-License-Identifier: Apache-2.0
//
// The chain digest: finds copies that differ, by accident of hardware or of software. It is no
// defence against an enemy; packets are sealed for that.
#pragma once

#include "core/volume/bytes.h"
#include "core/volume/types.h"

namespace cb::core::volume {

// The digest after `bytes` when `before` was the one before them.
Digest chain(const Digest& before, ConstBytes bytes) noexcept;

}  // namespace cb::core::volume
