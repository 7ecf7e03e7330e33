// SPDX-License-Identifier: Apache-2.0
//
// What the core of one volume knows. One writer at most follows from the register and from the
// commit rule, not from anybody's belief about the peer.
#pragma once

#include <array>

#include "core/volume/batch.h"
#include "core/volume/dirty_map.h"
#include "core/volume/flush_habit.h"
#include "core/volume/message.h"
#include "core/volume/patience.h"
#include "core/volume/types.h"

namespace cb::core::volume {

inline constexpr int kSlots = 8;
inline constexpr int kFlushesMax = 64;
inline constexpr int kExtentsInFlight = 16;
inline constexpr int kFoldsWhileCopying = 8;

struct Slot {
  enum class Use : uint8_t { Free, Composing, Appending, Done };
  Use use = Use::Free;
  bool answers = false;  // the front end waits for it
  bool durably = false;  // written so that its own bytes are durable when it is answered
  BatchHeader header;
};

// Flushes wait in order of their requests, and so of their positions.
struct WaitingFlush {
  uint64_t request = 0;
  Position position = 0;
  bool operator==(const WaitingFlush&) const = default;
};

enum class Stage : uint8_t {
  Standing,   // not the writer
  Promoting,  // on the way to
  Serving,
  Releasing,  // no new writes; waits until the peer holds everything
};

// The way to the right to acknowledge: alone, or together with the peer.
struct Claim {
  enum class Step : uint8_t {
    None,
    Planning,  // together: the epoch is being recorded here
    Joining,   // together: waits until the peer recorded it
    Reading,   // the register is being read
    Waiting,   // ... did not answer; asked again at retry_at
    Swapping,
    Recording,  // granted; being recorded
  };
  Step step = Step::None;
  bool together = false;
  Epoch planned;    // start: where its batches begin
  Register wanted;  // what was proposed last; a lost answer is recognized by it
  Instant retry_at = Instant::never();
  Instant give_up_at = Instant::never();
  bool abandoned = false;  // the link went: plan no further once what was begun is recorded
};

// The peer in its present life.
struct Peer {
  uint64_t hellos = 0;   // the number of its last Hello
  uint64_t session = 0;  // 0: not heard
  bool agreed = false;   // it knows our session
  bool serving = false;
  Standing standing = Standing::Fresh;
  uint64_t granted = 0;
  Position end = 0;
  Position committed = 0;
  uint64_t volume_length = 0;
  uint64_t resize_to = 0;  // a writer: its wish; a follower: for what its files are ready
  int resize_error = 0;    // why they are not
  Epochs epochs;
};

// A peer that follows us.
struct Follower {
  bool active = false;
  uint64_t number = 0;
  Position sent = 0;
  Position received = 0;
  Position synced = 0;
  Instant resend_at = Instant::never();  // a sign of life is due
  Patience patience;
  Instant again_at = Instant::never();  // what is under way then is taken to be lost
  int repeated = 0;
  Position timed_to = 0;  // ... and since when it is on its way, to learn how long that takes
  Instant timed_at = Instant::never();
  Position noted_committed = 0;
  Position noted_flush = 0;
  Instant note_at = Instant::never();  // what is committed is told then
};

// We follow the peer.
struct Following {
  bool active = false;                   // a Follow was sent and its preparations are recorded
  uint64_t number = 0;                   // of the last Follow; grows over all lives of the link
  Instant silent_at = Instant::never();  // nothing was heard: follow anew
  Instant heard_at = Instant::never();   // the last time that something was
  Patience patience;
  int repeated = 0;  // Follows without an answer
  Position acked = 0;
  Position acked_synced = 0;
  Instant ack_at = Instant::never();  // what was received is told then
  bool ack = false;                   // say it in any case
  bool missed = false;                // a batch was dropped: it must be sent again
  bool no_room = false;               // the next batch finds no room in the log
  Position asked = 0;                 // ... was asked for from here
  bool heard = false;                 // the last Follow was answered
  uint64_t copied = 0;                // the last copy that was finished
  bool wanted = false;                // preparations (truncation, record) run
  Position cut = 0;                   // where the own log is cut
  Digest cut_digest;
  bool cutting = false;
  Position flush = 0;  // the writer's flush waits for it
  Message join;        // a Join that waits until we have what it names
  bool joining = false;
  Position image_at = 0;  // copy ended: an image again from this position on
  bool copy_ended = false;
  bool releasing = false;    // ... and that is being recorded
  uint64_t last_extent = 0;  // numbers of extents grow; an older one is a late double
  bool discarding = false;   // ... for an operator's Discard
  bool protecting = false;
  bool protecting_whole = false;  // ... at exactly the checkpoint
  bool draining = false;          // first the home image gets all of the old log
  bool preparing = false;         // ... for `copy`
  Message copy;
  Epochs copy_epochs;
};

struct ExtentInFlight {
  uint64_t extent = 0;
  uint64_t number = 0;
  bool dirtied_again = false;
  Instant resend_at = Instant::never();
  Instant sent_at = Instant::never();  // the first time
  int repeated = 0;
  bool operator==(const ExtentInFlight&) const = default;
};

// The copy into this node will not be finished: its owner takes the image that was kept.
enum class Restore : uint8_t {
  None,
  Recording,  // what comes of the copy is recorded to be worth nothing
  Restoring,  // the owner puts the old image back
  Adopting,   // ... did, and that is being recorded
};

// We copy extents to the peer.
struct Copying {
  bool active = false;
  bool prepared = false;  // the peer follows with our session
  bool end_said = false;
  bool full = false;  // every extent: the map knows nothing of this peer
  uint64_t session = 0;
  uint64_t numbers = 0;
  uint64_t cursor = 0;
  Position told = 0;  // where the follower was told to begin
  int folds = 0;
  FixedList<ExtentInFlight, kExtentsInFlight> in_flight;
  Instant resend_at = Instant::never();
  Patience patience;
  int repeated = 0;  // how often the follower was told in vain to begin
};

// The volume gets longer: first the files here, then the follower's and its record, then the own
// record. So nobody who follows is ever shorter than what is written.
struct Resizing {
  uint64_t to = 0;       // the writer's wish; 0: none
  bool growing = false;  // GrowFiles is outstanding
  uint64_t ready = 0;    // so long are the files here, and empty beyond what the writer uses
  int error = 0;         // why they are not
  Instant again_at = Instant::never();
  Instant give_up_at = Instant::never();
};

// A stretch of both images is being compared. Both stand still at one position of the log for as
// long as it takes to read the stretch; the log goes on.
struct Verifying {
  enum class Side : uint8_t { None, Asking, Answering };
  Side side = Side::None;
  uint64_t number = 0;  // of the question; those of one writer grow
  uint64_t stretch = 0;
  Position at = 0;
  Instant give_up_at = Instant::never();
  bool read = false;     // Asking: the own image was
  bool heard = false;    // ... and the peer answered
  bool reading = false;  // ReadSums is outstanding, perhaps for an earlier question
};

struct State {
  Settings settings;
  Stage stage = Stage::Standing;
  bool started = false;
  bool failed = false;         // a disk failed: nothing is acknowledged until a restart
  Position damaged_until = 0;  // the log was durable up to here, and is shorter
  uint64_t session = 0;
  Generation seed;
  uint64_t drawn = 0;

