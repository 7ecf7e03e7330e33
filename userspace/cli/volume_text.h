// SPDX-License-Identifier: Apache-2.0
//
// A volume in words: its row of the status, its page, and what two histories have in common.
#pragma once

#include <optional>
#include <string>

#include "cli/view.h"

namespace cb::cli {

// The instance that is meant: the only one with a volume, or the one that was named.
const PairView* with_volume(const StatusView& view, const std::string& pairing);

// "in step", "catching up: 42.0 %, 1.2 GiB left, 210 MiB/s, about 6 s"; empty without a volume.
// What failed, and when it is tried again; empty: nothing did.
std::string volume_trouble(const PairView& pair);

std::string volume_line(const PairView& pair);

// The page of crossbeat volume status.
std::string volume_text(const PairView& pair);

std::string bytes_text(double bytes);  // "1.2 GiB"

std::string history_text(const Json& history);

struct Difference {
  bool known = false;  // the peer's history was heard
  bool split = false;  // each has an epoch that the other lacks
  bool same = false;
  std::optional<std::int64_t> parted_at;  // position
  std::string last_common;                // number of the epoch
  std::string only_here;
  std::string only_there;
};
Difference difference_of(const Json& history);
std::string difference_text(const Difference& difference);

}  // namespace cb::cli
