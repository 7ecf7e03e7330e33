// SPDX-License-Identifier: Apache-2.0
//
// The volume gets longer, on both nodes and while it is written. Its Hello says what the writer
// wishes and for what the follower is ready, so that nothing is lost with a message. A node that
// finds its peer longer gets as long before it follows. Whoever follows may be longer than what is
// written: a crash in between leaves that, and the same wish goes on from there.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

constexpr Duration kPatience = Duration::from_s(600);  // devices may have to be filled with zeros
constexpr Duration kTryAgain = Duration::from_s(5);
constexpr uint64_t kLengthMax = uint64_t{1} << 56;

void done(Work& w, int error, bool at_peer = false) {
  Action& action = w.push(ActionKind::ResizeDone);
  action.error = error;
  action.slot = at_peer ? 1 : 0;
  w.s.resizing.to = 0;
  w.s.resizing.give_up_at = Instant::never();
}

void grow(Work& w, uint64_t from, uint64_t to) {
  Resizing& r = w.s.resizing;
  if (r.growing || (!r.again_at.is_never() && w.now < r.again_at)) {
    return;
  }
  r.growing = true;
  r.ready = 0;
  r.error = 0;
  Action& action = w.push(ActionKind::GrowFiles);
  action.from = from;
  action.number = to;
}

// The image is one, and no map speaks of extents that are not there yet.
bool may_grow(const State& s) {
  const Following& f = s.following;
  return !s.failed && !s.fold_outstanding && s.restore == Restore::None && s.record.copying == 0 &&
         s.wanted.copying == 0 && !f.preparing && !f.draining && !f.discarding && !f.protecting;
}

// Not the writer, and not yet on the way: who is to be promoted may still lack what the peer has.
bool may_follow(const State& s) {
  return s.stage == Stage::Standing ||
         (s.stage == Stage::Promoting && s.claim.step == Claim::Step::None);
}

bool writes_with_peer(const State& s) {
  return s.stage == Stage::Serving && peer_in_step(s) && may_grow(s);
}

}  // namespace

void on_resize(Work& w) {
  State& s = w.s;
  const uint64_t to = w.event.number;
  if (s.resizing.to != 0) {
    w.push(ActionKind::ResizeDone).error = s.resizing.to == to ? EALREADY : EBUSY;
    return;
  }
  if (to < s.record.volume_length || to % kBlock != 0 || to > kLengthMax) {
    w.push(ActionKind::ResizeDone).error = EINVAL;
    return;
  }
  if (s.stage != Stage::Serving || !writes_with_peer(s)) {
    w.push(ActionKind::ResizeDone).error = s.stage != Stage::Serving ? EROFS : ENOTCONN;
    return;
  }
  s.resizing.to = to;
  s.resizing.ready = 0;
  s.resizing.error = 0;
  s.resizing.again_at = Instant::never();
  s.resizing.give_up_at = w.now + kPatience;
  s.peer.resize_error = 0;
  if (to == s.record.volume_length) {
    done(w, 0);
    return;
  }
  grow(w, s.record.volume_length, to);
}

void on_files_grown(Work& w) {
  State& s = w.s;
  Resizing& r = s.resizing;
  r.growing = false;
  if (w.event.error != 0) {
    r.error = w.event.error;
    r.again_at = w.now + kTryAgain;
    if (r.to != 0) {
      done(w, r.error);
    } else {
      say_hello(w);
    }
    return;
  }
  r.ready = w.event.number;
  r.again_at = Instant::never();
  if (s.stage == Stage::Serving) {
    say_hello(w);  // the wish
    return;
  }
  if (!may_follow(s) || !may_grow(s)) {
    r.ready = 0;  // it is asked for again
    return;
  }
  if (r.ready > s.record.volume_length) {
    s.wanted.volume_length = r.ready;
    s.wanted.map = MapRecord{};  // of use to nobody who follows
    s.map.clear_all();
  }
  say_hello(w);
}

void heard_length(Work& w, bool leads) {
  State& s = w.s;
  Resizing& r = s.resizing;
  if (!may_follow(s) || !leads || !may_grow(s) || s.record_outstanding) {
    return;
  }
  const uint64_t length = s.record.volume_length;
  const auto sound = [](uint64_t to) { return to % kBlock == 0 && to <= kLengthMax; };
  if (s.peer.volume_length > length && sound(s.peer.volume_length)) {
    if (r.error != 0 && s.stall != Stall::TooSmall) {
      s.stall = Stall::TooSmall;
      w.push(ActionKind::Stalled).stall = Stall::TooSmall;
    }
    grow(w, length, s.peer.volume_length);
    return;
  }
  // What is beyond the writer's length is empty here, also where this node was longer before.
  const uint64_t wish = s.peer.serving ? s.peer.resize_to : 0;
  if (wish > s.peer.volume_length && sound(wish) && r.ready != wish) {
    grow(w, s.peer.volume_length, wish);
  }
}

void pump_resize(Work& w) {
  State& s = w.s;
  Resizing& r = s.resizing;
  if (!may_follow(s) && r.to == 0) {
    r.ready = 0;  // what is beyond the present length may be written from now on
  }
  if (r.to == 0 || s.failed) {
    return;
  }
  if (s.record.volume_length >= r.to) {
    done(w, 0);
    return;
  }
  if (s.wanted.volume_length >= r.to) {
    return;  // being recorded
  }
  if (!writes_with_peer(s)) {
    done(w, ENOTCONN);
    return;
  }
  if (w.now >= r.give_up_at) {
    done(w, ETIMEDOUT);
    return;
  }
  if (r.ready != r.to) {
    return;
  }
  if (s.peer.resize_error != 0) {
    done(w, s.peer.resize_error, true);
    return;
  }
  const bool no_map = !s.record.map.present && !s.wanted.map.present && s.map.set_count() == 0;
  if (no_map && s.peer.volume_length >= r.to && s.peer.resize_to == r.to) {
    s.wanted.volume_length = r.to;
  }
}

}  // namespace cb::core::volume
