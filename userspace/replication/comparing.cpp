// SPDX-License-Identifier: Apache-2.0
#include "replication/comparing.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace cb::replication {

using namespace core::volume;

namespace {

constexpr std::size_t kReadAtOnce = 256u << 10;
constexpr std::uint32_t kUnreadable = 0;  // no block sums to it
constexpr Duration kAgain = Duration::from_ms(20);
constexpr Duration kLookAgain = Duration::from_ms(200);  // what can be mended is mended meanwhile
constexpr int kLooks = 4;
constexpr Duration kGiveUp = Duration::from_s(10);
constexpr Duration kPauseLeast = Duration::from_ms(1);
constexpr std::size_t kFoundMax = 4096;  // stretches that are remembered
constexpr std::size_t kFirstMax = 16;    // blocks that are named

}  // namespace

struct Comparing::Reading {
  std::uint64_t number = 0;
  std::uint64_t stretch = 0;
  std::vector<Slice> parts;
  std::vector<int> errors;
  std::size_t left = 0;
};

Comparing::Comparing(loop::Loop& loop, Pool& pool, Sums& sums, std::uint64_t length, Calls calls)
    : loop_(loop), pool_(pool), sums_(sums), length_(length), calls_(std::move(calls)) {}

Comparing::~Comparing() { loop_.cancel(timer_); }

std::uint64_t Comparing::stretches() const { return (length_ + kStretch - 1) / kStretch; }

std::uint64_t Comparing::blocks_in(std::uint64_t stretch) const {
  return std::min(kStretch, length_ - stretch * kStretch) / kBlock;
}

// ---- reading

void Comparing::read_sums(const Action& action) {
  auto reading = std::make_shared<Reading>();
  reading->number = action.number;
  reading->stretch = action.message.extent;
  CB_CHECK(reading->stretch < stretches());
  const std::uint64_t from = reading->stretch * kStretch;
  const std::uint64_t bytes = blocks_in(reading->stretch) * kBlock;
  for (std::uint64_t at = 0; at < bytes; at += kReadAtOnce) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kReadAtOnce, bytes - at));
    reading->parts.push_back({pool_.take(length), 0, length});
  }
  reading->errors.resize(reading->parts.size());
  reading->left = reading->parts.size();
  for (std::size_t i = 0; i < reading->parts.size(); ++i) {
    sums_.read_raw(from + i * kReadAtOnce, reading->parts[i],
                   leash_.guard([this, reading, i](int error) {
                     reading->errors[i] = error;
                     if (--reading->left == 0) {
                       look(*reading);
                       calls_.sums_read(reading->number);
                     }
                   }));
  }
}

// A block that is not what was written here says nothing about the log; whoever reads it mends it.
void Comparing::look(const Reading& reading) {
  own_.clear();
  bool rotten = false;
  std::uint64_t block = reading.stretch * (kStretch / kBlock);
  for (std::size_t i = 0; i < reading.parts.size(); ++i) {
    const Slice& part = reading.parts[i];
    for (std::size_t at = 0; at < part.length; at += kBlock, ++block) {
      const std::uint32_t sum =
          reading.errors[i] != 0 ? kUnreadable : Sums::sum_of(part.bytes().subspan(at, kBlock));
      const bool fine = sum != kUnreadable && sums_.is_as_written(block, sum);
      rotten = rotten || !fine;
      own_.push_back(fine ? sum : kUnreadable);
    }
    if (rotten) {
      sums_.read(reading.stretch * kStretch + i * kReadAtOnce, part, [](int /*told*/) {});
      rotten = false;
    }
  }
}

void Comparing::send_sums(const Action& action) {
  calls_.say(action.message, std::as_bytes(std::span(own_)));
}

bool Comparing::fits(const Message& message, std::span<const std::byte> payload) const {
  return message.extent < stretches() &&
         (payload.empty() || payload.size() == blocks_in(message.extent) * sizeof(std::uint32_t));
}

void Comparing::keep_sums(std::span<const std::byte> payload) {
  theirs_.assign(payload.size() / sizeof(std::uint32_t), kUnreadable);
  std::memcpy(theirs_.data(), payload.data(), theirs_.size() * sizeof(std::uint32_t));
}

// ---- comparing

void Comparing::compare(std::uint64_t stretch, std::function<void(int error)> done) {
  if (done_ || facts_.running || stretch >= stretches()) {
    loop_.post(leash_.guard([done = std::move(done)] { done(EBUSY); }));
    return;
  }
  done_ = std::move(done);
  stretch_ = stretch;
  looks_ = 0;
  calls_.verify(stretch);
}

