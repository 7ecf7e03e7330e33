// SPDX-License-Identifier: Apache-2.0
#include "core/ladder.h"

#include <algorithm>
#include <array>

namespace cb::core {
namespace {

using enum ActionKind;
using enum OnFailure;

// The order is the safety: nothing of ours stands before the term is claimed, the peer fenced and
// the old lease waited out; the guard opens only over an address that is there; data comes before
// those who use it.
constexpr std::array kUp = {
    Rung{ClaimTerm, Abort},     Rung{Fence, Abort},       Rung{CloseLease, Abort},
    Rung{AddAddress, Abort},    Rung{OpenGuard, Abort},   Rung{Announce, Continue},
    Rung{PromoteVolume, Retry}, Rung{MountVolume, Retry}, Rung{StartServices, Retry},
};

// The same for clients that must not reach a starting service: they see the address last.
constexpr std::array kUpAddressLast = {
    Rung{ClaimTerm, Abort},     Rung{Fence, Abort},       Rung{CloseLease, Abort},
    Rung{PromoteVolume, Retry}, Rung{MountVolume, Retry}, Rung{StartServices, Retry},
    Rung{AddAddress, Abort},    Rung{OpenGuard, Abort},   Rung{Announce, Continue},
};

// In command already, under a lease that the peer no longer gives: it must be dead before we go
// solo.
constexpr std::array kFenceFirst = {Rung{Fence, Abort}};

// Handing over keeps the address until the data is let go of: a failure there can still be undone.
constexpr std::array kDownHandOver = {
    Rung{StopServices, Continue}, Rung{UnmountVolume, Abort},    Rung{DemoteVolume, Abort},
    Rung{CloseGuard, Continue},   Rung{RemoveAddress, Continue},
};

constexpr std::array kDownOrderly = {
    Rung{StopServices, Continue}, Rung{UnmountVolume, Retry}, Rung{DemoteVolume, Retry},
    Rung{CloseGuard, Continue},   Rung{RemoveAddress, Retry},
};

// Somebody else serves: the address goes first, everything else as it can.
constexpr std::array kDownAtOnce = {
    Rung{CloseGuard, Continue}, Rung{RemoveAddress, Retry}, Rung{StopServices, Retry},
    Rung{UnmountVolume, Retry}, Rung{DemoteVolume, Retry},
};

bool over_a_peer_that_may_live(const State& s) noexcept {
  switch (s.goal) {
    case Goal::TakeOver:
    case Goal::FenceFirst: return true;
    // Released, or under its lease, or nothing to take: it is not serving, by its own word.
    case Goal::TakeBack:
    case Goal::ColdStart: return s.solo != SoloBasis::None && s.solo != SoloBasis::Unpaired;
    case Goal::None:
    case Goal::TakeHandOver:
    case Goal::Resume:
    case Goal::HandOver:
    case Goal::Yield:
    case Goal::Stop:
    case Goal::Unpair:
    case Goal::CleanUp: return false;
  }
  return false;
}

}  // namespace

std::span<const Rung> rungs_of(const State& s) noexcept {
  switch (s.goal) {
    case Goal::None: return {};
    case Goal::TakeOver:
    case Goal::TakeHandOver:
    case Goal::TakeBack:
    case Goal::ColdStart:
    case Goal::Resume:
      return s.settings.address_last ? std::span<const Rung>(kUpAddressLast)
                                     : std::span<const Rung>(kUp);
    case Goal::FenceFirst: return kFenceFirst;
    case Goal::HandOver: return kDownHandOver;
    case Goal::Stop: return kDownOrderly;
    case Goal::Yield:
    case Goal::Unpair:
    case Goal::CleanUp: return kDownAtOnce;
  }
  return {};
}

bool applies(const State& s, const Rung& rung) noexcept {
  switch (rung.kind) {
    case ClaimTerm: return s.goal != Goal::Resume;
    case Fence:
      return s.settings.has_fence && (s.settings.arbitration & kArbitrateFence) != 0 &&
             over_a_peer_that_may_live(s);
    case CloseLease: return s.goal != Goal::Resume && s.settings.paired;
    case Announce: return s.goal != Goal::Resume;
    case PromoteVolume:
    case MountVolume:
    case UnmountVolume:
    case DemoteVolume: return s.settings.has_volume;
    case StartServices:
    case StopServices: return s.settings.has_services;
    case AddAddress:
    case OpenGuard:
    case CloseGuard:
    case RemoveAddress: return true;
    case None:
    case PersistLedger:
    case Arbitrate:
    case CancelArbitration:
    case Burst:
    case ActionKind::Report:
    case Resync:
    case Exit: return false;
  }
  return false;
}

uint8_t next_rung(const State& s, uint8_t from) noexcept {
  const std::span<const Rung> rungs = rungs_of(s);
  size_t at = from;
  while (at < rungs.size() && !applies(s, rungs[at])) {
    ++at;
  }
  return static_cast<uint8_t>(at);
}

Duration deadline_of(const Settings& settings, ActionKind kind) noexcept {
  switch (kind) {
    case Fence: return settings.fence_deadline;
    case StartServices:
    case StopServices: return settings.service_deadline;
    case Arbitrate: return settings.arbitration_deadline;
    // A long grant to a peer that restarts is the longest that has to be waited out.
    case CloseLease: return settings.wait_for_peer + settings.action_deadline;
    case PromoteVolume:
    case MountVolume:
    case UnmountVolume:
    case DemoteVolume: return std::max(settings.action_deadline, settings.volume_deadline);
    case None:
    case PersistLedger:
    case CancelArbitration:
    case Burst:
    case ActionKind::Report:
    case ClaimTerm:
    case AddAddress:
    case OpenGuard:
    case Announce:
    case CloseGuard:
    case RemoveAddress:
    case Resync:
    case Exit: return settings.action_deadline;
  }
  return settings.action_deadline;
}

}  // namespace cb::core
