// SPDX-License-Identifier: Apache-2.0
//
// What holds on the machine before the wizard asks.
#pragma once

#include <string>
#include <vector>

#include "cli/setup/answers.h"
#include "cli/setup/machine.h"

namespace cb::cli::setup {

struct Current {
  std::string root;
  bool live = false;
  bool configured = false;  // there is a crossbeat.toml
  Answers answers;          // as it is now; empty texts where nothing is set
  config::MachineFacts facts;
  std::vector<std::string> peers;  // with whom this node is paired
  bool pairings_unknown = false;   // they exist but cannot be read
  bool monitor_runs = false;
};

// Where the answers of the last run are kept: an answer file that could be used again.
inline constexpr const char* kSavedAnswers = "/var/lib/crossbeat/setup.toml";

Result<Current> read_current(const std::string& root, Machine& machine);

}  // namespace cb::cli::setup