Comparing::Found Comparing::compared() const {
  Found found;
  for (std::size_t i = 0; i < own_.size(); ++i) {
    const std::uint32_t theirs = i < theirs_.size() ? theirs_[i] : kUnreadable;
    found.here += own_[i] == kUnreadable ? 1u : 0u;
    found.there += theirs == kUnreadable ? 1u : 0u;
    const bool both = own_[i] != kUnreadable && theirs != kUnreadable;
    found.differing += both && own_[i] != theirs ? 1u : 0u;
    if ((!both || own_[i] != theirs) && found.first.size() < kFirstMax) {
      found.first.push_back(stretch_ * (kStretch / kBlock) + i);
    }
  }
  return found;
}

void Comparing::note(const Found& found) {
  const bool known = !found_.empty();
  if (found.first.empty()) {
    found_.erase(stretch_);
  } else if (found_.size() < kFoundMax || found_.count(stretch_) != 0) {
    found_[stretch_] = found;
  }
  facts_.compared_bytes += blocks_in(stretch_) * kBlock;
  if (found.first.empty()) {
    return;
  }
  log_error(
      "volume: the images differ in the MiB from block %llu: %llu blocks hold something else, %llu "
      "here and %llu at the peer are not what was written there",
      static_cast<unsigned long long>(found.first.front()),
      static_cast<unsigned long long>(found.differing), static_cast<unsigned long long>(found.here),
      static_cast<unsigned long long>(found.there));
  if (!known) {
    calls_.differs();
  }
}

void Comparing::verify_done(int error) {
  if (!done_) {
    return;
  }
  if (error == 0) {
    const Found found = compared();
    if (!found.first.empty() && ++looks_ < kLooks) {
      timer_ = loop_.after(kLookAgain, leash_.guard([this] { calls_.verify(stretch_); }));
      return;
    }
    note(found);
  }
  const auto done = std::exchange(done_, nullptr);
  done(error);
}

CompareFacts Comparing::facts() const {
  CompareFacts facts = facts_;
  for (const auto& [stretch, found] : found_) {
    facts.differing += found.differing;
    facts.unreadable_here += found.here;
    facts.unreadable_there += found.there;
    for (const std::uint64_t block : found.first) {
      if (facts.first.size() < kFirstMax) {
        facts.first.push_back(block);
      }
    }
  }
  return facts;
}

// ---- a round

void Comparing::begin() {
  if (facts_.running) {
    return;
  }
  facts_.running = true;
  facts_.result = CompareFacts::Result::None;
  facts_.bytes_done = 0;
  facts_.error = 0;
  at_ = 0;
  failing_since_ = Instant::never();
  if (!done_) {
    next();
    return;
  }
  // The scrub's stretch first.
  done_ = [this, before = std::move(done_)](int error) {
    before(error);
    next();
  };
}

void Comparing::stop(int error) {
  if (facts_.running) {
    loop_.cancel(timer_);
    done_ = nullptr;
    end_round(CompareFacts::Result::Incomplete, error);
  }
}

void Comparing::next() {
  if (at_ >= stretches()) {
    end_round(found_.empty() ? CompareFacts::Result::Same : CompareFacts::Result::Different, 0);
    return;
  }
  begun_at_ = loop_.now();
  stretch_ = at_;
  looks_ = 0;
  done_ = [this](int error) {
    if (error == 0) {
      facts_.bytes_done += blocks_in(at_) * kBlock;
      ++at_;
      failing_since_ = Instant::never();
    } else if (failing_since_.is_never()) {
      failing_since_ = loop_.now();
    } else if (loop_.now() >= failing_since_ + kGiveUp) {
      end_round(CompareFacts::Result::Incomplete, error);
      return;
    }
    // As long a pause as it took: the disks are the writers' too.
    const Duration pause = error == 0 ? std::max(kPauseLeast, loop_.now() - begun_at_) : kAgain;
    timer_ = loop_.after(pause, leash_.guard([this] { next(); }));
  };
  calls_.verify(at_);
}

void Comparing::end_round(CompareFacts::Result result, int error) {
  facts_.running = false;
  facts_.result = result;
  facts_.error = error;
  facts_.ended_at = loop_.now();
  calls_.ended();
}

}  // namespace cb::replication
