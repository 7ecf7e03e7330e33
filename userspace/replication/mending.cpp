// SPDX-License-Identifier: Apache-2.0
#include "replication/mending.h"

#include <algorithm>
#include <utility>

namespace cb::replication {

using namespace core::volume;

namespace {

constexpr Duration kPatience = Duration::from_ms(500);
constexpr std::size_t kAskedMax = 64;
constexpr int kGivingMax = 16;
// 5 MiB a second, and a round a day.
constexpr std::uint64_t kScrubAtOnce = 256u << 10;
constexpr Duration kScrubEvery = Duration::from_ms(50);
constexpr Duration kRoundEvery = Duration::from_s(24 * 60 * 60);

}  // namespace

Mending::Mending(loop::Loop& loop, Pool& pool, Sums& sums, const State& state, std::uint64_t length,
                 Say say)
    : loop_(loop), pool_(pool), sums_(sums), state_(state), length_(length), say_(std::move(say)) {
  sums_.when_rotten([this](std::uint64_t block, Sums::Given done) { ask(block, std::move(done)); });
  if (sums_.checks()) {
    scrub_later(kScrubEvery);
  }
}

Mending::~Mending() {
  loop_.cancel(scrub_timer_);
  for (auto& [number, asked] : asked_) {
    loop_.cancel(asked.patience);
  }
}

bool Mending::peer_is_there() const { return state_.link && state_.peer.agreed; }

bool Mending::is_an_image() const {
  return state_.record.copying == 0 && state_.wanted.copying == 0 &&
         state_.record.standing != Standing::Fresh;
}

Message Mending::message(MessageKind kind) const {
  Message m;
  m.kind = kind;
  m.session = state_.session;
  m.to_session = state_.peer.session;
  return m;
}

// ---- what this node lacks

void Mending::ask(std::uint64_t block, Sums::Given done) {
  if (!peer_is_there() || asked_.size() >= kAskedMax) {
    loop_.post(leash_.guard([done = std::move(done)] { done({}); }));
    return;
  }
  const std::uint64_t number = ++number_;
  Asked& asked = asked_[number];
  asked.block = block;
  asked.done = std::move(done);
  asked.patience = loop_.after(kPatience, leash_.guard([this, number] { answer(number, {}); }));
  Message m = message(MessageKind::AskBlock);
  m.number = number;
  m.extent = block;
  say_(m, {});
}

void Mending::answer(std::uint64_t number, std::span<const std::byte> bytes) {
  auto asked = asked_.extract(number);
  if (asked.empty()) {
    return;  // late
  }
  loop_.cancel(asked.mapped().patience);
  asked.mapped().done(bytes);
}

// ---- what the peer lacks

void Mending::give(const Message& asked) {
  if (giving_ >= kGivingMax || !is_an_image() || !sums_.checks()) {
    return;  // it asks again
  }
  ++giving_;
  const BufferPtr buffer = pool_.take(kBlock);
  const Slice slice{buffer, 0, kBlock};
  sums_.read_own(asked.extent * kBlock, slice, leash_.guard([this, asked, slice](int error) {
    --giving_;
    Message m = message(MessageKind::GiveBlock);
    m.number = asked.number;
    m.extent = asked.extent;
    if (peer_is_there()) {
      say_(m,
           error == 0 ? std::span<const std::byte>(slice.bytes()) : std::span<const std::byte>());
    }
  }));
}

bool Mending::heard(const Message& m, std::span<const std::byte> payload) {
  const bool asks = m.kind == MessageKind::AskBlock;
  if (m.extent >= length_ / kBlock || !(payload.empty() || (!asks && payload.size() == kBlock))) {
    return false;
  }
  // Of an earlier life of either: says nothing about now.
  if (!peer_is_there() || m.session != state_.peer.session || m.to_session != state_.session) {
    return true;
  }
  if (asks) {
    give(m);
    return true;
  }
  const auto asked = asked_.find(m.number);
  if (asked != asked_.end() && asked->second.block == m.extent) {
    answer(m.number, payload);
  }
  return true;
}

// ---- the scrub: what is found is mended as for any other reader

void Mending::scrub_later(Duration wait) {
  scrub_timer_ = loop_.after(wait, leash_.guard([this] { scrub_more(); }));
}

void Mending::scrub_more() {
  if (!is_an_image()) {
    scrub_.at = 0;
    scrub_later(kScrubEvery);
    return;
  }
  const bool can_compare =
      state_.stage == Stage::Serving && state_.in_step_said && scrub_.at % kStretch == 0;
  if (!can_compare || !compare_) {
    scrub_own();
    return;
  }
  compare_(scrub_.at / kStretch, leash_.guard([this](int error) {
    if (error != 0) {
      scrub_own();
      return;
    }
    const std::uint64_t length = std::min(kStretch, length_ - scrub_.at);
    scrubbed(length, kScrubEvery * static_cast<std::int64_t>(kStretch / kScrubAtOnce));
  }));
}

void Mending::scrub_own() {
  const std::uint64_t length = std::min(kScrubAtOnce, length_ - scrub_.at);
  const BufferPtr buffer = pool_.take(static_cast<std::size_t>(length));
  sums_.read(scrub_.at, {buffer, 0, static_cast<std::size_t>(length)},
             leash_.guard([this, length](int /*error*/) {
               // Told and counted already, and whoever needs the block is told again.
               scrubbed(length, kScrubEvery);
             }));
}

void Mending::scrubbed(std::uint64_t length, Duration wait) {
  scrub_.at += length;
  const bool round = scrub_.at >= length_;
  if (round) {
    scrub_.at = 0;
    ++scrub_.rounds;
  }
  scrub_later(round ? kRoundEvery : wait);
}

}  // namespace cb::replication
