// SPDX-License-Identifier: Apache-2.0
#include "replication/disk.h"

#include <linux/falloc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace cb::replication {

using core::volume::kBlock;

namespace {

constexpr std::size_t kZerosAtOnce = 256u << 10;

bool unsupported(int error) { return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV; }

}  // namespace

FileDisk::FileDisk(loop::Loop& loop, Pool& pool, Fd fd)
    : loop_(loop), pool_(pool), fd_(std::make_shared<Fd>(std::move(fd))) {}

FileDisk::~FileDisk() = default;

void FileDisk::read(std::uint64_t offset, const Slice& into, loop::Done done) {
  CB_CHECK(offset % kBlock == 0 && into.length % kBlock == 0);
  auto keeps = std::make_shared<std::pair<std::shared_ptr<Fd>, BufferPtr>>(fd_, into.buffer);
  loop_.read_into(fd_->get(), offset, into.bytes(), std::move(keeps), std::move(done));
}

void FileDisk::write(std::uint64_t offset, const Slice& from, loop::Durable durable,
                     loop::Done done) {
  CB_CHECK(offset % kBlock == 0 && from.length % kBlock == 0);
  auto keeps = std::make_shared<std::pair<std::shared_ptr<Fd>, BufferPtr>>(fd_, from.buffer);
  loop_.write_from(fd_->get(), offset, from.bytes(), durable, std::move(keeps), std::move(done));
}

void FileDisk::sync(loop::Done done) {
  loop_.fsync(fd_->get(), false, [fd = fd_, done = std::move(done)](int error) { done(error); });
}

// Ranges zeroed in place keep their room; where that is not known to the file system a hole is
// punched, and where neither is, zeros are written.
void FileDisk::zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) {
  CB_CHECK(offset % kBlock == 0 && length % kBlock == 0);
  if (length == 0) {
    done(0);
    return;
  }
  const bool punch = give_back || !can_zero_;
  if (punch && !can_give_back_) {
    zero_by_writing(offset, length, std::move(done));
    return;
  }
  const int mode = FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
  loop_.allocate(fd_->get(), mode, offset, length,
                 leash_.guard([this, fd = fd_, offset, length, give_back, punch,
                               done = std::move(done)](int error) mutable {
                   if (!unsupported(error)) {
                     done(error);
                     return;
                   }
                   (punch ? can_give_back_ : can_zero_) = false;
                   zero(offset, length, give_back, std::move(done));
                 }));
}

void FileDisk::zero_by_writing(std::uint64_t offset, std::uint64_t length, loop::Done done) {
  if (!zeros_) {
    zeros_ = pool_.take(kZerosAtOnce);
    std::memset(zeros_->data(), 0, kZerosAtOnce);
  }
  const auto now = std::min<std::uint64_t>(length, kZerosAtOnce);
  write(offset, {zeros_, 0, static_cast<std::size_t>(now)},
        leash_.guard([this, offset, length, now, done = std::move(done)](int error) mutable {
          if (error != 0 || now == length) {
            done(error);
            return;
          }
          zero_by_writing(offset + now, length - now, std::move(done));
        }));
}

void SharedSync::ask(loop::Done done) {
  waiting_.push_back(std::move(done));
  if (!under_way_) {
    begin();
  }
}

void SharedSync::begin() {
  under_way_ = true;
  auto served = std::make_shared<std::vector<loop::Done>>(std::exchange(waiting_, {}));
  disk_.sync(leash_.guard([this, served](int error) {
    under_way_ = false;
    for (const loop::Done& done : *served) {
      done(error);
    }
    if (!under_way_ && !waiting_.empty()) {
      begin();
    }
  }));
}

}  // namespace cb::replication
