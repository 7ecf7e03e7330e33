// SPDX-License-Identifier: Apache-2.0
//
// ladder.h - up and down, as data (DESIGN.md section 6). A ladder is a constant list of rungs; some
// are left out by the settings or by what the ladder is walked for. step() offers one rung at a
// time and the next only after the edge has confirmed it.
#pragma once

#include <span>

#include "core/action.h"
#include "core/state.h"

namespace cb::core {

// What happens when a rung fails or is late.
enum class OnFailure : uint8_t {
  Abort,     // give the climb up: leave nothing standing
  Continue,  // report it and go on: what follows matters more
  Retry,     // stay on this rung and try again, a few times; then go on without it
};

struct Rung {
  ActionKind kind = ActionKind::None;
  OnFailure on_failure = OnFailure::Abort;
};

// The whole list for this state's goal and settings, without the conditional rungs' choice.
std::span<const Rung> rungs_of(const State& state) noexcept;

// Is this rung walked, given settings and goal?
bool applies(const State& state, const Rung& rung) noexcept;

// The first rung at or after `from` that applies; the list's size when there is none.
uint8_t next_rung(const State& state, uint8_t from) noexcept;

// How long its edge may take.
Duration deadline_of(const Settings& settings, ActionKind kind) noexcept;

}  // namespace cb::core
