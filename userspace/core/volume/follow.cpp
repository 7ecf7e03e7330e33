// SPDX-License-Identifier: Apache-2.0
//
// The follower: makes its log a beginning of the peer's, records that, and asks for the rest.
#include <algorithm>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

constexpr Duration kAckDelay = Duration::from_ms(5);

// In step before, and nobody went on without us since: in step still. What is only fetched from a
// peer that does not write changes nothing of what we are worth.
bool keeps_standing(const State& s) {
  const bool worth =
      s.record.standing == Standing::Together || s.record.standing == Standing::Alone;
  if (worth && !s.peer.serving && one_history(s)) {
    return true;
  }
  if (s.record.standing != Standing::Together || (damaged(s) && s.peer.serving) ||
      s.peer.granted > s.record.epoch) {
    return false;
  }
  for (const Epoch& epoch : s.record.epochs) {
    if (epoch.number == s.record.epoch) {
      return find(s.peer.epochs, epoch.generation) != nullptr;
    }
  }
  return false;
}

Standing standing_as_follower(const State& s) {
  return keeps_standing(s) ? s.record.standing : Standing::CatchingUp;
}

bool recorded(const State& s) {
  return s.record.epochs == s.peer.epochs && s.record.standing == s.wanted.standing &&
         s.record.standing == standing_as_follower(s) && !s.record.map.present;
}

// Everything on its way to a disk lands first: a late write must not fall behind the cut.
bool at_rest(const State& s) {
  return log_idle(s) && !s.apply_outstanding && !s.home_sync_outstanding && !s.fold_outstanding &&
         !s.record_outstanding;
}

void learn(State& s, const Message& m) {
  s.committed = std::max(s.committed, std::min(m.committed, s.issued));
  s.following.flush = std::max(s.following.flush, m.flush);
}

bool take(Work& w, const BatchHeader& batch, bool durably) {
  State& s = w.s;
  const Epoch* epoch = epoch_at(s.record.epochs, batch.position);
  if (epoch == nullptr || !(epoch->generation == batch.generation) ||
      epoch->number != batch.epoch || !(digest_after(s.issued_digest, batch) == batch.digest)) {
    return false;
  }
  if (batch.end() - s.record.tail > s.record.ring_length) {
    s.following.no_room = true;
    return false;
  }
  const bool alone = log_idle(s);
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = s.slots[static_cast<std::size_t>(i)];
    if (slot.use != Slot::Use::Free) {
      continue;
    }
    slot.use = Slot::Use::Appending;
    slot.answers = false;
    slot.durably = durably && alone;  // those that come together share a sync
    slot.header = batch;
    slot.header.synced = s.synced;
    slot.header.committed = std::min(s.committed, batch.position);
    s.issued = batch.end();
    s.issued_digest = batch.digest;
    s.following.no_room = false;
    w.push(ActionKind::Append).slot = i;
    return true;
  }
  return false;
}

bool heard_from_leader(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (!f.active) {
    return false;
  }
  if (!f.heard_at.is_never()) {
    f.patience.learn(w.now - f.heard_at);
  }
  f.heard_at = w.now;
  if (w.event.message->number != f.number) {
    return false;
  }
  f.repeated = 0;
  // Who follows anew throws away all that is under way: not for a leader that is merely held up.
  f.silent_at = w.now + f.patience.wait(s.settings.resend * 20, 0);
  f.heard = true;
  return true;
}

void cut(State& s) {
  Following& f = s.following;
  CB_CHECK(f.cut >= s.committed && f.cut >= s.applied && f.cut >= s.record.tail);
  s.issued = s.appended = f.cut;
  s.issued_digest = f.cut_digest;
  s.synced = std::min(s.synced, f.cut);
  s.exact_from = std::min(s.exact_from, f.cut);  // no image holds what was never committed
  f.cutting = false;
}

void prepare(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (!at_rest(s)) {
    return;
  }
  if (f.cutting) {
    cut(s);
  }
  if (!recorded(s)) {
    s.wanted.epochs = s.peer.epochs;
    s.wanted.standing = standing_as_follower(s);
    if (s.wanted.standing == Standing::CatchingUp) {
      s.damaged_until = 0;  // not eligible until it joined, whatever its log had lost
    }
    s.wanted.map = MapRecord{};
    s.map.clear_all();
    return;
  }
  f.wanted = false;
  f.active = true;
  say_follow(w);
}

void try_to_join(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  const Epoch& epoch = f.join.epoch;
  if (s.record.standing == Standing::Together && s.record.epoch == epoch.number) {
    w.say(MessageKind::Joined).epoch = epoch;
    f.joining = false;
    return;
  }
  // Exactly there, durably, and with the same past: else there is more to fetch, or nothing to
  // join.
  if (s.stage != Stage::Standing || s.record.copying != 0 || s.wanted.copying != 0 || f.wanted ||
      !settled(s) || s.issued != epoch.start || !(s.issued_digest == epoch.digest)) {
    return;
  }
  if (find(s.wanted.epochs, epoch.generation) == nullptr) {
    if (!s.wanted.epochs.empty() && (s.wanted.epochs.back().number >= epoch.number ||
                                     s.wanted.epochs.back().start > epoch.start)) {
      f.joining = false;
      return;
    }
    add(s.wanted.epochs, epoch);
  }
  s.wanted.standing = Standing::Together;
  s.wanted.epoch = epoch.number;
  s.wanted.map = MapRecord{};
  s.damaged_until = 0;
}

