// SPDX-License-Identifier: Apache-2.0
//
// The register of a volume where no witness keeps it: what the monitor answers, from its core's
// state, the value that it last wrote, and what the volume's record says of its own copy. Pure; the
// reasons are in docs/volume.md, "Without a witness".
#pragma once

#include <optional>

#include "core/state.h"
#include "core/volume/types.h"

namespace cb::agent {

using core::volume::Register;

struct RightFacts {
  core::volume::Node self = 0;
  core::volume::Standing standing = core::volume::Standing::Fresh;
  std::uint64_t epoch = 0;       // of that standing
  std::optional<Register> kept;  // what this node last wrote
};

// What the register holds as far as this node can know; nothing: it cannot, now.
std::optional<Register> register_now(const core::State& state, const RightFacts& facts);

enum class Right : std::uint8_t {
  Granted,  // write `wanted` durably, then say so
  Refused,  // the register holds something else than `expected`
  Unknown,  // not now: it is asked again
};
Right judge_swap(const core::State& state, const RightFacts& facts, const Register& expected,
                 const Register& wanted);

}  // namespace cb::agent
