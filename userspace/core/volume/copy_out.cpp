// SPDX-License-Identifier: Apache-2.0
//
// A copy to a peer whom the log no longer reaches: the extents of the dirty map, then the log from
// where it begins. Extents are read from the home image, which holds at least what the log has
// dropped.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

constexpr int kExtentsInOneStep = 4;

bool in_flight(const Copying& c, uint64_t extent) {
  for (const ExtentInFlight& sent : c.in_flight) {
    if (sent.extent == extent) {
      return true;
    }
  }
  return false;
}

void send_extent(Work& w, ExtentInFlight& extent) {
  State& s = w.s;
  extent.number = ++s.copying.numbers;
  extent.dirtied_again = s.fold_outstanding;  // cautious: it may be read before the fold's batches
  extent.resend_at = w.now + s.copying.patience.wait(s.settings.resend * 2, extent.repeated++);
  extent.sent_at = std::min(extent.sent_at, w.now);
  Action& action = w.push(ActionKind::SendExtent);
  action.message = w.message(MessageKind::Extent);
  action.message.number = extent.number;
  action.message.extent = extent.extent;
  action.message.copying = s.copying.session;
}

void send_more(Work& w) {
  State& s = w.s;
  Copying& c = s.copying;
  int sent = 0;
  for (ExtentInFlight& extent : c.in_flight) {
    if (w.now >= extent.resend_at && sent < kExtentsInOneStep) {
      send_extent(w, extent);
      ++sent;
    }
  }
  while (sent < kExtentsInOneStep && !c.in_flight.full()) {
    std::optional<uint64_t> next = s.map.next(c.cursor);
    while (next && in_flight(c, *next)) {
      next = s.map.next(*next + 1);
    }
    if (!next && c.cursor > 0) {
      c.cursor = 0;  // once more from the beginning: some are set again
      continue;
    }
    if (!next) {
      return;
    }
    c.cursor = *next + 1;
    ExtentInFlight fresh;
    fresh.extent = *next;
    c.in_flight.push(fresh);
    send_extent(w, c.in_flight.back());
    ++sent;
  }
}

void say_copy(Work& w) {
  State& s = w.s;
  Copying& c = s.copying;
  c.resend_at = w.now + c.patience.wait(s.settings.resend * 2, c.repeated++);
  Message& m = w.say(MessageKind::Copy);
  c.told = s.record.tail;
  m.position = s.record.tail;
  m.digest = s.record.tail_digest;
  m.copying = s.copying.session;
}

void say_end(Work& w) {
  State& s = w.s;
  s.copying.end_said = true;
  s.copying.resend_at = w.now + s.settings.resend;
  Message& m = w.say(MessageKind::CopyEnd);
  m.number = s.follower.number;
  m.position = s.apply_high;
  m.copying = s.copying.session;
}

}  // namespace

void start_copy(Work& w, const Message& follow) {
  State& s = w.s;
  if (s.stage != Stage::Serving || !can_fold(s) || s.claim.step != Claim::Step::None) {
    return;  // it asks again
  }
  const MapRecord& map = s.record.map;
  const bool reaches =
      map.present && map.from <= follow.position && follow.standing != Standing::Fresh;
  const bool same_session = follow.copying != 0 && follow.copying == map.session;
  const bool known =
      map.present && (same_session || (!map.cleared && reaches && follow.copying == 0));
  const bool same_go = s.copying.active && s.copying.session == follow.copying;
  const uint64_t numbers = s.copying.numbers;
  const Patience patience = s.copying.patience;
  const int folds = same_go ? s.copying.folds : 0;
  s.copying = Copying{};
  s.copying.active = true;
  s.copying.numbers = numbers;
  s.copying.patience = patience;
  s.copying.folds = folds;
  if (known && same_session) {
    s.copying.session = map.session;  // goes on where it was
    return;
  }
  s.copying.full = !known;
  s.copying.session =
      digest_after(s.record.tail_digest, BatchHeader{}).low ^ s.session ^ (++s.drawn << 32);
  s.copying.session |= s.copying.session == 0 ? 1 : 0;
  if (s.copying.full) {
    s.map.set_all();
  }
  s.fold_for_copy = true;
  start_fold(w, s.record.tail);
}

void on_extent_sent(Work& w) {
  if (w.event.error != 0) {
    fail(w, w.event.error);
  }
}

void on_extent_done(Work& w) {
  State& s = w.s;
  Copying& c = s.copying;
  const Message& m = *w.event.message;
  if (!c.active || m.copying != c.session) {
    return;
  }
  for (std::size_t i = 0; i < c.in_flight.size(); ++i) {
    const ExtentInFlight& sent = c.in_flight[i];
    if (sent.number == m.number && sent.extent == m.extent) {
      if (!sent.dirtied_again) {
        s.map.clear(sent.extent);
      }
      c.patience.learn(w.now - sent.sent_at);
      c.in_flight.erase_at(i);
      return;
    }
  }
}

void finish_copy(Work& w) {
  State& s = w.s;
  s.copying.active = false;
  s.wanted.map = MapRecord{};
  s.map.clear_all();
}

void pump_copy_out(Work& w) {
  State& s = w.s;
  Copying& c = s.copying;
  if (!c.active || !s.link || s.stage != Stage::Serving || s.fold_outstanding ||
      !s.record.map.present || s.record.map.session != c.session) {
    return;
  }
  // The log was shortened meanwhile: the follower's begins later too, or it finds no room. The
  // extents go on.
  if (c.prepared && c.told != s.record.tail) {
    s.follower.active = false;
    c.prepared = false;
    c.resend_at = Instant::never();
  }
  if (c.prepared) {
    c.repeated = 0;
  } else {
    if (c.resend_at.is_never() || w.now >= c.resend_at) {
      say_copy(w);
    }
    return;
  }
  // From the first bit that is cleared on the map is of use to this copy alone: recorded before.
  s.wanted.map.cleared = true;
  if (!s.record.map.cleared) {
    return;
  }
  send_more(w);
  if (s.map.set_count() == 0 && c.in_flight.empty() && (!c.end_said || w.now >= c.resend_at)) {
    say_end(w);
  }
}

}  // namespace cb::core::volume
