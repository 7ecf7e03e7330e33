// SPDX-License-Identifier: Apache-2.0
//
// What the maps say about one pairing, as the core's plain values.
#pragma once

#include <array>

#include "core/detector.h"
#include "core/types.h"
#include "edge/kernel.h"

namespace cb::agent {

// The newest facts of the peer over both links. `boot` is 0 when it was never heard.
struct PeerNews {
  core::PeerFacts facts;
  Duration monitor_age{};  // as the peer's kernel said when it sent
  uint32_t grant_us = 0;
  // The peer's wall clock less our CLOCK_BOOTTIME, at the moment of the frame. (What the frame
  // carries is relative to the peer's own boot.)
  int64_t wall_offset_ns = 0;
  bool busy = false;  // was being written: look again in the next turn
};
// Of one frame, as PeerNews has it.
int64_t wall_offset_here(const cb_peer_facts& said);

PeerNews read_peer(const edge::Kernel& kernel, unsigned slot);

// Same words: what matters to the core, apart from when it was received.
bool same_facts(const core::PeerFacts& a, const core::PeerFacts& b);

using LinkViews = std::array<core::LinkView, core::kLinks>;
LinkViews read_links(const edge::Kernel& kernel, unsigned slot,
                     const std::array<bool, core::kLinks>& configured,
                     const std::array<bool, core::kLinks>& carrier);

}  // namespace cb::agent
