// SPDX-License-Identifier: Apache-2.0
//
// What `crossbeat-volume check` says, and what the monitor is told of the peer and of histories.
#pragma once

#include <string>

#include "core/volume/state.h"
#include "replication/files.h"
#include "replication/json.h"
#include "replication/mending.h"

namespace cb::replication {

std::string report(const Found& found, bool json);

// The peer as its newest Hello told; null before one was heard in this life of the stream.
Json peer_of(const core::volume::State& state);
// The home image: blocks that were not what was written, and how far the scrub is.
Json image_of(const SumsFacts& facts, bool checks, const ScrubFacts& scrub);
// The epochs of both copies.
Json history_of(const core::volume::State& state);

}  // namespace cb::replication
