// SPDX-License-Identifier: Apache-2.0
//
// Are both images the same? The writer names a position at which neither image can be yet: its
// committed one. Both apply their logs up to exactly there, read one stretch, and go on. What is
// read is then the same by the rules of the log, or a copy is not what it should be. Everything
// ends by itself: whoever waited half a second applies again, and the owner asks anew.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

using Side = Verifying::Side;

constexpr Duration kPatience = Duration::from_ms(500);

// Nothing but the log changes the image, and nothing else wants it to move.
bool image_stands(const State& s) {
  const Following& f = s.following;
  return !s.failed && !damaged(s) && s.restore == Restore::None && s.record.copying == 0 &&
         s.wanted.copying == 0 && !f.preparing && !f.draining && !f.discarding && !f.protecting &&
         !f.cutting && !f.wanted && !f.no_room &&
         s.issued - s.record.tail <= s.record.ring_length / 2;
}

bool may_ask(const State& s) {
  return s.stage == Stage::Serving && peer_in_step(s) && image_stands(s) &&
         s.peer.volume_length == s.record.volume_length;
}

bool may_answer(const State& s) {
  return s.stage == Stage::Standing && s.following.active && s.peer.serving && image_stands(s);
}

// Whatever an image held beyond its own log after a fault was committed before this epoch began.
bool epoch_reached(const State& s, Position at) {
  return std::none_of(s.record.epochs.begin(), s.record.epochs.end(), [&](const Epoch& epoch) {
    return epoch.number <= s.record.epoch && epoch.start > at;
  });
}

void end(State& s) {
  s.verifying.side = Side::None;
  s.verifying.give_up_at = Instant::never();
}

void done(Work& w, int error) {
  end(w.s);
  w.push(ActionKind::VerifyDone).error = error;
}

bool answers(const State& s, const Message& m) {
  return s.verifying.side == Side::Asking && m.number == s.verifying.number &&
         m.extent == s.verifying.stretch;
}

void refuse(Work& w, const Message& asked) {
  Message& m = w.say(MessageKind::GiveSums);
  m.number = asked.number;
  m.extent = asked.extent;
  m.position = asked.position;
  m.end = asked.position + kBlock;  // not at that position
}

}  // namespace

Position apply_limit(const State& s) {
  const Verifying& v = s.verifying;
  return v.side == Side::None || v.read ? UINT64_MAX : v.at;
}

void on_verify(Work& w) {
  State& s = w.s;
  Verifying& v = s.verifying;
  if (w.event.number > (s.record.volume_length - 1) / kStretch) {
    w.push(ActionKind::VerifyDone).error = EINVAL;
    return;
  }
  if (!may_ask(s) || !epoch_reached(s, s.committed)) {
    w.push(ActionKind::VerifyDone).error = s.failed || !peer_in_step(s) ? ENOTCONN : EBUSY;
    return;
  }
  if (v.side != Side::None || v.reading) {
    w.push(ActionKind::VerifyDone).error = EBUSY;
    return;
  }
  v.side = Side::Asking;
  ++v.number;
  v.stretch = w.event.number;
  v.at = s.committed;
  v.give_up_at = w.now + kPatience;
  v.read = v.heard = false;
  Message& m = w.say(MessageKind::AskSums);
  m.number = v.number;
  m.extent = v.stretch;
  m.position = v.at;
}

// A late double of a question finds the image beyond it, or is asked to read what nobody waits for.
void on_ask_sums(Work& w) {
  State& s = w.s;
  Verifying& v = s.verifying;
  const Message& m = *w.event.message;
  if (m.extent > (s.record.volume_length - 1) / kStretch) {
    return;  // no honest peer asks so
  }
  if (v.side == Side::Answering && v.number == m.number) {
    return;
  }
  const bool beyond = s.applied > m.position || (s.apply_outstanding && s.applying_to > m.position);
  if (!may_answer(s) || beyond || v.reading || s.exact_from > m.position) {
    refuse(w, m);
    return;
  }
  v.side = Side::Answering;
  v.number = m.number;
  v.stretch = m.extent;
  v.at = m.position;
  v.give_up_at = w.now + kPatience;
  v.read = v.heard = false;
}

void on_give_sums(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (!answers(s, m) || m.position != s.verifying.at) {
    return;
  }
  if (m.end != m.position) {
    done(w, EAGAIN);
    return;
  }
  if (!s.verifying.heard) {
    s.verifying.heard = true;
    w.push(ActionKind::KeepSums).message = m;
  }
}

void on_sums_read(Work& w) {
  State& s = w.s;
  Verifying& v = s.verifying;
  v.reading = false;
  if (v.side == Side::None || v.number != w.event.number) {
    return;  // given up meanwhile: the image may have gone on
  }
  if (v.side == Side::Asking) {
    v.read = true;
    if (w.event.error != 0) {
      done(w, w.event.error);
    }
    return;
  }
  end(s);
  Action& action = w.push(ActionKind::SendSums);
  action.message = w.message(MessageKind::GiveSums);
  action.message.number = v.number;
  action.message.extent = v.stretch;
  action.message.position = action.message.end = v.at;
}

void pump_verify(Work& w) {
  State& s = w.s;
  Verifying& v = s.verifying;
  if (v.side == Side::None) {
    return;
  }
  const bool asking = v.side == Side::Asking;
  if (asking ? !may_ask(s) : !may_answer(s)) {
    asking ? done(w, ECANCELED) : end(s);
    return;
  }
  if (w.now >= v.give_up_at) {
    asking ? done(w, ETIMEDOUT) : end(s);
    return;
  }
  if (asking && v.read && v.heard) {
    done(w, 0);
    return;
  }
  if (v.read || v.reading || s.apply_outstanding || s.applied != v.at || s.exact_from > v.at) {
    return;
  }
  v.reading = true;
  Action& action = w.push(ActionKind::ReadSums);
  action.number = v.number;
  action.position = v.at;
  action.message.extent = v.stretch;
}

}  // namespace cb::core::volume
