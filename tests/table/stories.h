// SPDX-License-Identifier: Apache-2.0
//
// stories.h - small pieces that places and columns share.
#pragma once

#include "tests/core/driver.h"

namespace cb::table {

inline core::Role other(core::Role role) {
  return role == core::Role::Primary ? core::Role::Secondary : core::Role::Primary;
}

// The ledger has answered, so that a place is about the rung and not about the disk.
inline void settle(core::Driver& d) {
  for (int i = 0; i < 10 && d.state.persist != 0; ++i) {
    d.answer(core::ActionKind::PersistLedger);
  }
}

inline void link(core::Driver& d, core::EventKind kind, core::Link which) {
  core::Event e;
  e.kind = kind;
  e.link = which;
  d.step(e);
}

// A peer that has just started as well and commands nothing.
inline core::PeerFacts starting_peer(core::Role role) {
  core::PeerFacts f = core::peer_facts(role, 0, 1);
  f.state = core::StateName::Terminated;
  f.sub_state = core::SubState::Starting;
  return f;
}

}  // namespace cb::table
