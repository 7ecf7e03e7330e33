// SPDX-License-Identifier: Apache-2.0
//
// What the engine's actions do to the disks. Each is answered once; a failure is an event.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "core/volume/dirty_map.h"
#include "replication/engine.h"
#include "replication/grow.h"

namespace cb::replication {

using namespace core::volume;

namespace {

// The image may be this much late: many overwrites of one block become one.
constexpr Duration kApplyDelay = Duration::from_ms(50);
constexpr std::uint64_t kApplyAtOnce = 1u << 20;
constexpr std::size_t kFoldAtOnce = 2u << 20;

}  // namespace

void Engine::append(const Action& action) {
  calls_.works();
  const auto index = static_cast<std::size_t>(action.slot);
  const Slot& slot = s_.slots[index];
  BufferPtr buffer;
  if (slot.answers) {
    buffer = desk_->compose(action.slot);
  } else {
    buffer = pool_.take(kBlock + slot.header.payload_length);
    CB_CHECK(payload_heard_.size() == slot.header.payload_length);
    std::memcpy(buffer->data() + kBlock, payload_heard_.data(), payload_heard_.size());
  }
  const BatchPtr batch = make_batch(slot.header, buffer);
  if (view_ready_ || view_building_) {
    view_.put(slot.header);
  }
  ++disk_work_;
  const auto durable = slot.durably ? loop::Durable::Yes : loop::Durable::No;
  log_->append(batch, durable, leash_.guard([this, number = action.slot](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    Event told = event_of(EventKind::Appended, error);
    told.slot = number;
    event(told);
  }));
}

void Engine::sync(const Action& action) {
  ++disk_work_;
  ++counts_.syncs;
  log_->sync(leash_.guard([this, position = action.position](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    Event told = event_of(EventKind::Synced, error);
    told.position = position;
    event(told);
  }));
}

void Engine::record() {
  const BufferPtr block = pool_.take(kBlock);
  encode(s_.recording, block->bytes().first(kBlock));
  ++disk_work_;
  ++counts_.superblocks;
  const loop::Done answer = leash_.guard([this](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    event(event_of(EventKind::Recorded, error));
  });
  const loop::Done write = leash_.guard([this, answer, block](int error) mutable {
    if (error != 0) {
      answer(error);
      return;
    }
    disks_.superblock->write(s_.recording.counter % 2 * kBlock, {block, 0, kBlock},
                             leash_.guard([this, answer](int failed) mutable {
                               if (failed != 0) {
                                 answer(failed);
                                 return;
                               }
                               disks_.superblock->sync(answer);
                             }));
  });
  if (std::exchange(forget_sums_, false)) {
    sums_->forget(write);
    return;
  }
  write(0);
}

// ---- the home image

bool Engine::apply_is_urgent() const {
  const bool compared = s_.verifying.side != Verifying::Side::None;  // the peer waits for it
  return applying_.position - applying_.from >= kApplyAtOnce || compared || s_.following.draining ||
         s_.following.no_room || s_.following.joining || s_.stage == Stage::Releasing ||
         s_.issued - s_.applied > s_.record.ring_length / 4;
}

void Engine::apply(const Action& action) {
  applying_ = action;
  apply_waits_ = true;
  if (apply_is_urgent()) {
    start_apply();
    return;
  }
  apply_timer_ = loop_.after(kApplyDelay, leash_.guard([this] { start_apply(); }));
}

void Engine::start_apply() {
  if (!apply_waits_) {
    return;
  }
  apply_waits_ = false;
  loop_.cancel(apply_timer_);
  apply_timer_ = {};
  ++disk_work_;
  home_->apply(
      *log_, applying_.from, applying_.position, s_.applied_digest,
      leash_.guard([this](int error, Position position, const Digest& digest, const View& applied) {
        --disk_work_;
        disk_error_ = error != 0 ? error : disk_error_;
        if (error == 0 && (view_ready_ || view_building_)) {
          for (const Piece& piece : applied.all()) {
            view_.forget(piece.offset, piece.end, position);
          }
        }
        Event told = event_of(EventKind::Applied, error);
        told.position = position;
        told.digest = digest;
        event(told);
      }));
}

void Engine::sync_home(const Action& action) {
  ++disk_work_;
  home_->sync(leash_.guard([this, position = action.position](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    Event told = event_of(EventKind::HomeSynced, error);
    told.position = position;
    event(told);
  }));
}

// ---- the dirty map

void Engine::fold(const Action& action) {
  ++disk_work_;
  fold_more(action.from, action.position, action.slot, s_.record.tail_digest);
}

void Engine::fold_more(Position at, Position to, int slot, Digest digest) {
  if (at >= to) {
    write_map(to, slot, digest);
    return;
  }
  log_->fetch(at, to, kFoldAtOnce,
              leash_.guard([this, to, slot](int error, const std::vector<BatchPtr>& batches) {
                if (error != 0) {
                  --disk_work_;
                  disk_error_ = error;
                  event(event_of(EventKind::Folded, error));
                  return;
                }
                for (const BatchPtr& batch : batches) {
                  s_.map.fold(batch->header);
                }
                const BatchHeader& last = batches.back()->header;
                fold_more(last.end(), to, slot, last.digest);
              }));
}

// The bits as they are now: cleared ones may come back with an older map, which is the safe way.
void Engine::write_map(Position to, int slot, Digest digest) {
  struct Work {
    int left = 0;
    int error = 0;
  };
  const std::uint64_t length = map_slot_bytes(s_.record.volume_length);
  const std::size_t words_each = kMapBlockBits / 64;
  auto work = std::make_shared<Work>();
  const loop::Done answer = leash_.guard([this, to, digest](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    Event told = event_of(EventKind::Folded, error);
    told.position = to;
    told.digest = digest;
    event(told);
  });
  const loop::Done one = leash_.guard([this, work, answer](int error) mutable {
    work->error = work->error != 0 ? work->error : error;
    if (--work->left > 0) {
      return;
    }
    if (work->error != 0) {
      answer(work->error);
      return;
    }
    disks_.map->sync(answer);
  });
  const std::size_t chunk_blocks = 256u << 10 >> 12;
  std::size_t word = 0;
  std::uint64_t index = 0;
  std::vector<std::pair<std::uint64_t, Slice>> writes;
  while (word < map_words_.size()) {
    const std::size_t blocks = std::min<std::size_t>(
        chunk_blocks, (map_words_.size() - word + words_each - 1) / words_each);
    const BufferPtr buffer = pool_.take(blocks * kBlock);
    const std::uint64_t offset = static_cast<std::uint64_t>(slot) * length + index * kBlock;
    for (std::size_t i = 0; i < blocks; ++i, ++index) {
      const std::size_t words = std::min(words_each, map_words_.size() - word);
      encode_map_block(to, index, std::span(map_words_).subspan(word, words),
                       buffer->bytes().subspan(i * kBlock, kBlock));
      word += words;
    }
    writes.emplace_back(offset, Slice{buffer, 0, blocks * kBlock});
  }
  work->left = static_cast<int>(writes.size());
  for (const auto& [offset, slice] : writes) {
    disks_.map->write(offset, slice, one);
  }
}

// ---- a volume that gets longer

void Engine::grow(const Action& action) {
  ++disk_work_;
  hands_.run(
      [folder = folder_, from = action.from, to = action.number] {
        const auto grown = grow_files(folder, from, to);
        if (!grown) {
          log_error("volume: it cannot get longer: %s", to_text(grown.error()).c_str());
        }
        return grown ? 0 : grown.error().code != 0 ? grown.error().code : EIO;
      },
      leash_.guard([this, number = action.number](int error) {
        --disk_work_;
        Event grown = event_of(EventKind::FilesGrown, error);
        grown.number = number;
        event(grown);
      }));
}

// Whoever knows the length, at once: the peer may write beyond the old end from now on.
void Engine::length_changed() {
  const std::uint64_t length = s_.record.volume_length;
  log_notice("volume: it has %llu bytes now", static_cast<unsigned long long>(length));
  map_words_.resize(DirtyMap::words_for(length));
  s_.map = DirtyMap(map_words_, length);
  log_->set_volume_length(length);
  sums_->set_length(length);
  home_->set_length(length);
  protection_->set_length(length);
  desk_->set_length(length);
  mending_->set_length(length);
  comparing_->set_length(length);
}

// ---- a copy into this node

void Engine::write_extent(const Action& action) {
  const std::uint64_t extent = action.message.extent;
  Slice data;
  if (!payload_heard_.empty()) {
    const BufferPtr buffer = pool_.take(payload_heard_.size());
    std::memcpy(buffer->data(), payload_heard_.data(), payload_heard_.size());
    data = {buffer, 0, payload_heard_.size()};
  }
  ++disk_work_;
  ++extents_writing_;
  const loop::Done answer = leash_.guard([this, extent, number = action.number](int error) {
    --disk_work_;
    --extents_writing_;
    ++counts_.extents_written;
    disk_error_ = error != 0 ? error : disk_error_;
    Event written = event_of(EventKind::ExtentWritten, error);
    written.request = extent;
    written.number = number;
    event(written);
    restore_image();
  });
  protection_->before_write(*home_, extent,
                            leash_.guard([this, extent, data, answer](int error) mutable {
                              if (error != 0) {
                                answer(error);
                                return;
                              }
                              home_->write_extent(extent, data, answer);
                            }));
}

// The image that was kept, in the place of what a copy left that nobody can finish.
void Engine::restore_image() {
  if (!restoring_ || extents_writing_ > 0) {
    return;
  }
  restoring_ = false;
  ++disk_work_;
  const loop::Done answer = leash_.guard([this](int error) {
    --disk_work_;
    disk_error_ = error != 0 ? error : disk_error_;
    const std::optional<Record> kept = protection_->kept();
    Event restored = event_of(EventKind::ImageRestored, error);
    restored.record = kept ? &*kept : nullptr;
    if (kept && error == 0) {
      log_notice("volume: back to the image that was kept aside, as of position %llu",
                 static_cast<unsigned long long>(kept->checkpoint));
    }
    event(restored);
  });
  protection_->restore(leash_.guard([this, answer](int error) mutable {
    if (error != 0) {
      answer(error);
      return;
    }
    sums_->forget(answer);  // those of what the copy had written are of no use
  }));
}

std::optional<Position> Engine::kept_position() const {
  return s_.kept && protection_->kept() ? std::optional(protection_->kept()->checkpoint)
                                        : std::nullopt;
}

}  // namespace cb::replication
