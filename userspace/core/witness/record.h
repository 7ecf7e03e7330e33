// SPDX-License-Identifier: Apache-2.0
//
// What a witness remembers for one pairing, and the only rule by which it changes. Two registers:
// the address (who may serve without the other's lease) and the volume (who may acknowledge).
// Reachability is not authority: a witness watches nobody and guesses nothing.
#pragma once

#include <cstdint>

#include "core/volume/types.h"

namespace cb::core::witness {

// Numbers are on the wire and on disk: append, never renumber.
enum class Holder : uint8_t { Nobody = 0, Primary = 1, Secondary = 2 };

struct Record {
  uint64_t counter = 0;            // of changes
  Holder holder = Holder::Nobody;  // of the address
  uint64_t term = 0;               // the highest for which it was granted
  uint8_t met = 0;                 // nodes that have spoken since the record was made: a bit each
  volume::Register volume;         // epoch 0 until the first swap
  bool operator==(const Record&) const = default;
};

enum class Operation : uint8_t {
  Read = 1,     // `holds`, `known`: what the node itself remembers, for a record that is new
  Grant = 2,    // the address to this node, for `term`
  Release = 3,  // the address, if this node holds it
  Swap = 4,     // the volume's register from `expected` to `wanted`
  Seize = 5,    // the address to this node, whoever holds it: an operator forced it
};

struct Request {
  Operation operation = Operation::Read;
  volume::Node node = 0;
  uint64_t term = 0;
  bool holds = false;
  volume::Register known;
  volume::Register expected;
  volume::Register wanted;
  bool operator==(const Request&) const = default;
};

enum class Result : uint8_t {
  Done = 1,
  Refused = 2,   // the address is the other node's, or the register is not as expected
  Learning = 3,  // the record is new: nothing is given before both nodes have said what they hold
  Failed = 4,    // the witness cannot write; what it holds is not known
};

struct Outcome {
  Result result = Result::Done;
  bool changed = false;  // the record must be durable before anybody hears of it
};

// A new record is made by a person, also in the place of one that was lost. What was granted by the
// lost one must not be granted again, so both nodes speak first.
bool is_learning(const Record& record) noexcept;

Outcome apply(Record& record, const Request& request) noexcept;

constexpr Holder holder_of(volume::Node node) noexcept {
  return node == 0 ? Holder::Primary : Holder::Secondary;
}

}  // namespace cb::core::witness
