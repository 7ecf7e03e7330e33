// SPDX-License-Identifier: Apache-2.0
//
// The front end's side: writes become batches, flushes wait for the commit rule.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

constexpr Position kEndOfComposing = UINT64_MAX;  // a flush behind a batch that has no place yet
constexpr int kAppendsAtOnce = 2;  // more writes share a batch while this many are on their way

int free_slot(const State& s) {
  for (int i = 0; i < kSlots; ++i) {
    if (s.slots[static_cast<std::size_t>(i)].use == Slot::Use::Free) {
      return i;
    }
  }
  return -1;
}

int appending(const State& s) {
  int count = 0;
  for (const Slot& slot : s.slots) {
    count += slot.use == Slot::Use::Appending || slot.use == Slot::Use::Done ? 1 : 0;
  }
  return count;
}

void issue(Work& w) {
  State& s = w.s;
  if (s.composing < 0 || s.held) {
    return;
  }
  Slot& slot = s.slots[static_cast<std::size_t>(s.composing)];
  BatchHeader& header = slot.header;
  const bool full = header.entries.full() || header.payload_length + kPayloadMax / 4 > kPayloadMax;
  if (appending(s) >= kAppendsAtOnce && !full) {
    return;
  }
  const Epoch& epoch = s.record.epochs.back();
  header.position = s.issued;
  s.habit.notice(s.committed == s.issued);
  s.flush_comes = slot.durably || s.habit.expects_flush();
  slot.durably = slot.durably && appending(s) == 0;  // those that come together share a sync
  header.generation = epoch.generation;
  header.epoch = epoch.number;
  header.synced = s.synced;
  header.committed = s.committed;
  header.payload_length = static_cast<uint32_t>(round_up(header.payload_length));
  header.digest = digest_after(s.issued_digest, header);
  s.issued = header.end();
  s.issued_digest = header.digest;
  slot.use = Slot::Use::Appending;
  for (WaitingFlush& flush : s.flushes) {
    if (flush.position == kEndOfComposing) {
      flush.position = s.issued;
    }
  }
  w.push(ActionKind::Append).slot = s.composing;
  s.composing = -1;
}

// The commit rule.
Position acknowledgeable(const State& s) {
  if (acknowledges_alone(s)) {
    return s.synced;
  }
  if (s.settings.mode == Mode::FastSync) {
    return std::min(s.synced, s.follower.received);
  }
  return std::min(s.synced, s.follower.synced);
}

void commit(Work& w) {
  State& s = w.s;
  if (s.stage != Stage::Serving && s.stage != Stage::Releasing) {
    return;
  }
  s.committed = std::max(s.committed, acknowledgeable(s));
  uint64_t answered = 0;
  while (!s.flushes.empty() && s.flushes.front().position <= s.committed) {
    answered = s.flushes.front().request;
    s.flushes.erase_at(0);
  }
  if (answered != 0) {
    w.push(ActionKind::AnswerFlushes).number = answered;
  }
}

void release(Work& w) {
  State& s = w.s;
  if (s.stage != Stage::Releasing || s.composing >= 0 || !settled(s) || s.committed != s.issued ||
      !s.flushes.empty() || s.claim.step != Claim::Step::None ||
      s.record.standing != Standing::Together || !peer_in_step(s) ||
      s.follower.synced != s.issued) {
    return;
  }
  // From here on nothing is acknowledged without a new claim: either node may make it.
  s.stage = Stage::Standing;
  w.push(ActionKind::DemoteDone);
}

}  // namespace

bool can_take(const State& s, uint64_t length) {
  if (s.stage != Stage::Serving || s.failed || length > kPayloadMax) {
    return false;
  }
  uint64_t size = kBlock + round_up(length);
  if (s.composing >= 0) {
    const BatchHeader& header = s.slots[static_cast<std::size_t>(s.composing)].header;
    if (header.entries.full() || header.payload_length + length > kPayloadMax) {
      return false;
    }
    size = kBlock + round_up(header.payload_length + length);
  } else if (free_slot(s) < 0) {
    return false;
  }
  return s.issued + size - s.record.tail <= s.record.ring_length;
}

void on_write(Work& w) {
  State& s = w.s;
  Entry entry = w.event.entry;
  CB_CHECK_MSG(can_take(s, entry.type == EntryType::Write ? entry.length : 0),
               "a write while can_take() says no");
  if (s.composing < 0) {
    s.composing = free_slot(s);
    Slot& slot = s.slots[static_cast<std::size_t>(s.composing)];
    slot = Slot{};
    slot.use = Slot::Use::Composing;
    slot.answers = true;
  }
  BatchHeader& header = s.slots[static_cast<std::size_t>(s.composing)].header;
  entry.payload_offset = 0;
  if (entry.type == EntryType::Write) {
    entry.payload_offset = header.payload_length;
    header.payload_length += entry.length;
  }
  header.entries.push(entry);
  // Whoever does not flush waits for it in any case.
  Slot& slot = s.slots[static_cast<std::size_t>(s.composing)];
  slot.durably = slot.durably || w.event.flushed;
}

void on_flush(Work& w) {
  State& s = w.s;
  if (s.failed || (s.stage != Stage::Serving && s.stage != Stage::Releasing)) {
    Action& answer = w.push(ActionKind::AnswerFlushes);
    answer.number = w.event.request;
    answer.error = EIO;
    return;
  }
  const WaitingFlush flush{w.event.request, s.composing >= 0 ? kEndOfComposing : s.issued};
  // Those that wait for one place, or too many at once, are answered together, at the later place.
  if (!s.flushes.empty() && (s.flushes.full() || s.flushes.back().position == flush.position)) {
    s.flushes.back() = flush;
  } else {
    s.flushes.push(flush);
  }
  s.last_flush = w.event.request;
}

void drop_front_end(Work& w, int error) {
  State& s = w.s;
  if (s.composing >= 0) {
    Action& answer = w.push(ActionKind::AnswerWrites);
    answer.slot = s.composing;
    answer.error = error;
    s.slots[static_cast<std::size_t>(s.composing)].use = Slot::Use::Free;
    s.composing = -1;
  }
  if (!s.flushes.empty()) {
    Action& answer = w.push(ActionKind::AnswerFlushes);
    answer.number = s.flushes.back().request;
    answer.error = error;
    s.flushes.clear();
  }
}

bool flush_is_expected(const State& s) { return s.stage == Stage::Serving && s.flush_comes; }

Position wanted_flush(const State& s) {
  // A log without room waits for the disks just as a flush does.
  const bool short_of_room = s.issued - s.record.tail > s.record.ring_length / 2;
  if (s.stage == Stage::Releasing || (s.stage == Stage::Serving && short_of_room)) {
    return s.issued;
  }
  return s.flushes.empty() ? 0 : std::min(s.flushes.back().position, s.issued);
}

void pump_writer(Work& w) {
  issue(w);
  commit(w);
  release(w);
}

}  // namespace cb::core::volume
