// SPDX-License-Identifier: Apache-2.0
//
// The back ends that there are: an explicit list, made from what the monitor configured.
#pragma once

#include <string>

#include "replication/process.h"

namespace cb::replication {

// program: this program's own path, which is executed as the keeper of the block device and for the
// self-test of ublk.
Makers real_makers(loop::Hands& hands, const Places& places, const std::string& program);

}  // namespace cb::replication
