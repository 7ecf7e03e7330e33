// SPDX-License-Identifier: Apache-2.0
//
// What this machine has left, for whoever asks whether it could serve one more instance: drill and
// status show it before a takeover, not after.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/json.h"

namespace cb::agent {

struct Resources {
  std::uint64_t memory_total_mb = 0;
  std::uint64_t memory_available_mb = 0;
  double load = 0;  // of the last minute
  unsigned processors = 0;
  std::uint64_t disk_total_mb = 0;  // where the volumes and the event log lie
  std::uint64_t disk_free_mb = 0;
  unsigned pairings = 0;
  unsigned serving_now = 0;
};

// From /proc and the file system of <root>/var/lib/crossbeat; what cannot be read stays 0.
Resources read_resources(const std::string& root);
// From the text of /proc/meminfo and /proc/loadavg.
void take_meminfo(Resources& resources, std::string_view text);
void take_loadavg(Resources& resources, std::string_view text);

// One line for each thing that is short; empty when nothing speaks against a takeover.
std::vector<std::string> doubts_about(const Resources& resources);
Json to_json(const Resources& resources);

}  // namespace cb::agent
