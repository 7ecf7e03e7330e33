// SPDX-License-Identifier: Apache-2.0
//
// Changes single keys of a TOML file and leaves all the rest, comments too, as somebody wrote it.
#pragma once

#include <string>

namespace cb::cli::setup {

// [table] key = value, with value already in TOML. The table, or the key, is added when it is not
// there. Only for tables that are written with a header of their own.
std::string with_key(const std::string& toml, const std::string& table, const std::string& key,
                     const std::string& value);
std::string without_key(const std::string& toml, const std::string& table, const std::string& key);

}  // namespace cb::cli::setup
