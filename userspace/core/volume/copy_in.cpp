// SPDX-License-Identifier: Apache-2.0
//
// A copy into this node. The home image is no image until the copy has ended and the log reached
// the place that it names; the owner keeps the last good one aside meanwhile. Batches are kept, not
// applied: an extent that is on its way may be older than they are.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

void begin_anew(State& s, const Message& m) {
  s.issued = s.appended = s.synced = s.committed = m.position;
  s.applied = s.apply_high = m.position;
  s.issued_digest = s.applied_digest = m.digest;
  s.damaged_until = 0;
  Record& r = s.wanted;
  r.tail = r.checkpoint = m.position;
  r.tail_digest = r.checkpoint_digest = m.digest;
  r.epochs = s.following.copy_epochs;
  r.standing = Standing::CatchingUp;
  r.copying = m.copying;
  r.map = MapRecord{};
  s.map.clear_all();
}

bool at_rest(const State& s) {
  return log_idle(s) && !s.apply_outstanding && !s.home_sync_outstanding && !s.record_outstanding &&
         !s.fold_outstanding;
}

void discard(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (s.stage != Stage::Standing) {
    f.discarding = false;  // promoted meanwhile: it is needed
    w.push(ActionKind::DiscardDone).error = EBUSY;
    return;
  }
  if (f.protecting || !at_rest(s)) {
    return;
  }
  f.copy_epochs = Epochs{};
  Message nothing;
  nothing.copying = s.session ^ (++s.drawn << 32) ^ 1;
  begin_anew(s, nothing);
  s.wanted.epoch = 0;
  f.discarding = false;
  s.stall = Stall::None;
  w.push(ActionKind::DiscardDone);
}

void drain(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (!settled(s) || s.applied != s.issued || s.apply_outstanding || s.home_sync_outstanding ||
      s.record.checkpoint != s.issued) {
    return;
  }
  f.draining = false;
  f.preparing = true;
  if (!f.protecting) {
    f.protecting = true;
    f.protecting_whole = s.record.standing != Standing::Fresh;
    w.push(ActionKind::ProtectImage).number = f.protecting_whole ? 1 : 0;
  }
}

// The log of this node already reaches beyond the new beginning: only what is older goes.
void move_beginning(State& s, const Message& m) {
  Record& r = s.wanted;
  r.tail = r.checkpoint = m.position;
  r.tail_digest = r.checkpoint_digest = m.digest;
  s.applied = s.apply_high = m.position;
  s.applied_digest = m.digest;
  s.committed = std::max(s.committed, m.position);
}

}  // namespace

void on_copy(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (s.stage != Stage::Standing || s.restore != Restore::None || s.failed || !s.peer.serving ||
      m.copying == 0 || w.event.epochs == nullptr || w.event.epochs->empty() ||
      s.following.preparing || s.following.draining || s.following.wanted ||
      m.copying == s.following.copied ||
      (s.following.active && s.following.heard && m.copying != s.record.copying) ||
      (m.copying == s.record.copying && m.position < s.record.tail)) {
    return;
  }
  Following& f = s.following;
  f.copy = m;
  f.copy_epochs = *w.event.epochs;
  f.active = false;
  f.copy_ended = false;
  f.joining = false;
  if (s.record.copying != 0) {
    f.preparing = true;
    return;
  }
  // The map tells what was written after the end of our log: so all of our log belongs into the
  // image first. It is committed, since the peer has dropped what comes after it.
  f.draining = true;
  s.committed = s.issued;
}

// The copy is worth nothing from the superblock write on, not even as a beginning: no epoch, no
// standing, and a session of its own that asks for everything.
void on_discard(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (s.stage != Stage::Standing || s.restore != Restore::None || s.failed || f.discarding ||
      f.draining || f.preparing || f.protecting) {
    w.push(ActionKind::DiscardDone).error = EBUSY;
    return;
  }
  stop_following(s);
  f.discarding = f.protecting = true;
  f.protecting_whole = false;  // its log may hold more than its image
  w.push(ActionKind::ProtectImage);
}

void on_image_protected(Work& w) {
  State& s = w.s;
  s.following.protecting = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  if (s.record.copying == 0) {
    s.kept = s.following.protecting_whole;
  }
}

void on_extent(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  Following& f = s.following;
  if (!f.active || s.failed || s.record.copying == 0 || m.copying != s.record.copying ||
      s.wanted.copying == 0 || f.copy_ended || m.number <= f.last_extent ||
      m.extent >= DirtyMap::extents_in(s.record.volume_length)) {
    return;
  }
  f.last_extent = m.number;
  Action& action = w.push(ActionKind::WriteExtent);
  action.number = m.number;
  action.message = m;
}

void on_extent_written(Work& w) {
  State& s = w.s;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  if (s.following.active && s.record.copying != 0) {
    Message& m = w.say(MessageKind::ExtentDone);
    m.number = w.event.number;
    m.extent = w.event.request;
  }
}

void on_copy_end(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (!s.following.active) {
    return;
  }
  if (s.record.copying == 0) {
    s.following.ack = true;  // long done: it was the answer that was lost
    return;
  }
  if (m.copying == s.record.copying && m.number == s.following.number) {
    s.following.copy_ended = true;
    s.following.image_at = m.position;
  }
}

void pump_copy_in(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (f.discarding) {
    discard(w);
    return;
  }
  if (f.draining) {
    drain(w);
    return;
  }
  if (f.preparing) {
    if (f.protecting || !at_rest(s)) {
      return;
    }
    const Message& m = f.copy;
    const bool done = s.record.copying == m.copying && s.record.tail == m.position &&
                      s.record.standing == Standing::CatchingUp;
    if (done) {
      f.preparing = false;
      f.active = true;
      say_follow(w);
      return;
    }
    if (s.record.copying == m.copying && s.issued >= m.position && s.record.tail <= m.position) {
      move_beginning(s, m);
    } else {
      begin_anew(s, m);
    }
    return;
  }
  if (f.copy_ended && s.record.copying != 0 && s.synced >= f.image_at) {
    f.copied = s.record.copying;
    f.releasing = true;
    s.exact_from = f.image_at;
    s.wanted.copying = 0;
  }
  if (f.releasing && s.record.copying == 0) {
    f.releasing = false;
    f.ack = true;
    s.kept = false;
    w.push(ActionKind::ReleaseImage);
  }
}

}  // namespace cb::core::volume
