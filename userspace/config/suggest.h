// SPDX-License-Identifier: Apache-2.0
//
// "did you mean": the nearest of the words that would have been right.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cb::config {

// Letters to insert, remove, replace or swap to make one of the other. Long words are cut at 64.
std::size_t distance(std::string_view a, std::string_view b);

// "; did you mean 'interval'?", or "" when nothing is near.
std::string suggestion(std::string_view written, std::span<const std::string> known);

// "a, b or c"
std::string alternatives(std::span<const std::string> known);

}  // namespace cb::config
