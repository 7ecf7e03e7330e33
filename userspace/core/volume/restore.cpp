// SPDX-License-Identifier: Apache-2.0
//
// The source of a copy is gone for good, and an operator accepts what is lost: this node goes back
// to the image that it kept aside. First what the copy left is recorded to be no beginning of
// anything, so that it is never gone on with over a restored image; then the owner puts the old
// image back; then that is recorded. A crash in between leaves a copy that was not finished and an
// image that is still kept.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

// Nothing is on its way to a disk, and nothing begins to be: what is durable is all there is.
bool at_rest(const State& s) {
  return settled(s) && !s.apply_outstanding && !s.home_sync_outstanding && !s.record_outstanding &&
         !s.fold_outstanding;
}

// Whoever is granted the right next needs a higher number than anybody had whom we heard of.
uint64_t highest_epoch(const State& s, const Record& kept) {
  uint64_t highest = std::max({kept.epoch, s.record.epoch, s.wanted.epoch, s.peer.granted});
  for (const Epochs* epochs : {&s.record.epochs, &s.wanted.epochs, &kept.epochs}) {
    if (!epochs->empty()) {
      highest = std::max(highest, epochs->back().number);
    }
  }
  return highest;
}

// An empty log that begins where the image ends.
void adopt(State& s, const Record& kept) {
  Record& r = s.wanted;
  r.epoch = highest_epoch(s, kept);
  s.issued = s.appended = s.synced = s.committed = kept.checkpoint;
  s.applied = s.apply_high = s.exact_from = kept.checkpoint;
  s.issued_digest = s.applied_digest = kept.checkpoint_digest;
  s.damaged_until = 0;
  r.tail = r.checkpoint = kept.checkpoint;
  r.tail_digest = r.checkpoint_digest = kept.checkpoint_digest;
  r.epochs = kept.epochs;
  while (!r.epochs.empty() && r.epochs.back().start > kept.checkpoint) {
    r.epochs.erase_at(r.epochs.size() - 1);
  }
  // What the copy had streamed lies in the ring still, and may go on in the same epoch: from here
  // on the log is of an epoch of our own, which was granted to nobody.
  add(r.epochs, epoch_from_here(s));
  r.standing = Standing::Outdated;
  r.copying = 0;
  r.map = MapRecord{};
  s.map.clear_all();
}

}  // namespace

bool can_restore(const State& s) {
  return s.started && !s.failed && s.kept && s.record.copying != 0 && s.wanted.copying != 0 &&
         !s.following.discarding && !s.following.protecting;
}

void begin_restore(Work& w) {
  State& s = w.s;
  if (s.restore != Restore::None) {
    return;  // demoted in the middle, and promoted again
  }
  stop_following(s);
  s.restore = Restore::Recording;
  s.restoring = s.session ^ (++s.drawn << 32) ^ 1;
}

void on_image_restored(Work& w) {
  State& s = w.s;
  CB_CHECK(s.restore == Restore::Restoring);
  if (w.event.error != 0 || w.event.record == nullptr) {
    s.restore = Restore::None;
    fail(w, w.event.error != 0 ? w.event.error : EIO);
    return;
  }
  s.restore = Restore::Adopting;
  adopt(s, *w.event.record);
}

void pump_restore(Work& w) {
  State& s = w.s;
  switch (s.restore) {
    case Restore::None:
    case Restore::Restoring: break;
    case Restore::Recording:
      if (s.record.copying == s.restoring) {
        s.restore = Restore::Restoring;
        w.push(ActionKind::RestoreImage);
      } else if (at_rest(s)) {
        s.wanted.copying = s.restoring;
        s.wanted.standing = Standing::CatchingUp;
        s.wanted.map = MapRecord{};
        s.map.clear_all();
      }
      break;
    case Restore::Adopting:
      if (s.record.copying == 0) {
        s.restore = Restore::None;
        s.kept = false;
        w.push(ActionKind::ReleaseImage);
      }
      break;
  }
}

}  // namespace cb::core::volume
