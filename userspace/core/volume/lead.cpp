// SPDX-License-Identifier: Apache-2.0
//
// The one who is followed, writer or not: streams its log from wherever the follower asks.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

constexpr Duration kNoteDelay = Duration::from_ms(5);

// While an epoch is being agreed on nothing of it is sent: the follower could not place it.
Position may_send_to(const State& s) {
  const bool planned =
      !s.claim.planned.generation.none() && s.claim.together &&
      (s.claim.step == Claim::Step::Planning || s.claim.step == Claim::Step::Joining);
  return planned ? std::min(s.issued, s.claim.planned.start) : s.issued;
}

// A flush that will come is told with what it is for. While catching up none is expected: what is
// sent was committed long ago.
Position flush_to_tell(const State& s, Position limit) {
  const bool expected = flush_is_expected(s) && s.follower.sent >= s.committed;
  return std::max(wanted_flush(s), expected ? limit : 0);
}

void send(Work& w) {
  State& s = w.s;
  Follower& f = s.follower;
  const Position limit = may_send_to(s);
  if (s.sending || f.sent >= limit || f.sent - f.received >= s.settings.window ||
      f.sent < s.record.tail) {
    return;
  }
  s.sending = true;
  Action& action = w.push(ActionKind::Send);
  action.number = f.number;
  action.from = f.sent;
  action.position = limit;
  action.message = w.message(MessageKind::Batch);
  action.message.number = f.number;
  action.message.committed = s.committed;
  action.message.flush = flush_to_tell(s, limit);
  f.noted_committed = s.committed;
  f.noted_flush = std::max(f.noted_flush, action.message.flush);
}

// A flush is told at once, somebody waits for it. What is committed rides on the next batch, and
// has a message of its own when none comes for a while.
void note(Work& w) {
  State& s = w.s;
  Follower& f = s.follower;
  const Position flush = wanted_flush(s);
  if (f.noted_committed == s.committed) {
    f.note_at = Instant::never();
  } else if (f.note_at.is_never()) {
    f.note_at = w.now + kNoteDelay;
  }
  const bool told = flush <= std::max(f.noted_flush, f.synced);  // or done without being told
  if (told && w.now < f.note_at && w.now < f.resend_at) {
    return;
  }
  if (w.now >= f.resend_at) {
    f.resend_at = w.now + s.settings.resend;
  }
  f.noted_committed = s.committed;
  f.noted_flush = std::max(f.noted_flush, flush);
  f.note_at = Instant::never();
  Message& m = w.say(MessageKind::Note);
  m.number = f.number;
  m.committed = s.committed;
  m.flush = flush;
}

void expect_ack(Work& w) {
  Follower& f = w.s.follower;
  f.again_at = f.sent > f.received ? w.now + f.patience.wait(w.s.settings.resend, f.repeated)
                                   : Instant::never();
}

// No word for long: everything after what was acknowledged may be lost.
void send_again(Work& w) {
  Follower& f = w.s.follower;
  if (w.now < f.again_at || w.s.sending) {
    return;
  }
  f.sent = std::max(f.received, w.s.record.tail);
  f.again_at = Instant::never();  // until it is sent
  ++f.repeated;
}

}  // namespace

bool peer_in_step(const State& s) {
  return s.link && s.follower.active && !s.copying.active &&
         s.peer.standing == Standing::Together && s.peer.granted == s.record.epoch;
}

bool ready_to_join(const State& s) {
  return s.link && s.peer.agreed && s.follower.active && !s.copying.active && !s.peer.serving &&
         s.issued - s.follower.received <= s.settings.join_lag &&
         !(s.record.standing == Standing::Together && peer_in_step(s));
}

