// SPDX-License-Identifier: Apache-2.0
//
// peer_columns.h - what a peer may say.
#pragma once

#include <string>
#include <vector>

#include "tests/core/driver.h"

namespace cb::table {

struct Word {
  std::string what;
  core::PeerFacts facts;
};

// Everything that the peer of this node could say now.
std::vector<Word> words_of_peer(const core::Driver& node);

}  // namespace cb::table
