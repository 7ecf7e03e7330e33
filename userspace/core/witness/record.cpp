// SPDX-License-Identifier: Apache-2.0
#include "core/witness/record.h"

#include <algorithm>

#include "base/check.h"

namespace cb::core::witness {
namespace {

constexpr uint8_t kBothMet = 3;

void meet(Record& record, const Request& request) noexcept {
  if (!is_learning(record)) {
    return;
  }
  record.met = static_cast<uint8_t>(record.met | (1u << request.node));
  if (request.holds && record.holder == Holder::Nobody) {
    record.holder = holder_of(request.node);
    record.term = std::max(record.term, request.term);
  }
  if (request.known.epoch > record.volume.epoch) {
    record.volume = request.known;
  }
}

Result grant(Record& record, const Request& request) noexcept {
  const Holder self = holder_of(request.node);
  if (record.holder != Holder::Nobody && record.holder != self) {
    return Result::Refused;
  }
  record.holder = self;
  record.term = std::max(record.term, request.term);
  return Result::Done;
}

Result swap(Record& record, const Request& request) noexcept {
  if (record.volume != request.expected) {
    return Result::Refused;
  }
  record.volume = request.wanted;
  return Result::Done;
}

Result do_it(Record& record, const Request& request) noexcept {
  switch (request.operation) {
    case Operation::Read: return is_learning(record) ? Result::Learning : Result::Done;
    case Operation::Grant: return is_learning(record) ? Result::Learning : grant(record, request);
    case Operation::Swap: return is_learning(record) ? Result::Learning : swap(record, request);
    case Operation::Seize:
      record.holder = holder_of(request.node);
      record.term = std::max(record.term, request.term);
      return Result::Done;
    case Operation::Release:
      if (record.holder == holder_of(request.node)) {
        record.holder = Holder::Nobody;
      }
      // Given back, but whoever asks must not take a new record for one that he can count on.
      return is_learning(record) ? Result::Learning : Result::Done;
  }
  return Result::Refused;
}

}  // namespace

bool is_learning(const Record& record) noexcept { return record.met != kBothMet; }

Outcome apply(Record& record, const Request& request) noexcept {
  CB_CHECK(request.node <= 1);
  const Record before = record;
  if (request.operation == Operation::Read) {
    meet(record, request);  // only a Read says what the node holds
  }
  Outcome outcome{do_it(record, request), false};
  outcome.changed = record != before;
  if (outcome.changed) {
    ++record.counter;
  }
  return outcome;
}

}  // namespace cb::core::witness
