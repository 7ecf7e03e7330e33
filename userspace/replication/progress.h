// SPDX-License-Identifier: Apache-2.0
//
// How far a synchronization is, for people: bytes, rate over the last seconds, time left.
#pragma once

#include <cstdint>
#include <optional>

#include "base/instant.h"
#include "core/volume/state.h"

namespace cb::replication {

struct SyncFacts {
  enum class Kind : std::uint8_t { None, Log, Copy } kind = Kind::None;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_left = 0;
  std::uint64_t rate = 0;  // bytes a second
  std::optional<std::uint64_t> seconds_left;
  unsigned permille = 1000;
};
const char* name_of(SyncFacts::Kind kind) noexcept;

// What of the two nodes is being synchronized, by what the core of one of them knows.
SyncFacts::Kind kind_of(const core::volume::State& state);

class Progress {
 public:
  // left: bytes that are still to go; moved: bytes that ever went. Call it a few times a second.
  void note(SyncFacts::Kind kind, std::uint64_t left, Instant now);
  SyncFacts facts() const;

 private:
  SyncFacts::Kind kind_ = SyncFacts::Kind::None;
  std::uint64_t most_ = 0;  // that was to go since it began
  std::uint64_t left_ = 0;
  std::uint64_t rate_ = 0;
  std::uint64_t left_before_ = 0;
  Instant noted_at_;
};

}  // namespace cb::replication
