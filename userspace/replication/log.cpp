// SPDX-License-Identifier: Apache-2.0
#include "replication/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace cb::replication {

using core::volume::BatchHeader;
using core::volume::EntryType;
using core::volume::kBlock;
using core::volume::Position;

bool payload_fine(const BatchHeader& header, std::span<const std::byte> payload) {
  if (payload.size() != header.payload_length) {
    return false;
  }
  std::size_t used = 0;
  for (const core::volume::Entry& entry : header.entries) {
    if (entry.type != EntryType::Write) {
      continue;
    }
    if (crc32c(payload.subspan(entry.payload_offset, entry.length)) != entry.crc) {
      return false;
    }
    used = std::max<std::size_t>(used, entry.payload_offset + entry.length);
  }
  return all_zero(payload.subspan(used));
}

BatchPtr make_batch(const BatchHeader& header, const BufferPtr& buffer) {
  const std::size_t length = kBlock + header.payload_length;
  CB_CHECK(buffer->size() >= length);
  const auto bytes = buffer->bytes();
  const std::size_t used = core::volume::encode(header, bytes.first(kBlock));
  std::memset(bytes.data() + used, 0, kBlock - used);
  std::size_t data = 0;
  for (const core::volume::Entry& entry : header.entries) {
    if (entry.type == EntryType::Write) {
      data = std::max<std::size_t>(data, entry.payload_offset + entry.length);
    }
  }
  std::memset(bytes.data() + kBlock + data, 0, header.payload_length - data);
  return std::make_shared<const Batch>(Batch{header, {buffer, 0, length}});
}

Log::Log(Disk& disk, Pool& pool, std::uint64_t ring_length, std::uint64_t volume_length,
         std::size_t memory_max)
    : disk_(disk),
      pool_(pool),
      ring_length_(ring_length),
      volume_length_(volume_length),
      memory_max_(memory_max) {}

void Log::append(const BatchPtr& batch, loop::Durable durable, loop::Done done) {
  const Position position = batch->header.position;
  batches_[position] = batch;
  memory_ += batch->slice.buffer->size();
  const std::uint64_t at = position % ring_length_;
  const Slice& slice = batch->slice;
  const std::uint64_t before_end = ring_length_ - at;
  if (slice.length <= before_end) {
    disk_.write(at, slice, durable, std::move(done));
    return;
  }
  // Round the corner: two writes, one answer.
  struct Both {
    int left = 2;
    int error = 0;
    loop::Done done;
  };
  auto both = std::make_shared<Both>();
  both->done = std::move(done);
  const auto one = [both](int error) {
    both->error = both->error != 0 ? both->error : error;
    if (--both->left == 0) {
      both->done(both->error);
    }
  };
  const auto first = static_cast<std::size_t>(before_end);
  disk_.write(at, {slice.buffer, slice.at, first}, durable, one);
  disk_.write(0, {slice.buffer, slice.at + first, slice.length - first}, durable, one);
}

BatchPtr Log::cached(Position position) const {
  const auto found = batches_.find(position);
  return found == batches_.end() ? nullptr : found->second;
}

void Log::read_ring(Position position, const Slice& into, loop::Done done) {
  const std::uint64_t at = position % ring_length_;
  const std::uint64_t before_end = ring_length_ - at;
  if (into.length <= before_end) {
    disk_.read(at, into, std::move(done));
    return;
  }
  const auto first = static_cast<std::size_t>(before_end);
  disk_.read(at, {into.buffer, into.at, first},
             leash_.guard([this, into, first, done = std::move(done)](int error) mutable {
               if (error != 0) {
                 done(error);
                 return;
               }
               disk_.read(0, {into.buffer, into.at + first, into.length - first}, std::move(done));
             }));
}

std::vector<BatchPtr> Log::parse(const BufferPtr& chunk, std::size_t length, Position from) const {
  std::vector<BatchPtr> found;
  std::size_t at = 0;
  while (at + kBlock <= length) {
    const auto header =
        core::volume::decode_batch(chunk->bytes().subspan(at, kBlock), volume_length_);
    if (!header || header->position != from + at) {
      break;
    }
    const std::size_t size = kBlock + header->payload_length;
    if (at + size > length ||
        !payload_fine(*header, chunk->bytes().subspan(at + kBlock, header->payload_length))) {
      break;
    }
    found.push_back(std::make_shared<const Batch>(Batch{*header, {chunk, at, size}}));
    at += size;
  }
  return found;
}

void Log::fetch(Position from, Position limit, std::size_t bytes_max, Fetched done) {
  CB_CHECK(from < limit);
  std::vector<BatchPtr> found;
  std::size_t bytes = 0;
  Position at = from;
  for (auto batch = batches_.find(from);
       batch != batches_.end() && batch->first == at && batch->second->header.end() <= limit &&
       (bytes == 0 || bytes + batch->second->slice.length <= bytes_max);
       ++batch) {
    bytes += batch->second->slice.length;
    at = batch->second->header.end();
    found.push_back(batch->second);
  }
  if (!found.empty()) {
    done(0, found);
    return;
  }
  // The largest batch fits in any case. Not beyond the ring's length: that would be the same place.
  const std::uint64_t wanted = std::max<std::uint64_t>(bytes_max, core::volume::kBatchMax);
  const auto length = static_cast<std::size_t>(
      std::min({wanted, limit - from, ring_length_, std::uint64_t{Pool::kLargest}}));
  const BufferPtr chunk = pool_.take(length);
  read_ring(from, {chunk, 0, length},
            leash_.guard([this, chunk, length, from, done = std::move(done)](int error) {
              if (error != 0) {
                done(error, {});
                return;
              }
              const auto batches = parse(chunk, length, from);
              done(batches.empty() ? EIO : 0, batches);
            }));
}

void Log::written_to(Position appended) {
  written_ = appended;
  evict();
}

void Log::evict() {
  while (memory_ > memory_max_ && !batches_.empty() &&
         batches_.begin()->second->header.end() <= written_) {
    memory_ -= batches_.begin()->second->slice.buffer->size();
    batches_.erase(batches_.begin());
  }
}

void Log::forget_from(Position position) {
  for (auto batch = batches_.lower_bound(position); batch != batches_.end();) {
    memory_ -= batch->second->slice.buffer->size();
    batch = batches_.erase(batch);
  }
  written_ = std::min(written_, position);
}

}  // namespace cb::replication
