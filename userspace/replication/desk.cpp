// SPDX-License-Identifier: Apache-2.0
#include "replication/desk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace cb::replication {

using core::volume::EntryType;
using core::volume::Event;
using core::volume::EventKind;
using core::volume::kBlock;
using core::volume::Stage;
using volume::Request;

namespace {

// Larger writes go as several: what a batch takes whole is at least 4 KiB anyhow.
constexpr std::uint64_t kPartMax = 256u << 10;
constexpr std::uint64_t kZeroPartMax = 1u << 30;
constexpr std::size_t kComposedAtFirst = 64u << 10;

}  // namespace

Event event_of(EventKind kind, int error) {
  Event event;
  event.kind = kind;
  event.error = error;
  return event;
}

Desk::Desk(const core::volume::State& state, Pool& pool, Reader& reader, std::uint64_t length,
           Calls calls)
    : state_(state), pool_(pool), reader_(reader), length_(length), calls_(std::move(calls)) {}

bool Desk::sound(const Request& r) const {
  const bool has_data = r.kind == Request::Kind::Read || r.kind == Request::Kind::Write;
  return (r.offset | r.length) % 512 == 0 && r.offset <= length_ &&
         r.length <= length_ - r.offset && (!has_data || r.data.size() == r.length);
}

std::size_t Desk::keep(const Request& request) {
  std::size_t index = pending_.size();
  if (free_.empty()) {
    pending_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  pending_[index] = Pending{};
  pending_[index].request = request;
  return index;
}

void Desk::part_done(std::size_t index, int error) {
  Pending& pending = pending_[index];
  pending.error = pending.error != 0 ? pending.error : error;
  CB_CHECK(pending.parts > 0);
  if (--pending.parts == 0 && pending.all_given) {
    const std::uint64_t id = pending.request.id;
    const int result = pending.error;
    free_.push_back(index);
    calls_.answer(id, result);
  }
}

void Desk::take(const Request& request) {
  if (request.kind != Request::Kind::Flush && !sound(request)) {
    calls_.answer(request.id, EINVAL);
    return;
  }
  if (mode_ == Mode::Refuse) {
    calls_.answer(request.id, refusal_);
    return;
  }
  const bool nothing = request.kind != Request::Kind::Flush && request.length == 0;
  if (nothing) {
    calls_.answer(request.id, 0);
    return;
  }
  if (request.kind == Request::Kind::Read) {
    if (mode_ == Mode::Open) {
      read(request);
    } else {
      reads_.push_back(request);
    }
    return;
  }
  queue_.push_back(keep(request));
  pump();
}

void Desk::read(const Request& request) {
  reader_.read(request.offset, request.data,
               leash_.guard([this, id = request.id](int error) { calls_.answer(id, error); }));
}

void Desk::open() {
  mode_ = Mode::Open;
  for (const Request& request : std::exchange(reads_, {})) {
    read(request);
  }
  pump();
}

// Everything that waits, wherever it waits. What is on its way to a disk that failed is answered
// too: the core will not answer it any more.
void Desk::refuse(int error) {
  mode_ = Mode::Refuse;
  refusal_ = error;
  for (const Request& request : std::exchange(reads_, {})) {
    calls_.answer(request.id, error);
  }
  for (const std::size_t index : std::exchange(queue_, {})) {
    Pending& pending = pending_[index];
    pending.all_given = true;
    ++pending.parts;
    part_done(index, error);
  }
  composing_.reset();
  for (const std::size_t index : std::exchange(composing_parts_, {})) {
    part_done(index, error);
  }
  for (auto& parts : slot_parts_) {
    for (const std::size_t index : std::exchange(parts, {})) {
      part_done(index, error);
    }
  }
  for (const Flush& flush : std::exchange(flushes_, {})) {
    part_done(flush.index, error);
  }
}

void Desk::give_flush(std::size_t index) {
  ++pending_[index].parts;
  flushes_.push_back({++flush_number_, index});
  Event event = event_of(EventKind::Flush);
  event.request = flush_number_;
  calls_.step(event);
}

// False: no room. The data is in the batch's buffer before the core knows of it, since the step may
// issue the batch at once.
bool Desk::give_part(std::size_t index) {
  const Request& request = pending_[index].request;
  const bool data = request.kind == Request::Kind::Write;
  const std::uint64_t given = pending_[index].given;
  const std::uint64_t length = std::min(request.length - given, data ? kPartMax : kZeroPartMax);
  if (!core::volume::can_take(state_, data ? length : 0)) {
    return false;
  }
  if (state_.composing < 0) {
    composed_ = 0;
  }
  Event event = event_of(EventKind::Write);
  event.entry.offset = request.offset + given;
  event.entry.length = static_cast<std::uint32_t>(length);
  if (data) {
    const std::size_t needed = kBlock + composed_ + static_cast<std::size_t>(length);
    if (!composing_ || composing_->size() < needed) {
      const BufferPtr larger = pool_.take(std::max(
          needed, composing_ ? 2 * composing_->size() : std::min(kComposedAtFirst, 2 * needed)));
      if (composing_) {
        std::memcpy(larger->data() + kBlock, composing_->data() + kBlock, composed_);
      }
      composing_ = larger;
    }
    std::byte* to = composing_->data() + kBlock + composed_;
    std::memcpy(to, request.data.data() + given, length);
    // Of the copy: whoever changes the data meanwhile must not make the sum wrong.
    event.entry.crc = crc32c(std::span(to, length));
    composed_ += length;
  } else {
    event.entry.type =
        request.kind == Request::Kind::Discard ? EntryType::Discard : EntryType::Zero;
  }
  Pending& pending = pending_[index];
  pending.given += length;
  pending.all_given = pending.given == request.length;
  ++pending.parts;
  written_ += data ? length : 0;
  composing_parts_.push_back(index);
  const bool fua = pending.all_given && request.fua;
  event.flushed = fua;
  if (fua) {
    ++pending.parts;  // held open until the flush is given
  }
  calls_.step(event);
  if (fua) {
    if (mode_ == Mode::Open) {
      give_flush(index);
    }
    part_done(index, mode_ == Mode::Open ? 0 : refusal_);
  }
  return true;
}

void Desk::pump() {
  if (pumping_ || mode_ != Mode::Open || calls_.busy()) {
    return;
  }
  pumping_ = true;
  while (!queue_.empty() && mode_ == Mode::Open) {
    const std::size_t index = queue_.front();
    if (pending_[index].request.kind == Request::Kind::Flush) {
      queue_.pop_front();
      pending_[index].all_given = true;
      give_flush(index);
      continue;
    }
    // Off the queue for the step: whoever refuses meanwhile answers it by its parts.
    queue_.pop_front();
    const bool last =
        pending_[index].request.length - pending_[index].given <=
        (pending_[index].request.kind == Request::Kind::Write ? kPartMax : kZeroPartMax);
    if (!last) {
      ++pending_[index].parts;
    }
    const bool given = give_part(index);
    if (last && given) {
      continue;
    }
    if (mode_ != Mode::Open) {
      pending_[index].all_given = true;
      pending_[index].parts += last ? 1 : 0;
      part_done(index, refusal_);
      break;
    }
    if (!last) {
      --pending_[index].parts;
    }
    queue_.push_front(index);
    if (!given) {
      break;
    }
  }
  pumping_ = false;
}

BufferPtr Desk::compose(int slot) {
  auto& parts = slot_parts_[static_cast<std::size_t>(slot)];
  CB_CHECK_MSG(parts.empty(), "a slot is used again while its writes wait");
  parts.swap(composing_parts_);
  BufferPtr buffer = std::move(composing_);
  composing_.reset();
  composed_ = 0;
  return buffer ? buffer : pool_.take(kBlock);
}

void Desk::answer_writes(int slot, int error) {
  std::vector<std::size_t> parts;
  auto& answered = slot_parts_[static_cast<std::size_t>(slot)];
  if (error == 0 || !answered.empty()) {
    parts.swap(answered);
  } else {
    parts.swap(composing_parts_);  // given up before it was issued
    composing_.reset();
    composed_ = 0;
  }
  for (const std::size_t index : parts) {
    part_done(index, error);
  }
  parts.clear();
  if (answered.empty() && parts.capacity() > answered.capacity()) {
    answered.swap(parts);  // keeps its room for the next batch
  }
}

void Desk::answer_flushes(std::uint64_t number, int error) {
  while (!flushes_.empty() && flushes_.front().number <= number) {
    const std::size_t index = flushes_.front().index;
    flushes_.pop_front();
    part_done(index, error);
  }
}

}  // namespace cb::replication
