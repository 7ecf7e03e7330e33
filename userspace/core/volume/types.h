// SPDX-License-Identifier: Apache-2.0
//
// The words of the replicated volume as plain data (docs/volume.md). A volume is one ordered log;
// every write has a place in it. All positions are bytes since the volume was created, multiples of
// kBlock.
#pragma once

#include <cstdint>

#include "base/fixed_list.h"
#include "base/instant.h"

namespace cb::core::volume {

using Position = uint64_t;
using Node = uint8_t;  // 0: the pair's primary by role, 1: its secondary

inline constexpr uint64_t kBlock = 4096;
inline constexpr int kEntriesMax = 120;               // writes in one batch
inline constexpr uint32_t kPayloadMax = 1024 * 1024;  // bytes of one batch behind its header
inline constexpr uint64_t kBatchMax = kBlock + kPayloadMax;
inline constexpr int kEpochsMax = 56;           // so that a superblock is one block
inline constexpr uint64_t kExtent = 64 * 1024;  // what one bit of the dirty map stands for
inline constexpr uint64_t kRingMin =
    16 * kBlock;  // what can work at all; a configuration asks for more

// The chain over everything in the log up to a position: same position and same digest, same data.
struct Digest {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Digest&) const = default;
};

// What is compared at a time: a sum of four bytes for each block is one small message.
inline constexpr uint64_t kStretch = 1024 * 1024;

// Drawn at random when an epoch is begun. No two epochs of the world share one.
struct Generation {
  uint64_t high = 0;
  uint64_t low = 0;
  bool none() const noexcept { return high == 0 && low == 0; }
  bool operator==(const Generation&) const = default;
};

// Whose right it is to acknowledge in an epoch.
enum class Kind : uint8_t {
  Together = 0,  // an acknowledged flush is durable on both nodes
  Alone = 1,     // ... on the writer only
};

// A stretch of the log with one writer. It ends where the next begins, or at the end of the log.
struct Epoch {
  uint64_t number =
      0;  // grows; a node draws even or odd ones, so that two plans never share a number
  Generation generation;
  Position start = 0;
  Digest digest;  // at start
  Node writer = 0;
  bool operator==(const Epoch&) const = default;
};
using Epochs = FixedList<Epoch, kEpochsMax>;

// What a node's own copy is worth, durably. Numbers are on disk: append, never renumber.
enum class Standing : uint8_t {
  Fresh = 0,       // never held data
  Together = 1,    // in step in record.epoch: may take over if the register agrees
  Alone = 2,       // the writer that may acknowledge by itself in record.epoch
  CatchingUp = 3,  // follows; never eligible
  Outdated = 4,    // deposed, or told that somebody went on without it; never eligible
};

// What the volume promises (DESIGN.md section 7).
enum class Mode : uint8_t {
  Strict = 0,    // a flush is durable on both nodes, always: it waits for ever if it must
  Sync = 1,      // ... or on one that was given the right to be alone
  FastSync = 2,  // durable here, in memory there
  Async = 3,     // durable here
};

// The register: who may acknowledge. Kept by the witness, changed only by compare-and-swap; without
// a witness the monitor answers for it from its arbitration and its ledger.
struct Register {
  uint64_t epoch = 0;
  Generation generation;
  Kind kind = Kind::Alone;
  Node holder = 0;
  bool operator==(const Register&) const = default;
};

// Which differences a shortened log no longer tells: everything written in [from, to).
struct MapRecord {
  bool present = false;
  bool cleared = false;  // bits were cleared for `session`: the map is of use to that copy alone
  uint8_t slot = 0;      // which of the two copies on disk holds it
  uint64_t session = 0;
  Position from = 0;
  Position to = 0;
  bool operator==(const MapRecord&) const = default;
};

// Everything that must survive a crash beside the log itself: one superblock.
struct Record {
  uint64_t counter = 0;  // of writes; copy counter % 2 is the one to write
  uint64_t instance_high = 0;
  uint64_t instance_low = 0;
  uint64_t ring_length = 0;
  uint64_t volume_length = 0;
  Node node = 0;
  Standing standing = Standing::Fresh;
  uint64_t epoch = 0;  // in which the standing was given
  Position tail = 0;   // the oldest batch that is kept
  Digest tail_digest;
  Position checkpoint = 0;  // the home image holds everything before it, durably
  Digest checkpoint_digest;
  Position synced = 0;  // the log was durable up to here when this was written, or further
  Position committed = 0;
  MapRecord map;
  uint64_t copying =
      0;  // a copy under way INTO this node: its session; the home image is no image now
  Epochs epochs;
  bool operator==(const Record&) const = default;
};

struct Settings {
  Mode mode = Mode::Sync;
  uint64_t window = 16 * 1024 * 1024;  // bytes sent and not yet received
  uint64_t join_lag = 1024 * 1024;     // a follower this close may be taken into step
  uint64_t unsynced_max =
      4 * 1024 * 1024;  // the log is synced at the latest after so much, flush or not
  Duration resend = Duration::from_ms(50);
  Duration register_retry = Duration::from_ms(200);
};

// Why nothing moves, for status and for people.
enum class Stall : uint8_t {
  None,
  NoPeer,          // a flush waits for the peer, and nobody gave the right to be alone
  RegisterSilent,  // the witness does not answer
  RingFull,        // the follower is slower than the writers
  Unrelated,       // the peer's copy has another history
  Split,    // both copies hold acknowledged writes that the other lacks: an operator must choose
  Deposed,  // the register names somebody else
  Damaged,  // the own log lost what was durable: only the peer can mend it
  DiskFailed,
  TooSmall,  // the peer's volume is longer, and there is no room here to follow it
};

constexpr uint64_t round_up(uint64_t bytes) noexcept {
  return (bytes + kBlock - 1) / kBlock * kBlock;
}

}  // namespace cb::core::volume
