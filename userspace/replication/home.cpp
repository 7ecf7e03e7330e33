// SPDX-License-Identifier: Apache-2.0
//
// Applying: the batches' newest pieces become runs of whole blocks, each written at once. A block
// that the pieces do not cover is read before; pieces in one block are always in one run, so that
// no two runs write it.
#include "replication/home.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "base/check.h"

namespace cb::replication {

using core::volume::Digest;
using core::volume::kBlock;
using core::volume::kExtent;
using core::volume::Position;

namespace {

constexpr std::size_t kBytesAtOnce = 2u << 20;  // of the log, in one application
constexpr std::uint64_t kRunMax = 256u << 10;
constexpr int kRunsAtOnce = 16;
constexpr std::uint64_t kZeroedInPlace = 64u << 10;  // zeros from here on are not written as data

constexpr std::uint64_t round_down(std::uint64_t bytes) { return bytes / kBlock * kBlock; }

Piece part_of(const Piece& piece, std::uint64_t offset, std::uint64_t end) {
  Piece part = piece;
  part.offset = offset;
  part.end = end;
  if (!piece.zero) {
    part.at += static_cast<std::uint32_t>(offset - piece.offset);
  }
  return part;
}

}  // namespace

struct Home::Run {
  std::vector<Piece> pieces;
  std::uint64_t offset = 0;  // whole blocks
  std::uint64_t end = 0;
  bool zero = false;
  bool give_back = false;
  BufferPtr buffer;
  int reads = 0;
};

struct Home::Application {
  std::unordered_map<Position, BatchPtr> batches;
  View view;
  Position position = 0;
  Digest digest;
  std::deque<std::shared_ptr<Run>> runs;
  int under_way = 0;
  int error = 0;
  Applied done;
};

void Home::apply(Log& log, Position from, Position to, const Digest& before, Applied done) {
  auto work = std::make_shared<Application>();
  work->position = from;
  work->digest = before;
  work->done = std::move(done);
  log.fetch(from, to, kBytesAtOnce,
            leash_.guard([this, work](int error, const std::vector<BatchPtr>& batches) {
              if (error != 0) {
                work->done(error, work->position, work->digest, work->view);
                return;
              }
              for (const BatchPtr& batch : batches) {
                work->batches.emplace(batch->header.position, batch);
                work->view.put(batch->header);
                work->position = batch->header.end();
                work->digest = batch->header.digest;
              }
              plan(work);
              pump(work);
            }));
}

void Home::plan(const std::shared_ptr<Application>& work) {
  const auto add = [&](const Piece& piece) {
    if (piece.length() == 0) {
      return;
    }
    Run* last = work->runs.empty() ? nullptr : work->runs.back().get();
    const bool in_last_block = last != nullptr && !last->zero && piece.offset < last->end;
    const bool goes_on = last != nullptr && !last->zero && piece.offset == last->end &&
                         last->end - last->offset < kRunMax;
    if (!in_last_block && !goes_on) {
      work->runs.push_back(std::make_shared<Run>());
      last = work->runs.back().get();
      last->offset = round_down(piece.offset);
    }
    last->pieces.push_back(piece);
    last->end = core::volume::round_up(piece.end);
  };
  // Cut at block boundaries, so that a run can end at each of them.
  for (const Piece& piece : work->view.all()) {
    const std::uint64_t first = core::volume::round_up(piece.offset);
    const std::uint64_t last = round_down(piece.end);
    if (last <= first) {
      const std::uint64_t boundary = std::min(first, piece.end);
      add(part_of(piece, piece.offset, boundary));
      add(part_of(piece, boundary, piece.end));
      continue;
    }
    add(part_of(piece, piece.offset, first));
    if (piece.zero && last - first >= kZeroedInPlace) {
      auto run = std::make_shared<Run>();
      run->zero = true;
      run->give_back = piece.give_back;
      run->offset = first;
      run->end = last;
      work->runs.push_back(run);
    } else {
      for (std::uint64_t at = first; at < last; at += kRunMax) {
        add(part_of(piece, at, std::min(at + kRunMax, last)));
      }
    }
    add(part_of(piece, last, piece.end));
  }
}

void Home::pump(const std::shared_ptr<Application>& work) {
  while (work->error == 0 && !work->runs.empty() && work->under_way < kRunsAtOnce) {
    const auto run = work->runs.front();
    work->runs.pop_front();
    ++work->under_way;
    start_run(work, run);
  }
  if (work->under_way == 0 && (work->runs.empty() || work->error != 0) && work->done) {
    const Applied done = std::move(work->done);
    work->done = nullptr;
    done(work->error, work->position, work->digest, work->view);
  }
}

void Home::start_run(const std::shared_ptr<Application>& work, const std::shared_ptr<Run>& run) {
  const auto finished = leash_.guard([this, work](int error) {
    work->error = work->error != 0 ? work->error : error;
    --work->under_way;
    pump(work);
  });
  if (run->zero) {
    disk_.zero(run->offset, run->end - run->offset, run->give_back, finished);
    return;
  }
  const Piece& only = run->pieces.front();
  if (run->pieces.size() == 1 && !only.zero && only.offset == run->offset && only.end == run->end &&
      only.at % kBlock == 0) {
    const Slice& batch = work->batches.at(only.batch)->slice;
    disk_.write(run->offset,
                {batch.buffer, batch.at + only.at, static_cast<std::size_t>(only.length())},
                finished);
    return;
  }
  run->buffer = pool_.take(static_cast<std::size_t>(run->end - run->offset));
  // Blocks that are not covered are read first.
  std::uint64_t covered = run->offset;
  std::vector<std::uint64_t> blocks;
  const auto gap = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t at = round_down(from); at < to; at += kBlock) {
      if (blocks.empty() || blocks.back() != at) {
        blocks.push_back(at);
      }
    }
  };
  for (const Piece& piece : run->pieces) {
    gap(covered, piece.offset);
    covered = piece.end;
  }
  gap(covered, run->end);
  if (blocks.empty()) {
    write_run(work, run);
    return;
  }
  run->reads = static_cast<int>(blocks.size());
  for (const std::uint64_t at : blocks) {
    const Slice into{run->buffer, static_cast<std::size_t>(at - run->offset), kBlock};
    disk_.read(at, into, leash_.guard([this, work, run](int error) {
      work->error = work->error != 0 ? work->error : error;
      if (--run->reads > 0) {
        return;
      }
      if (work->error != 0) {
        --work->under_way;
        pump(work);
        return;
      }
      write_run(work, run);
    }));
  }
}

