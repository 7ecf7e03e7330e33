// SPDX-License-Identifier: Apache-2.0
#include "core/volume/history.h"

#include <algorithm>

namespace cb::core::volume {
namespace {

Position end_of(const Epochs& epochs, std::size_t index, Position log_end) {
  return index + 1 < epochs.size() ? std::min(epochs[index + 1].start, log_end) : log_end;
}

}  // namespace

Comparison compare(const Epochs& ours, Position our_end, const Epochs& theirs, Position their_end) {
  for (std::size_t i = ours.size(); i-- > 0;) {
    for (std::size_t j = theirs.size(); j-- > 0;) {
      if (!(ours[i].generation == theirs[j].generation)) {
        continue;
      }
      Comparison result;
      result.common = std::min(end_of(ours, i, our_end), end_of(theirs, j, their_end));
      if (j + 1 < theirs.size() && theirs[j + 1].start == result.common) {
        result.digest = theirs[j + 1].digest;
        result.digest_known = true;
      }
      const bool all_ours = result.common == our_end;
      const bool all_theirs = result.common == their_end;
      result.relation = all_ours && all_theirs ? Relation::Equal
                        : all_ours             ? Relation::Behind
                        : all_theirs           ? Relation::Ahead
                                               : Relation::Forked;
      return result;
    }
  }
  return {};
}

const Epoch* epoch_at(const Epochs& epochs, Position position) {
  for (std::size_t i = epochs.size(); i-- > 0;) {
    if (epochs[i].start <= position) {
      return &epochs[i];
    }
  }
  return nullptr;
}

const Epoch* find(const Epochs& epochs, const Generation& generation) {
  for (const Epoch& epoch : epochs) {
    if (epoch.generation == generation) {
      return &epoch;
    }
  }
  return nullptr;
}

void add(Epochs& epochs, const Epoch& epoch) {
  if (epochs.full()) {
    epochs.erase_at(0);
  }
  epochs.push(epoch);
}

}  // namespace cb::core::volume
