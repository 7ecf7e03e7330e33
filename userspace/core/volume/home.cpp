// SPDX-License-Identifier: Apache-2.0
//
// The home image follows the committed part of the log; the log is shortened behind it, never past
// what the peer may still need, unless the dirty map remembers it first.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

uint64_t used(const State& s) { return s.issued - s.record.tail; }

bool being_replaced(const State& s) {
  return s.record.copying != 0 || s.wanted.copying != 0 || s.following.preparing ||
         s.following.discarding;
}

void apply(Work& w) {
  State& s = w.s;
  const Position limit = std::min(std::min(s.committed, s.synced), apply_limit(s));
  if (s.apply_outstanding || limit <= s.applied || being_replaced(s) || s.following.cutting) {
    return;
  }
  s.apply_outstanding = true;
  s.applying_to = limit;
  s.apply_high = std::max(s.apply_high, limit);
  Action& action = w.push(ActionKind::Apply);
  action.from = s.applied;
  action.position = limit;
}

// Commits wait behind a sync of the image, on its disk and for its superblock: so it is made
// seldom, for much at once; when nothing else is to be done; and when the log can be shortened only
// by it.
bool home_sync_due(const Work& w) {
  const State& s = w.s;
  const uint64_t ring = s.record.ring_length;
  const bool idle = s.applied == s.issued && w.now >= s.hello_at;
  const bool short_of_room = used(s) > ring / 2 && s.wanted.checkpoint == s.wanted.tail;
  return s.applied - s.wanted.checkpoint >= ring / 8 || idle || short_of_room ||
         s.following.draining || s.following.no_room;
}

void sync_home(Work& w) {
  State& s = w.s;
  if (s.home_sync_outstanding || s.apply_outstanding || being_replaced(s) ||
      s.applied <= s.wanted.checkpoint || !home_sync_due(w)) {
    return;
  }
  s.home_sync_outstanding = true;
  s.home_syncing_to = s.applied;
  s.home_syncing_digest = s.applied_digest;
  w.push(ActionKind::SyncHome).position = s.applied;
}

void cut_tail(State& s, Position to, const Digest& digest) {
  s.wanted.tail = to;
  s.wanted.tail_digest = digest;
}

// The follower has everything that the map remembers: it is done with.
void forget_map(State& s) {
  if (s.wanted.map.present && s.follower.active && !s.copying.active &&
      s.follower.synced >= s.wanted.map.to && !s.fold_outstanding) {
    s.wanted.map = MapRecord{};
    s.map.clear_all();
  }
}

void shorten(Work& w) {
  State& s = w.s;
  const Position limit = s.record.checkpoint;
  const bool short_of_room =
      used(s) > s.record.ring_length / 2 || (s.following.active && s.following.no_room);
  if (limit <= s.wanted.tail || !short_of_room || being_replaced(s) || !can_fold(s)) {
    return;
  }
  const bool writer = s.stage == Stage::Serving || s.stage == Stage::Releasing;
  if (!writer) {
    // Only behind a writer: a node that stands by itself keeps what its peer may ask for.
    if (s.following.active && !s.wanted.map.present) {
      cut_tail(s, limit, s.record.checkpoint_digest);
    }
    return;
  }
  if (s.copying.active) {
    // The copy goes round again for what is folded now; after a while the writers wait instead.
    if (!s.copying.end_said && (!s.copying.prepared || s.copying.folds < kFoldsWhileCopying)) {
      ++s.copying.folds;
      start_fold(w, limit);
    }
    return;
  }
  if (s.follower.active || !acknowledges_alone(s)) {
    // With a follower the writers wait for it. Without the right to be alone nothing is forgotten.
    if (s.follower.synced >= limit && !s.wanted.map.present) {
      cut_tail(s, limit, s.record.checkpoint_digest);
    }
    return;
  }
  start_fold(w, limit);
}

}  // namespace

// Neither copy of the map on disk that a superblock may name is written over.
bool can_fold(const State& s) {
  return !s.fold_outstanding && !s.record_outstanding && s.record.map == s.wanted.map &&
         s.record.tail == s.wanted.tail && s.record.volume_length == s.wanted.volume_length;
}

void start_fold(Work& w, Position to) {
  State& s = w.s;
  CB_CHECK(can_fold(s));
  s.fold_outstanding = true;
  // What is on its way to the peer may be older than what is folded now.
  for (ExtentInFlight& extent : s.copying.in_flight) {
    extent.dirtied_again = true;
  }
  Action& action = w.push(ActionKind::Fold);
  action.from = s.record.tail;
  action.position = to;
  s.fold_slot = s.record.map.present && s.record.map.slot == 0 ? 1 : 0;
  action.slot = s.fold_slot;
}

void on_applied(Work& w) {
  State& s = w.s;
  CB_CHECK(s.apply_outstanding);
  s.apply_outstanding = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  CB_CHECK(w.event.position >= s.applied && w.event.position <= s.applying_to);
  s.applied = w.event.position;
  s.applied_digest = w.event.digest;
}

void on_home_synced(Work& w) {
  State& s = w.s;
  CB_CHECK(s.home_sync_outstanding);
  s.home_sync_outstanding = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  s.wanted.checkpoint = s.home_syncing_to;
  s.wanted.checkpoint_digest = s.home_syncing_digest;
}

void on_folded(Work& w) {
  State& s = w.s;
  CB_CHECK(s.fold_outstanding);
  s.fold_outstanding = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  MapRecord& map = s.wanted.map;
  const bool first = !map.present;
  map.slot = s.fold_slot;
  map.present = true;
  if (first) {
    map.from = s.record.tail;
  }
  map.to = w.event.position;
  cut_tail(s, w.event.position, w.event.digest);
  if (s.fold_for_copy) {
    s.fold_for_copy = false;
    map.session = s.copying.active ? s.copying.session : 0;
    map.cleared = false;
    if (s.copying.active && s.copying.full) {
      map.from = 0;
    }
  }
}

void pump_home(Work& w) {
  if (w.s.failed) {
    return;
  }
  apply(w);
  sync_home(w);
  forget_map(w.s);
  shorten(w);
}

}  // namespace cb::core::volume