void on_follow(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  Follower& f = s.follower;
  if (m.number <= f.number || s.failed || s.peer.volume_length < s.record.volume_length ||
      s.following.active || s.following.wanted) {
    return;
  }
  if (s.fold_outstanding || s.wanted.tail != s.record.tail) {
    return;  // the log is being shortened: it asks again
  }
  if (s.copying.active && m.copying == 0 && m.position >= s.record.tail) {
    finish_copy(w);  // its image is one, and our log reaches it: only the word of that was lost
  }
  if (m.position > s.issued ||
      (m.position == s.issued && !(m.digest == s.issued_digest) && m.copying == 0 &&
       m.standing != Standing::Fresh && m.position != 0)) {
    return;  // it does not follow our history; it will see our Hello
  }
  f.number = m.number;
  f.sent = f.received = m.position;
  f.synced = std::min(m.synced, m.position);
  f.noted_committed = f.noted_flush = 0;  // what the one before was told
  f.note_at = Instant::never();
  f.resend_at = w.now + s.settings.resend;
  f.again_at = f.timed_at = Instant::never();
  f.repeated = 0;
  for (ExtentInFlight& extent : s.copying.in_flight) {
    extent.resend_at = w.now;  // what was under way may have gone with the link
    extent.repeated = 0;
  }
  s.peer.standing = m.standing;
  s.peer.granted = m.granted;
  const bool ours = m.copying != 0 && s.copying.active && s.copying.session == m.copying;
  if (m.position < s.record.tail || (m.copying != 0 && !ours)) {
    f.active = false;
    start_copy(w, m);
    return;
  }
  f.active = true;
  s.copying.prepared = ours;
}

void on_ack(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  Follower& f = s.follower;
  if (!f.active || m.number != f.number || m.position > s.issued || m.synced > m.position) {
    return;
  }
  const bool progress = m.position > f.received;
  f.received = std::max(f.received, m.position);
  f.sent = std::max(f.sent, f.received);
  if (progress) {
    if (!f.timed_at.is_never() && f.received >= f.timed_to) {
      f.patience.learn(w.now - f.timed_at);
      f.timed_at = Instant::never();
    }
    f.repeated = 0;
    f.resend_at = w.now + s.settings.resend;
    expect_ack(w);
  }
  f.synced = std::max(f.synced, m.synced);
  if (m.extent == 1) {
    f.sent = f.received;
    f.again_at = Instant::never();
  }
  s.peer.standing = m.standing;
  s.peer.granted = m.granted;
  if (s.copying.active && s.copying.prepared && m.copying == 0) {
    finish_copy(w);
  }
}

void on_sent(Work& w) {
  State& s = w.s;
  s.sending = false;
  if (w.event.error != 0 && (w.event.position < s.record.tail || s.fold_outstanding)) {
    s.follower.active = false;  // dropped meanwhile: it asks again
    return;
  }
  if (w.event.error != 0) {
    if (w.event.position >= s.record.checkpoint) {
      fail(w, w.event.error);
      return;
    }
    // The part of the log that only a peer still needs cannot be read: it gets a copy of
    // everything.
    s.wanted.tail = s.record.checkpoint;
    s.wanted.tail_digest = s.record.checkpoint_digest;
    s.wanted.map = MapRecord{};
    s.map.clear_all();
    s.follower.active = false;
    return;
  }
  if (s.follower.active && w.event.number == s.follower.number) {
    Follower& f = s.follower;
    f.sent = std::max(f.sent, w.event.position);
    if (f.timed_at.is_never() && f.sent > f.received) {
      f.timed_to = f.sent;
      f.timed_at = w.now;
    }
    if (f.again_at.is_never()) {
      expect_ack(w);
    }
  }
}

void pump_lead(Work& w) {
  State& s = w.s;
  if (!s.link || !s.follower.active) {
    return;
  }
  if (s.follower.received < s.record.tail && !s.copying.active) {
    s.follower.active = false;  // it asks again, and gets a copy
    return;
  }
  send_again(w);
  send(w);
  note(w);
}

}  // namespace cb::core::volume
