// SPDX-License-Identifier: Apache-2.0
#include "agent/right.h"

#include <algorithm>

namespace cb::agent {

using core::volume::Kind;
using core::volume::Standing;

std::optional<Register> register_now(const core::State& state, const RightFacts& facts) {
  // Only the node that the core has put in command, or is putting there, may ask at all. Anybody
  // else is told nothing, and so is never granted anything.
  if (!state.in_command && !state.holds_data) {
    return std::nullopt;
  }
  const auto other = static_cast<core::volume::Node>(1 - facts.self);
  const bool kept_is_newer = facts.kept && facts.kept->epoch >= facts.epoch;
  switch (facts.standing) {
    case Standing::Together:
      // In step in this epoch, and the core says that the peer has not gone on since: it would not
      // have let a stale standby climb.
      return kept_is_newer ? *facts.kept : Register{facts.epoch, {}, Kind::Together, other};
    case Standing::Alone:
      return kept_is_newer ? *facts.kept : Register{facts.epoch, {}, Kind::Alone, facts.self};
    case Standing::Fresh:
    case Standing::CatchingUp:
    case Standing::Outdated:
      // An operator accepted the loss; nobody else is let by.
      if (state.solo == core::SoloBasis::Forced) {
        const std::uint64_t epoch = std::max(facts.epoch, facts.kept ? facts.kept->epoch : 0);
        return Register{epoch, {}, Kind::Alone, facts.self};
      }
      return Register{facts.epoch, {}, Kind::Together, other};
  }
  return std::nullopt;
}

Right judge_swap(const core::State& state, const RightFacts& facts, const Register& expected,
                 const Register& wanted) {
  const auto now = register_now(state, facts);
  if (!now || wanted.holder != facts.self || wanted.epoch <= now->epoch) {
    return Right::Unknown;
  }
  if (*now != expected) {
    return Right::Refused;
  }
  // Together takes no right away from anybody: the peer has recorded it first. Alone is what
  // arbitration was for, and what the ledger must say durably.
  const bool allowed = wanted.kind == Kind::Together || core::may_acknowledge_alone(state);
  return allowed ? Right::Granted : Right::Unknown;
}

}  // namespace cb::agent