// What was received and is not durable yet is told late and together: nobody waits for it, but for
// room in the window, and for a flush in FastSync.
bool received_is_awaited(const Work& w) {
  const State& s = w.s;
  const Following& f = s.following;
  const bool flush = s.settings.mode == Mode::FastSync && f.flush > f.acked;
  return f.acked != s.issued &&
         (flush || s.issued - f.acked >= s.settings.window / 8 || w.now >= f.ack_at);
}

void acknowledge(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  const bool again =
      f.missed && log_idle(s) && s.issued - s.record.tail <= s.record.ring_length / 4 * 3;
  if (f.acked == s.issued) {
    f.ack_at = Instant::never();
  } else if (f.ack_at.is_never()) {
    f.ack_at = w.now + kAckDelay;
  }
  if (!f.ack && !again && f.acked_synced == s.synced && !received_is_awaited(w)) {
    return;
  }
  f.ack_at = Instant::never();
  f.ack = false;
  f.missed = f.missed && !again;
  f.acked = s.issued;
  f.acked_synced = s.synced;
  Message& m = w.say(MessageKind::Ack);
  m.number = f.number;
  m.position = s.issued;
  m.synced = s.synced;
  m.extent = again ? 1 : 0;
}

}  // namespace

void stop_following(State& s) {
  Following& f = s.following;
  f.active = f.wanted = f.cutting = f.joining = f.copy_ended = false;
  f.preparing = f.draining = false;
  f.silent_at = f.ack_at = f.heard_at = Instant::never();
  f.repeated = 0;
  f.flush = 0;
}

void prepare_to_follow(Work& w, const Comparison& c) {
  State& s = w.s;
  Following& f = s.following;
  if (f.preparing || f.draining || f.discarding) {
    return;
  }
  // Nothing is held here, or it was given up: there is nothing to compare.
  const bool fresh = s.record.epochs.empty();
  if (c.relation == Relation::Unrelated && !fresh) {
    s.stall = Stall::Unrelated;
    w.push(ActionKind::Stalled).stall = Stall::Unrelated;
    return;
  }
  // Within one last epoch nobody cuts: the peer's end is then merely older than what it sent since.
  const Position common = fresh || one_history(s) ? s.issued : c.common;
  if (common < s.issued) {
    if (!c.digest_known) {
      return;  // not where an epoch of theirs begins: a newer Hello will tell
    }
    // What was acknowledged here is never cut off unasked, and the home image never goes back.
    if (common < s.committed || common < s.applied || common < s.record.tail) {
      if (s.stall != Stall::Split) {
        s.stall = Stall::Split;
        w.push(ActionKind::Stalled).stall = Stall::Split;
      }
      return;
    }
    f.active = false;
    f.wanted = f.cutting = true;
    f.cut = common;
    f.cut_digest = c.digest;
    return;
  }
  if (f.active && recorded(s)) {
    return;  // nothing new
  }
  f.active = false;
  f.cutting = false;
  f.wanted = true;
}

void say_follow(Work& w) {
  State& s = w.s;
  Message& m = w.say(MessageKind::Follow);
  m.number = ++s.following.number;
  m.position = s.issued;
  m.digest = s.issued_digest;
  m.synced = s.synced;
  m.committed = s.committed;
  s.following.heard = false;
  s.following.copy_ended = false;
  s.following.joining = false;  // it is said again if it still holds
  s.following.silent_at =
      w.now + s.following.patience.wait(s.settings.resend * 4, s.following.repeated++);
}

void on_batch(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (w.event.batch == nullptr || m.position != w.event.batch->position || !heard_from_leader(w)) {
    return;
  }
  // What comes behind the beginning of an epoch to join waits until that is recorded.
  const bool too_early = s.following.joining && m.position >= s.following.join.epoch.start;
  if (m.position == s.issued && !too_early) {
    if (!take(w, *w.event.batch, m.flush >= w.event.batch->end())) {
      s.following.missed = true;  // asked for again when there is room
      return;
    }
  } else {
    s.following.ack =
        true;  // a double, or behind a gap: say where we are, and ask once for the gap
    if (m.position > s.issued && s.following.asked != s.issued) {
      s.following.asked = s.issued;
      s.following.missed = true;
    }
  }
  learn(s, m);
}

void on_note(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (heard_from_leader(w)) {
    // The same once more is a question.
    s.following.ack =
        s.following.ack || (m.committed <= s.committed && m.flush <= s.following.flush);
    learn(s, m);
  }
}

void on_join(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (s.stage != Stage::Standing || s.failed || m.epoch.generation.none() ||
      m.epoch.writer == s.record.node || m.epoch.number < s.record.epoch ||
      m.epoch.number <= s.peer.granted) {
    return;
  }
  s.following.join = m;
  s.following.joining = true;
}

void pump_following(Work& w) {
  State& s = w.s;
  Following& f = s.following;
  if (f.wanted) {
    prepare(w);
  }
  if (f.joining) {
    try_to_join(w);
  }
  if (f.active) {
    if (w.now >= f.silent_at) {
      say_follow(w);
    }
    acknowledge(w);
  }
}

}  // namespace cb::core::volume
