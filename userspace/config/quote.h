// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cb::config {

// A TOML basic string, on one line. Control characters become '?', and what is beyond 1024
// characters is cut: neither can be read back (reader.h).
std::string quoted(std::string_view text);

}  // namespace cb::config
