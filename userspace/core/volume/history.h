// SPDX-License-Identifier: Apache-2.0
//
// Two copies compared by their epochs. Since an epoch has one writer, two logs agree up to the end
// of what they share of the last epoch they share: no heuristics, no ages, no roles.
#pragma once

#include "core/volume/types.h"

namespace cb::core::volume {

enum class Relation : uint8_t {
  Unrelated,  // no epoch in common
  Equal,      // the same log
  Behind,     // ours is a beginning of theirs
  Ahead,      // theirs is a beginning of ours
  Forked,     // both go on after the common part
};

struct Comparison {
  Relation relation = Relation::Unrelated;
  Position common = 0;
  Digest digest;  // of theirs, at common; only if `digest_known`
  bool digest_known = false;
};

Comparison compare(const Epochs& ours, Position our_end, const Epochs& theirs, Position their_end);

// The epoch that a batch at this position belongs to; nullptr when it is before all of them.
const Epoch* epoch_at(const Epochs& epochs, Position position);

const Epoch* find(const Epochs& epochs, const Generation& generation);

// Appends, and forgets the oldest one when the list is full.
void add(Epochs& epochs, const Epoch& epoch);

}  // namespace cb::core::volume
