// SPDX-License-Identifier: Apache-2.0
//
// What `crossbeat-volume check` says.
#pragma once

#include <string>

#include "replication/files.h"

namespace cb::replication {

std::string report(const Found& found, bool json);

}  // namespace cb::replication
