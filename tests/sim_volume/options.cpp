// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/options.h"

#include <array>

#include "base/prng.h"

namespace cb::sim_volume {
namespace {

struct Name {
  const char* name;
  const char* what;
};
constexpr std::array<Name, kPlanted> kNames = {{
    {"none", ""},
    {"flush-lies", "a sync of the log is answered and never made"},
    {"standby-flush-lies", "the same, on the follower alone"},
    {"record-lies", "a superblock is answered before it is durable"},
    {"map-bit-early", "a bit is cleared when its extent is sent"},
    {"map-not-durable", "the log is shortened before the map is durable"},
    {"in-step-early", "the follower says joined before it has everything"},
    {"gate-late", "acknowledged alone while the peer is being taken into step"},
    {"epoch-unchecked", "the register swaps whatever it holds"},
    {"lost-reply-assumed", "a swap whose answer was lost counts as granted"},
    {"forgetful-register", "the register comes back with an older value"},
    {"duplicate-accepted", "a batch that is had already is appended once more"},
    {"home-too-far", "the home image gets what is not committed"},
    {"scan-trusts", "torn payloads count as whole after a restart"},
    {"one-superblock", "both copies of the superblock are one block"},
    {"extent-order", "a late double of an extent is written over newer data"},
    {"sums-unheld", "the image goes on while a stretch of it is read for a comparison"},
    {"grown-dirty", "files grow and are not emptied beyond the writer's end"},
    {"async", "the mode that may lose, as a control"},
}};

}  // namespace

const char* name_of(Planted planted) { return kNames[static_cast<std::size_t>(planted)].name; }
const char* what_is(Planted planted) { return kNames[static_cast<std::size_t>(planted)].what; }

Options draw(uint64_t seed) {
  Prng prng(seed * 7919 + 17);
  Options o;
  o.seed = seed;
  o.ring_blocks = static_cast<unsigned>(prng.between(int64_t{48}, int64_t{160}));
  if (prng.chance(1, 2)) {
    o.loss = static_cast<unsigned>(prng.below(80));
  }
  if (prng.chance(1, 2)) {
    o.doubles = static_cast<unsigned>(prng.below(80));
  }
  if (prng.chance(1, 2)) {
    o.disorder = static_cast<unsigned>(prng.below(100));
  }
  o.jitter_us = prng.chance(1, 3) ? prng.between(int64_t{1000}, int64_t{30'000}) : 100;
  o.cuts = prng.chance(2, 3);
  o.one_way = prng.chance(1, 3);
  o.kills = prng.chance(1, 2);
  o.power = prng.chance(2, 3);
  o.both_power = prng.chance(1, 4);
  o.sync_errors = prng.chance(1, 4);
  o.write_through = seed % 3 == 1;
  o.stalls = prng.chance(1, 3);
  o.full = prng.chance(1, 6);
  o.wrong_monitor = prng.chance(1, 2);
  o.moves = prng.chance(1, 2);
  o.register_faults = prng.chance(1, 2);
  o.fresh_peer = prng.chance(1, 4);
  if (prng.chance(1, 2)) {
    o.long_absence_ms = prng.between(int64_t{300}, int64_t{2500});
  }
  o.discards = Prng(seed + 5).chance(1, 5);  // its own draw: the others stay what they were
  if (prng.chance(1, 6)) {
    // Media faults are the one fault of their seeds: a second one may lose data by design.
    const unsigned ring = o.ring_blocks;
    o = Options{};
    o.seed = seed;
    o.ring_blocks = ring;
    o.media = true;
    o.moves = prng.chance(1, 2);
    o.loss = static_cast<unsigned>(prng.below(30));
  } else if (prng.chance(1, 8)) {
    o.mode = volume::Mode::Strict;
  } else if (prng.chance(1, 8)) {
    // Acknowledged from the peer's memory: the power of a node must not fail together with the
    // other's.
    o.mode = volume::Mode::FastSync;
    o.power = o.both_power = o.sync_errors = o.full = false;
  }
  o.resizes = Prng(seed + 8).chance(1, 3);
  o.compares = Prng(seed + 6).chance(1, 2);  // its own draw, as above
  return o;
}

Options draw(uint64_t seed, Planted planted) {
  Options o = draw(seed);
  o.planted = planted;
  if (planted == Planted::None) {
    return o;
  }
  o.media = false;
  o.mode = volume::Mode::Sync;
  o.power = true;
  switch (planted) {
    case Planted::InStepEarly:
    case Planted::EpochUnchecked:
    case Planted::GateLate:
      o.cuts = o.wrong_monitor = o.kills = true;
      o.write_through = false;  // these need a writer that is far ahead of its flushes
      o.loss = 60;
      break;
    case Planted::LostReplyAssumed:
    case Planted::ForgetfulRegister: o.register_faults = o.cuts = o.wrong_monitor = true; break;
    case Planted::MapBitEarly:
    case Planted::MapNotDurable:
    case Planted::ExtentOrder:
      o.long_absence_ms = 900;
      o.kills = true;
      o.doubles = 60;
      break;
    case Planted::GrownDirty: o.resizes = o.discards = o.kills = true; break;
    case Planted::SumsUnheld: o.compares = true; break;
    case Planted::DuplicateAccepted: o.doubles = 60; break;
    case Planted::OneSuperblock: o.both_power = o.wrong_monitor = o.moves = true; break;
    case Planted::Async: o.cuts = true; break;
    case Planted::None:
    case Planted::FlushLies:
    case Planted::StandbyFlushLies:
    case Planted::RecordLies:
    case Planted::HomeTooFar:
    case Planted::ScanTrusts: break;
  }
  return o;
}

std::string Options::text() const {
  std::string text = "seed " + std::to_string(seed) + " mode " +
                     std::to_string(static_cast<int>(mode)) + " ring " +
                     std::to_string(ring_blocks) + " loss " + std::to_string(loss) + " doubles " +
                     std::to_string(doubles) + " disorder " + std::to_string(disorder) +
                     " jitter " + std::to_string(jitter_us) + "us";
  const auto flag = [&](bool on, const char* name) {
    if (on) {
      text += std::string(" ") + name;
    }
  };
  flag(cuts, "cuts");
  flag(one_way, "one-way");
  flag(kills, "kills");
  flag(power, "power");
  flag(both_power, "both-power");
  flag(sync_errors, "sync-errors");
  flag(stalls, "stalls");
  flag(full, "full");
  flag(media, "media");
  flag(wrong_monitor, "wrong-monitor");
  flag(discards, "discards");
  flag(moves, "moves");
  flag(resizes, "resizes");
  flag(compares, "compares");
  flag(register_faults, "register-faults");
  flag(fresh_peer, "fresh-peer");
  if (long_absence_ms > 0) {
    text += " absence " + std::to_string(long_absence_ms) + "ms";
  }
  if (planted != Planted::None) {
    text += std::string(" PLANTED ") + name_of(planted);
  }
  return text;
}

Options forsaken(Options options) {
  options.forsake = true;
  options.long_absence_ms = 900;
  options.media = false;
  return options;
}

}  // namespace cb::sim_volume