  Record record;     // as it is on disk
  Record wanted;     // as it should be
  Record recording;  // on its way there
  bool record_outstanding = false;

  Position issued = 0;  // end of what was given to the disk
  Digest issued_digest;
  Position appended = 0;  // ... and answered, without a gap
  Position synced = 0;    // durable here
  Position syncing_to = 0;
  bool sync_outstanding = false;
  Position committed = 0;
  Position applied = 0;  // the home image holds it, durably or not
  Digest applied_digest;
  Position applying_to = 0;
  bool apply_outstanding = false;
  Position apply_high = 0;  // the home image may hold parts of it
  Position exact_from = 0;  // what an earlier life applied is all in the home image from here on
  bool home_sync_outstanding = false;
  Position home_syncing_to = 0;
  Digest home_syncing_digest;
  bool fold_outstanding = false;
  bool fold_for_copy = false;
  uint8_t fold_slot = 0;
  std::array<Slot, kSlots> slots{};
  int composing = -1;
  bool held = false;   // no batch is issued: an epoch is being begun
  bool gated = false;  // acknowledgements wait for the peer, whatever the record says

  FixedList<WaitingFlush, kFlushesMax> flushes;
  uint64_t last_flush = 0;
  FlushHabit habit;
  bool flush_comes = false;  // of what was issued last
  Instant sync_at = Instant::never();

  bool link = false;
  Peer peer;
  Follower follower;
  Following following;
  Copying copying;
  Verifying verifying;
  Resizing resizing;
  bool kept = false;  // an image is kept aside, and what it holds is known
  Restore restore = Restore::None;
  uint64_t restoring = 0;  // the session that marks what the copy left
  Claim claim;
  bool sending = false;                   // a Send is outstanding
  Instant promote_at = Instant::never();  // until then a promotion waits for the peer's Hello
  bool alone_wanted = false;
  bool in_step_said = false;
  Stall stall = Stall::None;
  Instant hello_at = Instant::never();
  uint64_t hellos = 0;
  bool hello_said_serving = false;
  uint64_t hello_said_counter = 0;  // of the record that the last Hello showed
  DirtyMap map;
};

}  // namespace cb::core::volume
