// SPDX-License-Identifier: Apache-2.0
#include "core/volume/step.h"

#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

// How much may have been acknowledged alone before the restart. From the beginning of a later epoch
// on acknowledgements waited for the peer, whether it was granted or not.
Position acknowledged_alone(const State& s) {
  if (s.settings.mode == Mode::Async) {
    return s.issued;
  }
  if (s.record.standing != Standing::Alone) {
    return 0;
  }
  for (const Epoch& epoch : s.record.epochs) {
    if (epoch.number > s.record.epoch) {
      return std::min(epoch.start, s.issued);
    }
  }
  return s.issued;
}

void on_started(Work& w) {
  State& s = w.s;
  const Event& e = w.event;
  CB_CHECK_MSG(!s.started && e.session != 0 && e.record != nullptr,
               "Started is the first event, once");
  s.started = true;
  s.session = e.session;
  s.seed = e.seed;
  s.record = s.wanted = *e.record;
  s.damaged_until = e.damaged_until;
  s.kept = e.kept && e.record->copying != 0;
  s.issued = s.appended = e.position;
  s.issued_digest = e.digest;
  // What was read may still be in a cache only: it counts as durable after a sync of our own.
  s.synced = s.record.tail;
  s.applied = s.apply_high = s.record.checkpoint;
  s.exact_from = std::max(e.position, e.damaged_until);
  s.applied_digest = s.record.checkpoint_digest;
  // A writer that was alone acknowledged whatever it had synced: none of it may be cut off unasked.
  s.committed = std::min(std::max(e.committed, acknowledged_alone(s)), s.issued);
  s.sync_at = w.now;
}

// Messages of an earlier life of the peer, or meant for an earlier one of ours, say nothing about
// now.
bool current(const State& s, const Message& m) {
  return s.link && s.peer.agreed && m.session == s.peer.session && m.to_session == s.session;
}

void on_heard(Work& w) {
  const Message& m = *w.event.message;
  if (m.kind == MessageKind::Hello) {
    on_hello(w);
    return;
  }
  if (!current(w.s, m)) {
    return;
  }
  switch (m.kind) {
    case MessageKind::Hello: break;
    case MessageKind::Follow: on_follow(w); break;
    case MessageKind::Batch: on_batch(w); break;
    case MessageKind::Note: on_note(w); break;
    case MessageKind::Ack: on_ack(w); break;
    case MessageKind::Join: on_join(w); break;
    case MessageKind::Joined: on_joined(w); break;
    case MessageKind::Copy: on_copy(w); break;
    case MessageKind::Extent: on_extent(w); break;
    case MessageKind::ExtentDone: on_extent_done(w); break;
    case MessageKind::CopyEnd: on_copy_end(w); break;
    case MessageKind::AskSums: on_ask_sums(w); break;
    case MessageKind::GiveSums: on_give_sums(w); break;
    case MessageKind::AskBlock:
    case MessageKind::GiveBlock: break;
  }
}

void on_event(Work& w) {
  switch (w.event.kind) {
    case EventKind::Started: on_started(w); break;
    case EventKind::Tick: break;
    case EventKind::Write: on_write(w); break;
    case EventKind::Flush: on_flush(w); break;
    case EventKind::Appended: on_appended(w); break;
    case EventKind::Synced: on_synced(w); break;
    case EventKind::Recorded: on_recorded(w); break;
    case EventKind::Applied: on_applied(w); break;
    case EventKind::HomeSynced: on_home_synced(w); break;
    case EventKind::Folded: on_folded(w); break;
    case EventKind::RegisterRead: on_register_read(w); break;
    case EventKind::RegisterSwapped: on_register_swapped(w); break;
    case EventKind::LinkUp: on_link_up(w); break;
    case EventKind::LinkDown: on_link_down(w); break;
    case EventKind::Heard: on_heard(w); break;
    case EventKind::Sent: on_sent(w); break;
    case EventKind::ExtentSent: on_extent_sent(w); break;
    case EventKind::ExtentWritten: on_extent_written(w); break;
    case EventKind::ImageProtected: on_image_protected(w); break;
    case EventKind::ImageRestored: on_image_restored(w); break;
    case EventKind::FilesGrown: on_files_grown(w); break;
    case EventKind::Resize: on_resize(w); break;
    case EventKind::Verify: on_verify(w); break;
    case EventKind::SumsRead: on_sums_read(w); break;
    case EventKind::Promote: on_promote(w); break;
    case EventKind::Demote: on_demote(w); break;
    case EventKind::GoAlone: on_go_alone(w); break;
    case EventKind::Discard: on_discard(w); break;
  }
}

