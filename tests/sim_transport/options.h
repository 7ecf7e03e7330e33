// SPDX-License-Identifier: Apache-2.0
//
// What one seed switches on. Each draws its own subset of the faults and their strengths.
#pragma once

#include <cstdint>
#include <string>

#include "core/transport/types.h"

namespace cb::sim_transport {

namespace core = cb::core::transport;

enum class Planted : uint8_t {
  None,
  NumberTwice,        // a lost packet goes out again under its old number
  DoubleDelivered,    // a packet that comes twice brings its message twice
  OutOfOrder,         // two messages of one class change places
  CreditIgnored,      // more is sent than the peer has room for
  AckWithoutData,     // what is acknowledged is not kept
  NoProbes,           // the timers never run
  BulkBeforeControl,  // Control shares the class of the bulk
  MoveForgets,        // what was under way on the path that was left is not sent again
  OldSession,         // packets of the session before are taken
  Unpaced,            // Resync fills the whole window
  AckOfLost,          // a packet that never came is acknowledged
};
inline constexpr int kPlanted = static_cast<int>(Planted::AckOfLost) + 1;

const char* name_of(Planted planted);
const char* what_is(Planted planted);

struct Options {
  uint64_t seed = 0;
  Planted planted = Planted::None;
  bool verbose = false;
  int paths = 2;
  unsigned loss = 0;      // permille
  unsigned doubles = 0;   // permille
  unsigned disorder = 0;  // permille of packets that come late
  int64_t delay_us = 50;
  int64_t jitter_us = 0;
  int64_t slow_delay_us = 200;     // of the second path
  uint64_t bandwidth = 100 << 20;  // bytes a second, of the first path
  uint64_t queue = 1 << 20;        // bytes that a link holds; more is dropped
  uint64_t room = 1 << 20;         // the receiver's, of each class
  uint32_t packet_max = 1400;      // as the links say
  uint32_t path_max = 1400;        // as the first path carries
  bool cuts = false;
  bool one_way = false;
  bool carrier = false;  // the cuts are seen at the link
  bool restarts = false;
  bool both_busy = false;  // bulk in both directions
  bool quiet = false;      // no fault at all: the bounds on waiting hold
  bool resync_only = false;
  bool backpressure = false;  // a link refuses what it cannot hold, and says when it can again

  std::string text() const;
};

Options draw(uint64_t seed);
// With the faults switched on that bring the planted bug to light.
Options draw(uint64_t seed, Planted planted);

}  // namespace cb::sim_transport
