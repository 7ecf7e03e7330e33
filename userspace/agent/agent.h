// SPDX-License-Identifier: Apache-2.0
//
// The monitor as a whole: opens every edge, makes an Instance for each pairing (or one for an
// unpaired primary), and turns the loop until told to stop. It decides nothing: core/step.h does.
#pragma once

#include <string>
#include <vector>

#include "config/ir.h"

namespace cb::agent {

struct Options {
  std::string root;  // prefix of all paths; empty: /
};

// Runs to the end; returns the exit code. Problems are printed to stderr before the log is open,
// logged after.
int run(const Options& options, config::Node node, std::vector<config::Pair> pairs);

}  // namespace cb::agent
