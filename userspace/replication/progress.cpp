// SPDX-License-Identifier: Apache-2.0
#include "replication/progress.h"

#include <algorithm>

namespace cb::replication {

using namespace core::volume;

const char* name_of(SyncFacts::Kind kind) noexcept {
  switch (kind) {
    case SyncFacts::Kind::None: return "none";
    case SyncFacts::Kind::Log: return "log";
    case SyncFacts::Kind::Copy: return "copy";
  }
  return "";
}

SyncFacts::Kind kind_of(const State& s) {
  if (s.stage == Stage::Standing) {
    if (s.record.copying != 0) {
      return SyncFacts::Kind::Copy;
    }
    const bool behind = s.following.active && s.record.standing == Standing::CatchingUp;
    return behind ? SyncFacts::Kind::Log : SyncFacts::Kind::None;
  }
  if (s.copying.active) {
    return SyncFacts::Kind::Copy;
  }
  const bool in_step = s.record.standing == Standing::Together;
  return s.follower.active && !in_step ? SyncFacts::Kind::Log : SyncFacts::Kind::None;
}

void Progress::note(SyncFacts::Kind kind, std::uint64_t left, Instant now) {
  if (kind != kind_ || kind == SyncFacts::Kind::None) {
    kind_ = kind;
    most_ = left_ = left_before_ = left;
    rate_ = 0;
    noted_at_ = now;
    return;
  }
  most_ = std::max(most_, left);
  left_ = left;
  const std::int64_t ms = (now - noted_at_).as_ms();
  if (ms < 200) {
    return;
  }
  const std::uint64_t moved = left_before_ > left ? left_before_ - left : 0;
  const std::uint64_t now_rate = moved * 1000 / static_cast<std::uint64_t>(ms);
  rate_ = rate_ == 0 ? now_rate : (rate_ * 3 + now_rate) / 4;
  left_before_ = left;
  noted_at_ = now;
}

SyncFacts Progress::facts() const {
  SyncFacts facts;
  facts.kind = kind_;
  if (kind_ == SyncFacts::Kind::None) {
    return facts;
  }
  facts.bytes_left = left_;
  facts.bytes_done = most_ - left_;
  facts.rate = rate_;
  if (rate_ > 0) {
    facts.seconds_left = (left_ + rate_ - 1) / rate_;
  }
  // Never all of it while it goes on.
  facts.permille =
      most_ == 0 ? 999
                 : static_cast<unsigned>(std::min<std::uint64_t>(
                       999, static_cast<std::uint64_t>(static_cast<long double>(facts.bytes_done) *
                                                       1000 / static_cast<long double>(most_))));
  return facts;
}

}  // namespace cb::replication
