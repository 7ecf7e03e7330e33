// SPDX-License-Identifier: Apache-2.0
// detector.h - is a link silent, is the peer? A pure value type, sans I/O (DESIGN.md section 4).
//
// A probe is unanswered when it verifiably left and its deadline has passed without an answer to it
// or to a later one. A link is silent after probes_lost consecutive unanswered probes and no fresh
// frame of the peer since the first of them left. Time in which we sent nothing produces no
// unanswered probes, so our own stall proves nothing. The caller drains everything that has
// arrived, reads the clock once, fills LinkViews, and judges last.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fixed_list.h"
#include "core/event.h"
#include "core/types.h"

namespace cb::core {

struct LinkTiming {
  Duration interval{};       // between probes
  Duration answer_within{};  // deadline of one probe
  int probes_lost = 0;  // consecutive unanswered probes that make silence; <= CB_PROBE_RING / 2
};

// One link as the maps show it after the drain.
struct LinkView {
  bool configured = false;
  bool carrier =
      true;  // false: our own end of the link is down: it is silent at once, whatever was sent
  uint64_t sent_sequence = 0;         // newest probe that left (0: none)
  uint64_t answered_sequence = 0;     // newest that was answered (0: none)
  Instant frame_at;                   // newest fresh frame of the peer (zero: none)
  std::span<const uint64_t> sent_ns;  // ring of CB_PROBE_RING send stamps; 0: that probe never left
};

struct Detector {
  enum class Link : uint8_t { Unknown, Answers, Silent };
  std::array<LinkTiming, kLinks> timing{};
  std::array<Link, kLinks> link{};
  std::array<int, kLinks> unanswered{};  // consecutive, overdue
  std::array<Instant, kLinks>
      silent_at{};  // when it became silent: only a younger frame brings it back
  bool suspect = false;
  bool peer_silent = false;
  bool flickered = false;  // silent, and a link has answered since, for a moment
  bool ever_heard = false;
};

// LinkSilent, LinkAnswered; PeerSuspect (every link has overdue probes; it ends in PeerSilent or in
// PeerAnswered), PeerSilent, PeerAnswered.
using Judged = FixedList<Event, 8>;

// How many probes of this link are overdue in a row at `now`.
int overdue(const LinkView& view, const LinkTiming& timing, Instant now) noexcept;

// Judges all links at once and updates the detector.
Judged judge(Detector& detector, const std::array<LinkView, kLinks>& views, Instant now) noexcept;

// When judge() could next change its mind if nothing arrives; Instant::never() if nothing is
// outstanding.
Instant next_judgement(const Detector& detector, const std::array<LinkView, kLinks>& views,
                       Instant now) noexcept;

// Is the peer's monitor past its grace? `age` is what the newest fresh frame said, so it is the
// peer's own clock at the moment of sending: from `grace` on its guard had closed a leased address.
// Call it only when a frame has arrived.
struct MonitorWatch {
  bool stale = false;
};
std::optional<EventKind> judge_monitor(MonitorWatch& watch, Duration age, Duration grace) noexcept;

}  // namespace cb::core
