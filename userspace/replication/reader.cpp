// SPDX-License-Identifier: Apache-2.0
#include "replication/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cb::replication {

using core::volume::kBatchMax;
using core::volume::kBlock;

namespace {

constexpr std::uint64_t kHomeReadMax = 1u << 20;
constexpr int kTries = 3;

}  // namespace

struct Reader::Work {
  std::uint64_t offset = 0;
  std::span<std::byte> into;
  std::vector<Piece> pieces;
  std::vector<BatchPtr> batches;  // of the same index; nullptr for zeros
  int waiting = 1;
  int error = 0;
  int tries = 0;
  loop::Done done;
};

void Reader::finish(const std::shared_ptr<Work>& work, int error) {
  work->error = work->error != 0 ? work->error : error;
  if (--work->waiting > 0) {
    return;
  }
  if (work->error == 0) {
    // Over what the home image gave.
    for (std::size_t i = 0; i < work->pieces.size(); ++i) {
      const Piece& piece = work->pieces[i];
      std::byte* to = work->into.data() + (piece.offset - work->offset);
      if (piece.zero) {
        std::memset(to, 0, piece.length());
      } else {
        std::memcpy(to, work->batches[i]->slice.bytes().data() + piece.at, piece.length());
      }
    }
  }
  // A batch may have been applied and its place written over while it was being read: the next try
  // finds the image newer.
  if (work->error == EIO && work->tries > 1 && !work->pieces.empty()) {
    begin(work->offset, work->into, work->tries - 1, std::move(work->done));
    return;
  }
  const loop::Done done = std::move(work->done);
  done(work->error);
}

void Reader::read(std::uint64_t offset, std::span<std::byte> into, loop::Done done) {
  begin(offset, into, kTries, std::move(done));
}

void Reader::begin(std::uint64_t offset, std::span<std::byte> into, int tries, loop::Done done) {
  auto work = std::make_shared<Work>();
  work->tries = tries;
  work->offset = offset;
  work->into = into;
  work->done = std::move(done);
  const std::uint64_t end = offset + into.size();
  if (!view_.empty()) {
    view_.collect(offset, end, work->pieces);
  }
  work->batches.resize(work->pieces.size());
  std::uint64_t covered = offset;
  bool gaps = false;
  for (std::size_t i = 0; i < work->pieces.size(); ++i) {
    const Piece& piece = work->pieces[i];
    gaps = gaps || piece.offset > covered;
    covered = piece.end;
    if (piece.zero) {
      continue;
    }
    work->batches[i] = log_.cached(piece.batch);
    if (work->batches[i] != nullptr) {
      continue;
    }
    ++work->waiting;
    log_.fetch(piece.batch, piece.batch + kBatchMax, kBatchMax,
               leash_.guard([this, work, i](int error, const std::vector<BatchPtr>& batches) {
                 if (error == 0) {
                   work->batches[i] = batches.front();
                 }
                 finish(work, error);
               }));
  }
  gaps = gaps || covered < end;
  for (std::uint64_t at = offset; gaps && at < end;) {
    const std::uint64_t now = std::min(end - at, kHomeReadMax);
    ++work->waiting;
    home_.read(at, now, leash_.guard([this, work, at, now](int error, const Slice& bytes) {
      if (error == 0) {
        std::memcpy(work->into.data() + (at - work->offset), bytes.bytes().data() + at % kBlock,
                    now);
      }
      finish(work, error);
    }));
    at += now;
  }
  finish(work, 0);
}

}  // namespace cb::replication