void Home::write_run(const std::shared_ptr<Application>& work, const std::shared_ptr<Run>& run) {
  for (const Piece& piece : run->pieces) {
    std::byte* to = run->buffer->data() + (piece.offset - run->offset);
    if (piece.zero) {
      std::memset(to, 0, piece.length());
    } else {
      const Slice& batch = work->batches.at(piece.batch)->slice;
      std::memcpy(to, batch.bytes().data() + piece.at, piece.length());
    }
  }
  disk_.write(run->offset, {run->buffer, 0, static_cast<std::size_t>(run->end - run->offset)},
              leash_.guard([this, work](int error) {
                work->error = work->error != 0 ? work->error : error;
                --work->under_way;
                pump(work);
              }));
}

void Home::read(std::uint64_t offset, std::uint64_t length, Read done) {
  const std::uint64_t first = round_down(offset);
  const std::uint64_t last = core::volume::round_up(offset + length);
  CB_CHECK(last <= length_);
  const BufferPtr buffer = pool_.take(static_cast<std::size_t>(last - first));
  const Slice slice{buffer, 0, static_cast<std::size_t>(last - first)};
  disk_.read(first, slice, [slice, done = std::move(done)](int error) { done(error, slice); });
}

std::uint64_t Home::extent_length(std::uint64_t extent) const {
  return std::min(kExtent, length_ - extent * kExtent);
}

void Home::write_extent(std::uint64_t extent, const Slice& data, loop::Done done) {
  const auto written = leash_.guard([this, done = std::move(done)](int error) mutable {
    if (error != 0) {
      done(error);
      return;
    }
    sync_.ask(std::move(done));
  });
  if (data.length == 0) {
    disk_.zero(extent * kExtent, extent_length(extent), true, written);
    return;
  }
  CB_CHECK(data.length == extent_length(extent));
  disk_.write(extent * kExtent, data, written);
}

}  // namespace cb::replication
