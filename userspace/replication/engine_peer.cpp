// SPDX-License-Identifier: Apache-2.0
//
// The engine and the peer. What comes is hostile until it was checked; what goes waits for room,
// each class by itself, so that a copy never stands before the log nor the log before an
// acknowledgement.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "replication/engine.h"

namespace cb::replication {

using namespace core::volume;
using transport::Priority;

namespace {

constexpr std::size_t kSendAtOnce = 512u << 10;
constexpr Position kHurryMost = 64u << 10;  // to seal and send more takes longer than a disk
constexpr int kExtentsReadAtOnce = 8;
constexpr std::size_t kExtentRoom = kMessageBytes + kExtent;
static_assert((kExtentsReadAtOnce + 1) * kExtentRoom <= transport::kMessageMax);

constexpr std::size_t kWaitingMax = 8u << 20;

bool has_free_slot(const State& s) {
  return std::any_of(s.slots.begin(), s.slots.end(),
                     [](const Slot& slot) { return slot.use == Slot::Use::Free; });
}

transport::ConstBytes raw(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> cooked(transport::ConstBytes bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

void Engine::listen() {
  transport::Calls calls;
  calls.on_up = leash_.guard([this] {
    event(event_of(EventKind::LinkUp));
    pump_send();
    pump_extents();
  });
  calls.on_down = leash_.guard([this] {
    extents_.clear();
    waiting_.clear();
    waiting_bytes_ = 0;
    event(event_of(EventKind::LinkDown));
    // Who waits for room is answered once the core knows, or it would send again at once.
    if (send_active_ && !send_fetching_) {
      send_active_ = false;
      Event told = event_of(EventKind::Sent);
      told.number = sending_.number;
      told.position = sent_to_;
      event(told);
    }
  });
  calls.on_message =
      leash_.guard([this](Priority /*priority*/, transport::ConstBytes bytes) { heard(bytes); });
  calls.on_room = leash_.guard([this](Priority priority) {
    if (priority == Priority::Log) {
      pump_send();
    } else if (priority == Priority::Resync) {
      pump_extents();
    }
  });
  carriage_.listen(std::move(calls));
}

void Engine::heard(transport::ConstBytes bytes) {
  const auto in = cooked(bytes);
  ++counts_.heard;
  const auto decoded = decode_message(in);
  if (!decoded) {
    ++counts_.malformed;
    return;
  }
  const Message& message = decoded->message;
  auto rest = in.subspan(decoded->used);
  Event event = event_of(EventKind::Heard);
  std::optional<BatchHeader> batch;
  if (message.kind == MessageKind::Batch) {
    batch = decode_batch(rest, s_.record.volume_length);
    if (!batch) {
      ++counts_.malformed;
      return;
    }
    rest = rest.subspan(kBatchHeaderFixed + batch->entries.size() * kEntryBytes);
    if (!payload_fine(*batch, rest)) {
      ++counts_.spoiled;
      return;
    }
    if (!waiting_.empty() && waiting_.back().message.number < message.number) {
      waiting_.clear();  // what waits answered an earlier request
      waiting_bytes_ = 0;
    }
    if (!waiting_.empty() && batch->position >= s_.issued &&
        batch->position < waiting_.back().batch.end()) {
      return;  // a double of one that waits
    }
    if ((waiting_.empty() || waiting_.back().message.number == message.number) &&
        must_wait(*batch)) {
      const BufferPtr kept = pool_.take(std::max<std::size_t>(rest.size(), 1));
      std::copy(rest.begin(), rest.end(), kept->data());
      waiting_bytes_ += kBlock + batch->payload_length;
      waiting_.push_back({message, std::move(*batch), kept});
      return;
    }
    event.batch = &*batch;
  } else if (message.kind == MessageKind::Extent) {
    if (message.extent >= DirtyMap::extents_in(s_.record.volume_length) ||
        (!rest.empty() && rest.size() != home_->extent_length(message.extent))) {
      ++counts_.spoiled;
      return;
    }
    extents_left_ = message.end;
  } else if (message.kind == MessageKind::AskBlock || message.kind == MessageKind::GiveBlock) {
    counts_.malformed += mending_->heard(message, rest) ? 0u : 1u;
    return;
  } else if (message.kind == MessageKind::GiveSums) {
    if (!comparing_->fits(message, rest)) {
      ++counts_.spoiled;
      return;
    }
  } else if (!rest.empty()) {
    ++counts_.malformed;
    return;
  }
  event.message = &message;
  event.epochs = &decoded->epochs;
  payload_heard_ = rest;
  this->event(event);
  payload_heard_ = {};
}

// In a burst of small batches most find all slots taken. They are kept for the moment that it takes
// to append those before them; if they were dropped the peer would send them again, eight at a
// time.
bool Engine::must_wait(const BatchHeader& batch) const {
  const Position next = waiting_.empty() ? s_.issued : waiting_.back().batch.end();
  const bool busy = !waiting_.empty() || !has_free_slot(s_);
  return s_.following.active && busy && batch.position == next &&
         waiting_bytes_ + kBlock + batch.payload_length <= kWaitingMax;
}

void Engine::take_waiting() {
  if (taking_) {
    return;
  }
  taking_ = true;
  while (!waiting_.empty() && has_free_slot(s_)) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= kBlock + next.batch.payload_length;
    if (next.batch.position != s_.issued) {
      continue;  // cut off, or come again meanwhile: the core asks for what it lacks
    }
    Event event = event_of(EventKind::Heard);
    event.message = &next.message;
    event.batch = &next.batch;
    const Epochs none;
    event.epochs = &none;
    payload_heard_ = next.payload->bytes().first(next.batch.payload_length);
    this->event(event);
    payload_heard_ = {};
  }
  taking_ = false;
}

void Engine::say(Priority priority, const Message& message, const BatchHeader* batch,
                 std::span<const std::byte> payload) {
  std::array<std::byte, kMessageBytes + kEpochsMax * kEpochWireBytes + kBlock> head;
  std::size_t used = encode(message, s_.record.epochs, head);
  if (batch != nullptr) {
    used += encode(*batch, std::span(head).subspan(used));
  }
  const std::array<transport::ConstBytes, 2> parts = {raw(std::span(head).first(used)),
                                                      raw(payload)};
  carriage_.send(priority, std::span(parts).first(payload.empty() ? 1 : 2));
}

// ---- the log

void Engine::send(const Action& action) {
  sending_ = action;
  sent_to_ = action.from;
  send_active_ = true;
  pump_send();
}

void Engine::pump_send() {
  if (!send_active_ || send_fetching_) {
    return;
  }
  const std::size_t room = carriage_.room(Priority::Log);
  if (room == 0 && s_.link) {
    return;  // on_room
  }
  send_fetching_ = true;
  log_->fetch(sent_to_, sending_.position, std::min(std::max(room, kBatchMax), kSendAtOnce),
              leash_.guard([this](int error, const std::vector<BatchPtr>& batches) {
                send_fetching_ = false;
                if (error != 0) {
                  send_active_ = false;
                  Event told = event_of(EventKind::Sent, error);
                  told.number = sending_.number;
                  told.position = sent_to_;
                  event(told);
                  return;
                }
                send_batches(batches);
              }));
}

// As many as there is room for; the core asks for the rest when it hears how far this went.
void Engine::send_batches(const std::vector<BatchPtr>& batches) {
  const Position before = sent_to_;
  for (const BatchPtr& batch : batches) {
    if (s_.link && carriage_.room(Priority::Log) == 0) {
      break;  // there is none, or enough for any message
    }
    Message message = sending_.message;
    message.position = batch->header.position;
    say(Priority::Log, message, &batch->header, batch->payload());
    sent_to_ = batch->header.end();
    ++counts_.batches_sent;
  }
  if (sent_to_ == before) {
    return;  // on_room
  }
  send_active_ = false;
  hurry_ = sent_to_ - before <= kHurryMost;
  Event told = event_of(EventKind::Sent);
  told.number = sending_.number;
  told.position = sent_to_;
  event(told);
}

// ---- a copy to the peer

void Engine::send_extent(const Action& action) {
  // One that waits is overtaken by a newer wish for the same extent.
  const auto older = std::find_if(extents_.begin(), extents_.end(), [&](const Message& waiting) {
    return waiting.extent == action.message.extent;
  });
  if (older != extents_.end()) {
    extents_.erase(older);
  }
  extents_.push_back(action.message);
  pump_extents();
}

void Engine::pump_extents() {
  while (!paused_ && !extents_.empty() && extents_reading_ < kExtentsReadAtOnce) {
    // What is being read has its room too: at least kMessageMax is there, or none.
    if (carriage_.room(Priority::Resync) < (kExtentsReadAtOnce + 1) * kExtentRoom) {
      return;  // on_room
    }
    Message message = extents_.front();
    extents_.pop_front();
    ++extents_reading_;
    home_->read(message.extent * kExtent, home_->extent_length(message.extent),
                leash_.guard([this, message](int error, const Slice& data) mutable {
                  --extents_reading_;
                  if (error == 0) {
                    // How much is left, for people on the other side.
                    message.end = s_.map.set_count() * kExtent;
                    const bool hole = all_zero(data.bytes());
                    say(Priority::Resync, message, nullptr,
                        hole ? std::span<const std::byte>{} : data.bytes());
                    ++counts_.extents_sent;
                  } else {
                    disk_error_ = error;
                  }
                  event(event_of(EventKind::ExtentSent, error));
                  pump_extents();
                }));
  }
}

// ---- are both images the same?

Comparing::Calls Engine::comparing_calls() {
  Comparing::Calls calls;
  calls.verify = [this](std::uint64_t stretch) {
    Event verify = event_of(EventKind::Verify);
    verify.number = stretch;
    event(verify);
  };
  calls.say = [this](const Message& message, std::span<const std::byte> payload) {
    say(Priority::Control, message, nullptr, payload);
  };
  calls.sums_read = [this](std::uint64_t number) {
    Event read = event_of(EventKind::SumsRead);
    read.number = number;
    event(read);
  };
  calls.ended = [this] { calls_.compared(true); };
  calls.differs = [this] { calls_.compared(false); };
  return calls;
}

int Engine::verify() {
  if (s_.stage != Stage::Serving) {
    return EROFS;
  }
  if (!s_.link || !s_.follower.active) {
    return ENOTCONN;
  }
  comparing_->begin();
  return 0;
}

void Engine::end_verify() { comparing_->stop(ECANCELED); }

}  // namespace cb::replication
