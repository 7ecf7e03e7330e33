// SPDX-License-Identifier: Apache-2.0
//
// The ring on disk and the newest part of it in memory. A batch lies in one buffer as it lies on
// disk: its header block, then the payload; whoever sends, applies or reads it uses that buffer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/volume/batch.h"
#include "replication/disk.h"

namespace cb::replication {

struct Batch {
  core::volume::BatchHeader header;
  Slice slice;  // kBlock + payload_length bytes

  std::span<std::byte> payload() const {
    return slice.bytes().subspan(core::volume::kBlock, header.payload_length);
  }
};
using BatchPtr = std::shared_ptr<const Batch>;

// Whether each entry's data has the checksum that the header names, and the rest is zeros.
bool payload_fine(const core::volume::BatchHeader& header, std::span<const std::byte> payload);

// A batch of this buffer: the header is written into its first block, and what is behind the data
// set to zeros.
BatchPtr make_batch(const core::volume::BatchHeader& header, const BufferPtr& buffer);

class Log {
 public:
  using Fetched = std::function<void(int error, const std::vector<BatchPtr>& batches)>;

  // memory_max: what is kept in memory of batches that are on disk already.
  Log(Disk& disk, Pool& pool, std::uint64_t ring_length, std::uint64_t volume_length,
      std::size_t memory_max = 32u << 20);

  void set_volume_length(std::uint64_t length) { volume_length_ = length; }

  // To the ring, at its position. It is found by cached() and fetch() at once.
  void append(const BatchPtr& batch, loop::Durable durable, loop::Done done);
  void sync(loop::Done done) { disk_.sync(std::move(done)); }

  // Batches from `from` on, at least one and not beyond `limit`, about bytes_max of them, checked.
  // Answers at once when they are in memory. error: EIO when there is no whole batch at `from`.
  void fetch(core::volume::Position from, core::volume::Position limit, std::size_t bytes_max,
             Fetched done);
  BatchPtr cached(core::volume::Position position) const;

  // What is below was written and may leave the memory.
  void written_to(core::volume::Position appended);
  void forget_from(core::volume::Position position);  // cut off
  void forget_all() { forget_from(0); }
  std::size_t memory() const noexcept { return memory_; }

 private:
  void read_ring(core::volume::Position position, const Slice& into, loop::Done done);
  std::vector<BatchPtr> parse(const BufferPtr& chunk, std::size_t length,
                              core::volume::Position from) const;
  void evict();

  Disk& disk_;
  Pool& pool_;
  std::uint64_t ring_length_;
  std::uint64_t volume_length_;
  std::size_t memory_max_;
  std::map<core::volume::Position, BatchPtr> batches_;
  std::size_t memory_ = 0;
  core::volume::Position written_ = 0;
  loop::Leash leash_;
};

}  // namespace cb::replication
