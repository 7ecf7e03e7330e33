// SPDX-License-Identifier: Apache-2.0
//
// arbitration.h - dead, or cut off? The question that two nodes cannot answer alone (DESIGN.md
// section 5). The edge asks what is configured, in order, and combines the voices here; the state
// machine decides here whether an answer is still about the present.
#pragma once

#include <optional>

#include "core/state.h"

namespace cb::core {

// What each configured voice said; nothing: not answered in time.
struct Voices {
  std::optional<bool> gateway_answers;   // our gateway's ARP answer
  std::optional<bool> address_defended;  // somebody answered for the virtual address
  std::optional<bool> witness_granted;
};

// Combines the voices of a configured list. Every configured voice must agree; the first that does
// not names the verdict, in the order gateway, address, witness. A fence is not a voice but a rung
// of the up ladder, so a list of nothing but a fence (or of nothing but the accepted risk) is
// granted here.
Verdict verdict_of(uint8_t arbitration, const Voices& voices) noexcept;

// Must the edge be asked at all with this list?
bool needs_asking(uint8_t arbitration) noexcept;

// How long the peer must have stayed unheard after a verdict before it counts: the verdict may have
// come through a network that has just healed, and then a probe sent after it is answered.
Duration confirm_of(const Settings& settings) noexcept;

// When the answer to `question`, if it grants, counts about a peer last heard at `heard_at`;
// nothing if it does not grant, is not there, or is about an earlier silence.
std::optional<Instant> granted_from(const Question& question, const Settings& settings,
                                    Instant heard_at) noexcept;

// The longest wait between two questions about one silence.
Duration ask_again_after(const Settings& settings) noexcept;

}  // namespace cb::core
