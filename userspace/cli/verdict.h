// SPDX-License-Identifier: Apache-2.0
//
// The first line of status: who serves, is it protected, what to do. Written for somebody who was
// woken up a minute ago.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "cli/view.h"

namespace cb::cli {

struct Verdict {
  Tone tone = Tone::Caution;
  std::string word;               // "PROTECTED"
  std::string sentence;           // "mse1 serves 10.0.0.11 and mse2 stands ready."
  std::vector<std::string> next;  // what to do, most useful first; empty: nothing
};

// several: there are other pairings, so that commands must name this one.
Verdict verdict_of(const NodeView& node, const PairView& pair, bool several = false);

// For a secondary without any pairing.
Verdict verdict_unpaired_secondary(const NodeView& node);

}  // namespace cb::cli