Stall stall_of(const State& s) {
  if (s.failed) {
    return Stall::DiskFailed;
  }
  if (s.claim.step == Claim::Step::Waiting) {
    return Stall::RegisterSilent;
  }
  const bool flush_waits = !s.flushes.empty() || s.stage == Stage::Releasing;
  if (flush_waits && !s.follower.active && !acknowledges_alone(s)) {
    return Stall::NoPeer;
  }
  if (s.stage == Stage::Serving &&
      !can_take(s, std::min<uint64_t>(kPayloadMax, s.record.ring_length) / 8) && s.composing < 0) {
    return Stall::RingFull;
  }
  if (damaged(s) && !s.following.active) {
    return Stall::Damaged;
  }
  // Split, Unrelated and Deposed stay until something else is known.
  const bool lasting =
      s.stall == Stall::Split || s.stall == Stall::Unrelated || s.stall == Stall::TooSmall;
  return lasting && !s.following.active && !s.follower.active ? s.stall : Stall::None;
}

void say_changes(Work& w) {
  State& s = w.s;
  const Stall stall = stall_of(s);
  if (stall != s.stall) {
    s.stall = stall;
    w.push(ActionKind::Stalled).stall = stall;
  }
  const bool in_step = s.stage == Stage::Standing
                           ? eligible(s) && s.record.standing == Standing::Together
                           : s.record.standing == Standing::Together && peer_in_step(s);
  if (in_step != s.in_step_said) {
    s.in_step_said = in_step;
    w.push(in_step ? ActionKind::InStep : ActionKind::FellBehind);
  }
}

// What must be so between any two events, whatever the world did.
void invariants(const State& s) {
  CB_CHECK(s.synced <= s.appended && s.appended <= s.issued);
  CB_CHECK(s.committed <= s.issued);
  CB_CHECK(s.applied <= s.committed || s.record.copying != 0);
  CB_CHECK(s.record.tail <= s.record.checkpoint);
  CB_CHECK(s.issued - s.record.tail <= s.record.ring_length || s.wanted.copying != 0 ||
           s.restore == Restore::Adopting);
  CB_CHECK(!(s.following.active && s.stage == Stage::Serving));
  CB_CHECK(s.stage != Stage::Serving || s.record.standing == Standing::Alone ||
           s.record.standing == Standing::Together);
}

}  // namespace

Message Work::message(MessageKind kind) const {
  Message m;
  m.kind = kind;
  m.session = s.session;
  m.to_session = s.peer.session;
  m.standing = s.failed ? Standing::Fresh : s.record.standing;  // it can give nothing
  m.granted = s.record.epoch;
  m.serving = s.stage == Stage::Serving || s.stage == Stage::Releasing;
  m.node = s.record.node;
  m.copying = s.record.copying;
  return m;
}

Message& Work::say(MessageKind kind) {
  Action& action = push(ActionKind::Say);
  action.message = message(kind);
  return action.message;
}

void begin(State& state, const Settings& settings, const DirtyMap& map) {
  state = State{};
  state.settings = settings;
  state.map = map;
}

Actions step(State& state, const Event& event, Instant now) {
  Actions out;
  Work w{state, event, now, out};
  if (!state.started && event.kind != EventKind::Started) {
    return out;  // nothing is known yet
  }
  on_event(w);
  if (!state.failed) {
    pump_restore(w);
    pump_claim(w);
    pump_following(w);
    pump_copy_in(w);
    pump_writer(w);
    pump_lead(w);
    pump_copy_out(w);
    pump_verify(w);
    pump_resize(w);
    pump_home(w);
    pump_sync(w);
    pump_record(w);
  }
  pump_hello(w);
  say_changes(w);
  invariants(state);
  return out;
}

bool acknowledges_alone(const State& s) {
  if (s.settings.mode == Mode::Async) {
    return true;
  }
  return s.settings.mode != Mode::Strict && s.record.standing == Standing::Alone && !s.gated;
}

bool damaged(const State& s) { return s.issued < s.damaged_until; }

bool eligible(const State& s) {
  // Both what is recorded and what is on its way to be: giving up begins with the wish.
  const auto worth = [](const Record& r) {
    return r.copying == 0 && (r.standing == Standing::Together || r.standing == Standing::Alone);
  };
  return s.started && !s.failed && !damaged(s) && worth(s.record) && worth(s.wanted);
}

Instant next_deadline(const State& s) {
  if (!s.started || s.failed) {
    return s.hello_at;
  }
  Instant at = std::min({s.hello_at, s.sync_at, s.claim.retry_at});
  if (s.follower.active) {
    at = std::min({at, s.follower.resend_at, s.follower.note_at});
    if (!s.sending) {
      at = std::min(at, s.follower.again_at);
    }
  }
  if (s.following.active) {
    at = std::min({at, s.following.silent_at, s.following.ack_at});
  }
  at = std::min({at, s.verifying.give_up_at, s.resizing.give_up_at});
  if (s.copying.active) {
    if (!s.copying.prepared || s.copying.end_said) {
      at = std::min(at, s.copying.resend_at);
    }
    for (const ExtentInFlight& extent : s.copying.in_flight) {
      at = std::min(at, extent.resend_at);
    }
  }
  return at;
}

}  // namespace cb::core::volume
