// SPDX-License-Identifier: Apache-2.0
//
// The log's way to the disk, and the superblock's.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {

// After a failed write or sync nobody knows what the disk holds, and the next sync may well
// "succeed" (the kernel drops the pages): so nothing is acknowledged any more until a restart read
// the log anew.
void fail(Work& w, int error) {
  State& s = w.s;
  if (s.failed) {
    return;
  }
  s.failed = true;
  const bool promoting = s.stage == Stage::Promoting;
  const bool releasing = s.stage == Stage::Releasing;
  drop_front_end(w, error);
  s.stage = Stage::Standing;
  s.claim = Claim{};
  s.held = false;
  stop_following(s);
  s.follower.active = false;
  s.copying = Copying{};
  if (s.resizing.to != 0) {
    w.push(ActionKind::ResizeDone).error = error;
    s.resizing.to = 0;
  }
  if (promoting) {
    w.push(ActionKind::PromoteDone).error = error;
  }
  if (releasing) {
    w.push(ActionKind::DemoteDone).error = error;
  }
}

bool log_idle(const State& s) {
  if (s.sync_outstanding) {
    return false;
  }
  for (const Slot& slot : s.slots) {
    if (slot.use == Slot::Use::Appending || slot.use == Slot::Use::Done) {
      return false;
    }
  }
  return true;
}

bool settled(const State& s) { return log_idle(s) && s.synced == s.issued; }

void on_appended(Work& w) {
  State& s = w.s;
  Slot& answered = s.slots[static_cast<std::size_t>(w.event.slot)];
  CB_CHECK(answered.use == Slot::Use::Appending);
  answered.use = Slot::Use::Done;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  if (s.failed) {
    return;
  }
  // Answered in the order of the log: a batch behind a gap would be lost with the gap.
  bool moved = true;
  while (moved) {
    moved = false;
    for (int i = 0; i < kSlots; ++i) {
      Slot& slot = s.slots[static_cast<std::size_t>(i)];
      if (slot.use == Slot::Use::Done && slot.header.position == s.appended) {
        // Only its own bytes: with a gap before them they are worth nothing.
        if (slot.durably && s.synced == s.appended) {
          s.synced = slot.header.end();
        }
        s.appended = slot.header.end();
        slot.use = Slot::Use::Free;
        if (slot.answers) {
          w.push(ActionKind::AnswerWrites).slot = i;
        }
        moved = true;
      }
    }
  }
}

void on_synced(Work& w) {
  State& s = w.s;
  CB_CHECK(s.sync_outstanding);
  s.sync_outstanding = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  s.synced = std::max(s.synced, s.syncing_to);
  s.sync_at = Instant::never();
}

void pump_sync(Work& w) {
  State& s = w.s;
  if (s.failed || s.sync_outstanding) {
    return;
  }
  if (s.synced == s.appended) {
    s.sync_at = Instant::never();
    return;
  }
  if (s.sync_at.is_never()) {
    s.sync_at = w.now + s.settings.resend;
  }
  const bool awaited = wanted_flush(s) > s.synced || s.following.flush > s.synced ||
                       s.following.joining || s.following.copy_ended || s.following.draining ||
                       s.held || s.stage == Stage::Promoting || flush_is_expected(s);
  if (!awaited && s.appended - s.synced < s.settings.unsynced_max && w.now < s.sync_at) {
    return;
  }
  s.sync_outstanding = true;
  s.sync_at = Instant::never();
  s.syncing_to = s.appended;
  w.push(ActionKind::Sync).position = s.appended;
}

void on_recorded(Work& w) {
  State& s = w.s;
  CB_CHECK(s.record_outstanding);
  s.record_outstanding = false;
  if (w.event.error != 0) {
    fail(w, w.event.error);
    return;
  }
  const bool longer = s.record.volume_length != s.recording.volume_length;
  s.record = s.recording;
  if (longer) {
    w.push(ActionKind::LengthChanged);
  }
}

// One superblock at a time; what changes meanwhile goes with the next.
void pump_record(Work& w) {
  State& s = w.s;
  if (s.failed || s.record_outstanding) {
    return;
  }
  s.wanted.counter = s.record.counter;
  s.wanted.synced = s.record.synced;
  s.wanted.committed = s.record.committed;
  if (s.wanted == s.record) {
    return;
  }
  s.recording = s.wanted;
  s.recording.counter = s.record.counter + 1;
  // Watermarks ride along: a log that is shorter than this after a restart was damaged.
  s.recording.synced = std::max(s.synced, damaged(s) ? s.damaged_until : 0);
  s.recording.committed = s.committed;
  s.record_outstanding = true;
  w.push(ActionKind::Record);
}

}  // namespace cb::core::volume
