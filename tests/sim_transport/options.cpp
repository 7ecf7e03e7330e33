// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_transport/options.h"

#include <algorithm>
#include <array>

#include "base/prng.h"

namespace cb::sim_transport {
namespace {

struct Name {
  const char* name;
  const char* what;
};
constexpr std::array<Name, kPlanted> kNames = {{
    {"none", ""},
    {"number-twice", "a lost packet goes out again under its old number"},
    {"double-delivered", "a packet that comes twice brings its message twice"},
    {"out-of-order", "two messages of one class change places"},
    {"credit-ignored", "more is sent than the peer has room for"},
    {"ack-without-data", "what is acknowledged is not kept"},
    {"no-probes", "the timers never run"},
    {"bulk-before-control", "Control shares the class of the bulk"},
    {"move-forgets", "what was under way on the path that was left is not sent again"},
    {"old-session", "packets of the session before are taken"},
    {"unpaced", "Resync fills the whole window"},
    {"ack-of-lost", "a packet that never came is acknowledged"},
}};

}  // namespace

const char* name_of(Planted planted) { return kNames[static_cast<std::size_t>(planted)].name; }
const char* what_is(Planted planted) { return kNames[static_cast<std::size_t>(planted)].what; }

Options draw(uint64_t seed) {
  Prng prng(seed * 6151 + 11);
  Options o;
  o.seed = seed;
  o.paths = prng.chance(3, 4) ? 2 : 1;
  o.delay_us = prng.between(int64_t{10}, int64_t{200});
  o.slow_delay_us = prng.between(int64_t{50}, int64_t{3000});
  o.bandwidth = uint64_t{1} << prng.between(int64_t{22}, int64_t{30});
  o.queue = uint64_t{1} << prng.between(int64_t{16}, int64_t{22});
  o.room = uint64_t{1} << prng.between(int64_t{14}, int64_t{22});
  constexpr std::array<uint32_t, 4> kSizes = {600, 1400, 8900, 64000};
  o.packet_max = kSizes[prng.below(kSizes.size())];
  o.path_max = prng.chance(1, 3)
                   ? static_cast<uint32_t>(prng.between(
                         int64_t{std::min(o.packet_max, core::kSizeBase)}, int64_t{o.packet_max}))
                   : o.packet_max;
  o.backpressure = prng.chance(1, 2);
  o.both_busy = prng.chance(1, 2);
  if (prng.chance(1, 5)) {
    // The bounds on waiting are judged where nothing but the bulk stands in the way.
    o.quiet = true;
    o.resync_only = prng.chance(1, 2);
    o.bandwidth = uint64_t{1} << prng.between(int64_t{26}, int64_t{30});
    o.queue = 16 << 20;
    o.room = 8 << 20;
    o.packet_max = o.path_max = std::min(o.packet_max, 8900u);
    return o;
  }
  if (prng.chance(2, 3)) {
    o.loss = static_cast<unsigned>(prng.below(prng.chance(1, 4) ? 300 : 50));
  }
  if (prng.chance(1, 2)) {
    o.doubles = static_cast<unsigned>(prng.below(100));
  }
  if (prng.chance(1, 2)) {
    o.disorder = static_cast<unsigned>(prng.below(100));
  }
  if (prng.chance(1, 3)) {
    o.jitter_us = prng.between(int64_t{10}, int64_t{5000});
  }
  o.cuts = prng.chance(2, 3);
  o.one_way = prng.chance(1, 3);
  o.carrier = prng.chance(1, 2);
  o.restarts = prng.chance(1, 3);
  return o;
}

Options draw(uint64_t seed, Planted planted) {
  Options o = draw(seed);
  o.planted = planted;
  switch (planted) {
    case Planted::None: return o;
    case Planted::BulkBeforeControl:
    case Planted::Unpaced:
      o = Options{};
      o.seed = seed;
      o.planted = planted;
      o.quiet = true;
      o.resync_only = planted == Planted::Unpaced;
      o.bandwidth = 64 << 20;
      o.queue = 16 << 20;
      o.room = 8 << 20;
      return o;
    case Planted::DoubleDelivered: o.doubles = 60; break;
    case Planted::MoveForgets:
      o.cuts = true;
      o.paths = 2;
      break;
    case Planted::OldSession:
      o.restarts = true;
      o.delay_us = 3000;
      break;
    case Planted::NumberTwice:
    case Planted::NoProbes:
    case Planted::AckOfLost: o.loss = 60; break;
    case Planted::OutOfOrder:
    case Planted::CreditIgnored:
    case Planted::AckWithoutData: break;
  }
  o.quiet = o.resync_only = false;
  return o;
}

std::string Options::text() const {
  std::string text = "seed " + std::to_string(seed) + " paths " + std::to_string(paths) + " loss " +
                     std::to_string(loss) + " doubles " + std::to_string(doubles) + " disorder " +
                     std::to_string(disorder) + " delay " + std::to_string(delay_us) + "/" +
                     std::to_string(slow_delay_us) + "us jitter " + std::to_string(jitter_us) +
                     "us bandwidth " + std::to_string(bandwidth) + " queue " +
                     std::to_string(queue) + " room " + std::to_string(room) + " packets " +
                     std::to_string(packet_max) + "/" + std::to_string(path_max);
  const auto flag = [&](bool on, const char* name) {
    if (on) {
      text += std::string(" ") + name;
    }
  };
  flag(cuts, "cuts");
  flag(one_way, "one-way");
  flag(carrier, "carrier");
  flag(restarts, "restarts");
  flag(both_busy, "both-busy");
  flag(quiet, "quiet");
  flag(resync_only, "resync-only");
  flag(backpressure, "backpressure");
  if (planted != Planted::None) {
    text += std::string(" PLANTED ") + name_of(planted);
  }
  return text;
}

}  // namespace cb::sim_transport
