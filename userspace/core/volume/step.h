// SPDX-License-Identifier: Apache-2.0
//
// The whole decision of one node's copy of a volume. Pure: no clock, log, allocation or system
// call. The state is changed in place, since it holds batches being composed.
//
// The owner starts the actions in order, after the step; it keeps every payload, in memory or on
// disk, and the core never sees one.
#pragma once

#include "core/volume/action.h"
#include "core/volume/event.h"
#include "core/volume/state.h"

namespace cb::core::volume {

// The state before Started. map: the owner's memory, read from disk if record.map says so, else
// zeros.
void begin(State& state, const Settings& settings, const DirtyMap& map);

Actions step(State& state, const Event& event, Instant now);

// Whether a Write of this length may be given now. It is refused while the writer is not serving,
// and while the log has no room: the front end waits, and asks again after any step.
bool can_take(const State& state, uint64_t length);

Instant next_deadline(const State& state);

// Whether this node acknowledges without its peer, by the rule and the record.
bool acknowledges_alone(const State& state);

// Whether the log lacks what was durable in it once: only the peer can mend that.
bool damaged(const State& state);

// Whether it would be right to promote this node, as far as itself can know.
bool eligible(const State& state);

}  // namespace cb::core::volume
