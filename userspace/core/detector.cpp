// SPDX-License-Identifier: Apache-2.0
#include "core/detector.h"

#include <algorithm>

#include "base/check.h"
#include "bpf/crossbeat_wire.h"

namespace cb::core {
namespace {

// Calls visit(stamp) for each probe that left, is not answered, and is younger than the peer's
// newest frame: a frame that came after a probe shows that the peer lived then.
template <class Visit>
void each_unanswered(const LinkView& view, Visit visit) noexcept {
  if (view.sent_ns.size() < CB_PROBE_RING) {
    return;
  }
  const uint64_t newest = view.sent_sequence;
  const uint64_t oldest_kept = newest >= CB_PROBE_RING ? newest - CB_PROBE_RING + 1 : 1;
  const uint64_t first = std::max(oldest_kept, view.answered_sequence + 1);
  for (uint64_t sequence = first; sequence <= newest; ++sequence) {
    const uint64_t stamp = view.sent_ns[sequence % CB_PROBE_RING];
    const Instant sent = Instant::from_ns(static_cast<int64_t>(stamp));
    if (stamp != 0 && sent > view.frame_at) {
      visit(sent);
    }
  }
}

// How many unanswered probes on a link that still answers make the peer suspect. One lost frame is
// an everyday thing; where only two or three probes decide, waiting for a second leaves no time.
int suspect_after(const LinkTiming& timing) noexcept { return timing.probes_lost >= 4 ? 2 : 1; }

Event event(EventKind kind, Link link = Link::Direct) noexcept {
  Event e;
  e.kind = kind;
  e.link = link;
  return e;
}

void judge_link(Detector& d, size_t i, const LinkView& view, Instant now, Judged& out) noexcept {
  d.unanswered[i] = overdue(view, d.timing[i], now);
  const bool silent = !view.carrier || d.unanswered[i] >= d.timing[i].probes_lost;
  if (silent) {
    if (d.link[i] != Detector::Link::Silent) {
      d.link[i] = Detector::Link::Silent;
      d.silent_at[i] = now;
      out.push(event(EventKind::LinkSilent, static_cast<Link>(i)));
    }
    return;
  }
  // Only a frame brings a link back: that fewer probes are overdue may come from our own silence.
  const bool news = view.frame_at > Instant{} &&
                    (d.link[i] == Detector::Link::Unknown || view.frame_at > d.silent_at[i]);
  if (d.link[i] != Detector::Link::Answers && news) {
    d.link[i] = Detector::Link::Answers;
    d.flickered = d.flickered || d.peer_silent;
    out.push(event(EventKind::LinkAnswered, static_cast<Link>(i)));
  }
}

}  // namespace

int overdue(const LinkView& view, const LinkTiming& timing, Instant now) noexcept {
  int count = 0;
  each_unanswered(view, [&](Instant sent) {
    if (sent + timing.answer_within <= now) {
      ++count;
    }
  });
  return count;
}

Judged judge(Detector& d, const std::array<LinkView, kLinks>& views, Instant now) noexcept {
  Judged out;
  bool configured = false;
  bool all_silent = true;
  bool all_missing = true;    // every link is silent or has at least one probe overdue
  bool some_suspect = false;  // ... and one that was answering has enough of them
  bool some_answers = false;
  for (size_t i = 0; i < views.size(); ++i) {
    if (!views[i].configured) {
      continue;
    }
    CB_CHECK(d.timing[i].probes_lost > 0);
    CB_CHECK(d.timing[i].probes_lost <= CB_PROBE_RING / 2);
    configured = true;
    judge_link(d, i, views[i], now, out);
    const bool silent = d.link[i] == Detector::Link::Silent;
    all_silent = all_silent && silent;
    all_missing = all_missing && (silent || d.unanswered[i] > 0);
    some_suspect = some_suspect || (!silent && d.unanswered[i] >= suspect_after(d.timing[i]));
    some_answers = some_answers || d.link[i] == Detector::Link::Answers;
  }
  if (!configured) {
    return out;
  }

  const bool was_gone = d.peer_silent || d.suspect || !d.ever_heard;
  if (all_silent) {
    d.suspect = false;
    // Also when a link came back for less than it takes to be answered: that silence was another
    // one.
    if (!d.peer_silent || d.flickered) {
      d.peer_silent = true;
      d.flickered = false;
      out.push(event(EventKind::PeerSilent));
    }
  } else if (all_missing && d.ever_heard && !d.peer_silent) {
    if (some_suspect && !d.suspect) {
      d.suspect = true;
      out.push(event(EventKind::PeerSuspect));
    }
  } else if (some_answers && was_gone && !all_missing) {
    d.suspect = false;
    d.peer_silent = false;
    d.flickered = false;
    d.ever_heard = true;
    out.push(event(EventKind::PeerAnswered));
  }
  return out;
}

Instant next_judgement(const Detector& d, const std::array<LinkView, kLinks>& views,
                       Instant now) noexcept {
  Instant next = Instant::never();
  for (size_t i = 0; i < views.size(); ++i) {
    if (!views[i].configured) {
      continue;
    }
    each_unanswered(views[i], [&](Instant sent) {
      const Instant due = sent + d.timing[i].answer_within;
      if (due > now) {
        next = std::min(next, due);
      }
    });
  }
  return next;
}

std::optional<EventKind> judge_monitor(MonitorWatch& watch, Duration age, Duration grace) noexcept {
  if (!watch.stale && age >= grace) {
    watch.stale = true;
    return EventKind::PeerMonitorStale;
  }
  if (watch.stale && age < grace) {
    watch.stale = false;
    return EventKind::PeerMonitorFresh;
  }
  return std::nullopt;
}

}  // namespace cb::core
