// SPDX-License-Identifier: Apache-2.0
//
// What one seed switches on. Each draws its own subset of the faults and their strengths.
#pragma once

#include <cstdint>
#include <string>

#include "core/volume/types.h"

namespace cb::sim_volume {

namespace volume = core::volume;

enum class Planted : uint8_t {
  None,
  FlushLies,          // a sync of the log is answered and never made
  StandbyFlushLies,   // ... on the follower alone
  RecordLies,         // a superblock is answered before it is durable
  MapBitEarly,        // a bit is cleared when the extent is sent, not when it is durable there
  MapNotDurable,      // the log is shortened before the map is durable
  InStepEarly,        // the follower says "joined" before it has everything
  GateLate,           // acknowledgements go on alone while the peer is taken into step
  EpochUnchecked,     // the register swaps whatever it holds
  LostReplyAssumed,   // a swap whose answer was lost counts as granted
  ForgetfulRegister,  // the register comes back with an older value
  DuplicateAccepted,  // a batch that is had already is appended once more
  HomeTooFar,         // the home image gets what is not committed
  ScanTrusts,         // after a restart torn payloads count as whole
  OneSuperblock,      // both copies of the superblock are the same block
  ExtentOrder,        // extents are applied in the order they happen to arrive
  SumsUnheld,         // the image goes on while a stretch is read for a comparison
  GrownDirty,         // what is beyond the writer's end is not emptied when the files grow
  Async,              // no bug but a mode that may lose: the judges must say so
};
inline constexpr int kPlanted = static_cast<int>(Planted::Async) + 1;

const char* name_of(Planted planted);
const char* what_is(Planted planted);

struct Options {
  uint64_t seed = 0;
  Planted planted = Planted::None;
  bool verbose = false;
  bool trace = false;
  volume::Mode mode = volume::Mode::Sync;
  unsigned ring_blocks = 64;
  unsigned loss = 0;      // permille
  unsigned doubles = 0;   // permille
  unsigned disorder = 0;  // permille of packets that come late
  int64_t jitter_us = 100;
  bool cuts = false;
  bool one_way = false;
  bool kills = false;       // of the process
  bool power = false;       // of the machine
  bool both_power = false;  // of both at once
  bool sync_errors = false;
  bool write_through = false;  // each write is flushed at once
  bool stalls = false;
  bool full = false;
  bool media = false;          // rot and misdirected writes, on one node
  bool wrong_monitor = false;  // goes alone or promotes without cause
  bool discards = false;       // an operator gives the standby's copy up
  bool moves = false;          // hand-overs
  bool register_faults = false;
  bool compares = false;    // the writer compares both images all the time
  bool resizes = false;     // begins with a short volume that gets longer
  bool fresh_peer = false;  // the second node comes with an empty disk, late
  int64_t long_absence_ms = 0;
  int64_t slow_ms = 0;  // not drawn: a packet is so long on its way, at all times
  // Not drawn: the source of a copy dies for ever in the middle, and an operator accepts the loss.
  bool forsake = false;

  std::string text() const;
};

Options draw(uint64_t seed);
// With the faults switched on that bring the planted bug to light.
Options draw(uint64_t seed, Planted planted);
// ... with `forsake`, and what brings copies about.
Options forsaken(Options options);

}  // namespace cb::sim_volume
