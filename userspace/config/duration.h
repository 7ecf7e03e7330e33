// SPDX-License-Identifier: Apache-2.0
//
// Durations as the configuration writes them: a number and a unit, "250us", "1.5s", "15min".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"

namespace cb::config {

// Units: ns us ms s min h. Not negative; at most nine digits on either side of the point; exact in
// nanoseconds. A bare number has no unit and is nullopt, also "0".
std::optional<Duration> parse_duration(std::string_view text);

// An exact form: parse_duration(duration_text(d)) == d for every d from 0 to thirty years.
std::string duration_text(Duration duration);

}  // namespace cb::config
