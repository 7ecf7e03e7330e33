// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cb::agent {

// The licence file, or nothing. One that is too long to be a licence is cut, and then is none.
// Blocks.
std::string read_licence(const std::string& root);

}  // namespace cb::agent
