// SPDX-License-Identifier: Apache-2.0
#include "replication/sums.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "core/volume/dirty_map.h"

namespace cb::replication {

using core::volume::kBlock;
using core::volume::kExtent;

namespace {

constexpr std::uint32_t kUnknown = 0;  // never written or read since the file was made
constexpr int kTries = 50;
constexpr int kTriesOfNobody = 10;  // so many is a try for which nobody was there
constexpr Duration kTryAgain = Duration::from_ms(20);

std::uint32_t sum_of_zeros() {
  static const std::uint32_t sum = Sums::sum_of(std::vector<std::byte>(kBlock));
  return sum;
}

}  // namespace

std::uint32_t Sums::sum_of(std::span<const std::byte> block) {
  const std::uint32_t sum = crc32c(block);
  return sum == kUnknown ? 1 : sum;
}

bool Sums::is_as_written(std::uint64_t block, std::uint32_t sum) const {
  return table_ == nullptr || table_[block] == kUnknown || table_[block] == sum || doubtful(block);
}

std::uint64_t Sums::sum_bytes(std::uint64_t image_bytes) {
  return core::volume::round_up(image_bytes / kBlock * sizeof(std::uint32_t));
}

Sums::Sums(loop::Loop& loop, Pool& pool, Disk& image, Fd file, std::uint64_t length)
    : loop_(loop),
      pool_(pool),
      image_(image),
      file_(std::make_shared<Fd>(std::move(file))),
      blocks_(length / kBlock) {
  map_table();
}

void Sums::map_table() {
  const std::uint64_t bytes = sum_bytes(blocks_ * kBlock);
  struct stat info {};
  if (!*file_ || ::fstat(file_->get(), &info) != 0 ||
      static_cast<std::uint64_t>(info.st_size) < bytes) {
    return;
  }
  void* mapped = ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_SHARED, file_->get(), 0);
  if (mapped != MAP_FAILED) {
    table_ = static_cast<std::uint32_t*>(mapped);
  }
}

Sums::~Sums() {
  if (table_ != nullptr) {
    ::munmap(table_, static_cast<std::size_t>(sum_bytes(blocks_ * kBlock)));
  }
}

void Sums::set_length(std::uint64_t length) {
  const bool checked = table_ != nullptr;
  if (checked) {
    ::munmap(std::exchange(table_, nullptr), static_cast<std::size_t>(sum_bytes(blocks_ * kBlock)));
  }
  blocks_ = length / kBlock;
  map_table();
  if (checked && table_ == nullptr) {
    log_warning("volume: what is read is not checked: the sums cannot be mapped");
  }
}

void Sums::trust() {
  doubt_all_ = false;
  doubted_.clear();
}

void Sums::forget(loop::Done done) {
  if (table_ == nullptr) {
    loop_.post(leash_.guard([done = std::move(done)] { done(0); }));
    return;
  }
  std::fill_n(table_, blocks_, kUnknown);
  loop_.fsync(file_->get(), false,
              [file = file_, done = std::move(done)](int error) { done(error); });
}

bool Sums::doubtful(std::uint64_t block) const {
  const std::uint64_t extent = block / (kExtent / kBlock);
  return doubt_all_ ||
         (extent / 64 < doubted_.size() && (doubted_[extent / 64] >> (extent % 64) & 1) != 0);
}

Sums::Stretch Sums::stretch_of(std::uint64_t offset, std::uint64_t length) {
  return {offset / kBlock, (offset + length) / kBlock};
}

bool Sums::any_has(const auto& stretches, std::uint64_t block) {
  return std::any_of(stretches.begin(), stretches.end(),
                     [block](const Stretch& stretch) { return stretch.has(block); });
}

// ---- writing: the sum changes with the write's beginning. Whoever reads meanwhile gets whatever
// is there, as from any disk, and it is not checked.

loop::Done Sums::begin_write(std::uint64_t offset, std::uint64_t length, loop::Done done) {
  const Stretch stretch = stretch_of(offset, length);
  CB_CHECK(stretch.last <= blocks_);
  for (const ReadPtr& read : reads_) {
    if (read->at.overlaps(stretch)) {
      read->written.push_back(stretch);
    }
  }
  const auto place = writes_.insert(writes_.end(), stretch);
  return leash_.guard([this, place, done = std::move(done)](int error) {
    writes_.erase(place);
    done(error);
  });
}

void Sums::write(std::uint64_t offset, const Slice& from, loop::Durable durable, loop::Done done) {
  if (durable == loop::Durable::Yes) {
    // With its sums, which one durable write of the image does not make so.
    write(offset, from, leash_.guard([this, done = std::move(done)](int error) mutable {
      error != 0 ? done(error) : sync(std::move(done));
    }));
    return;
  }
  if (table_ == nullptr) {
    image_.write(offset, from, std::move(done));
    return;
  }
  const loop::Done written = begin_write(offset, from.length, std::move(done));
  for (std::size_t at = 0; at < from.length; at += kBlock) {
    table_[(offset + at) / kBlock] = sum_of(from.bytes().subspan(at, kBlock));
  }
  image_.write(offset, from, written);
}

void Sums::zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) {
  if (table_ == nullptr) {
    image_.zero(offset, length, give_back, std::move(done));
    return;
  }
  const loop::Done written = begin_write(offset, length, std::move(done));
  std::fill_n(table_ + offset / kBlock, length / kBlock, sum_of_zeros());
  image_.zero(offset, length, give_back, written);
}

void Sums::sync(loop::Done done) {
  if (table_ == nullptr) {
    image_.sync(std::move(done));
    return;
  }
  image_.sync(leash_.guard([this, done = std::move(done)](int error) {
    if (error != 0) {
      done(error);
      return;
    }
    loop_.fsync(file_->get(), false,
                [file = file_, done = std::move(done)](int failed) { done(failed); });
  }));
}

// ---- reading

void Sums::read(std::uint64_t offset, const Slice& into, loop::Done done) {
  read_checked(offset, into, true, std::move(done));
}

void Sums::read_raw(std::uint64_t offset, const Slice& into, loop::Done done) {
  image_.read(offset, into, std::move(done));
}

void Sums::read_own(std::uint64_t offset, const Slice& into, loop::Done done) {
  read_checked(offset, into, false, std::move(done));
}

void Sums::read_checked(std::uint64_t offset, const Slice& into, bool may_ask, loop::Done done) {
  auto read = std::make_shared<Read>();
  read->at = stretch_of(offset, into.length);
  read->into = into;
  read->may_ask = may_ask;
  read->done = std::move(done);
  begin(read);
}

void Sums::begin(const ReadPtr& read) {
  if (table_ == nullptr) {
    image_.read(read->at.first * kBlock, read->into, std::move(read->done));
    return;
  }
  CB_CHECK(read->at.last <= blocks_);
  read->written.clear();
  for (const Stretch& stretch : writes_) {
    if (read->at.overlaps(stretch)) {
      read->written.push_back(stretch);
    }
  }
  reads_.push_back(read);
  image_.read(read->at.first * kBlock, read->into, leash_.guard([this, read](int error) {
    reads_.erase(std::find(reads_.begin(), reads_.end(), read));
    if (error != 0) {
      const loop::Done told = std::move(read->done);
      told(error);
      return;
    }
    check(read);
  }));
}

std::span<std::byte> Sums::bytes_of(const Read& read, std::uint64_t block) const {
  return read.into.bytes().subspan(static_cast<std::size_t>(block - read.at.first) * kBlock,
                                   kBlock);
}

void Sums::check(const ReadPtr& read) {
  read->rotten.clear();
  for (std::uint64_t block = read->at.first; block < read->at.last; ++block) {
    if (any_has(read->written, block) || doubtful(block)) {
      continue;
    }
    const std::uint32_t sum = sum_of(bytes_of(*read, block));
    if (table_[block] == kUnknown) {
      table_[block] = sum;  // from now on it is known
    } else if (table_[block] != sum) {
      read->rotten.push_back(block);
    }
  }
  if (!read->rotten.empty() && read->tries == 0) {
    facts_.rotten += read->rotten.size();
    log_error(
        "volume: block %llu of the home image is not what was written there (%zu in this read)",
        static_cast<unsigned long long>(read->rotten.front()), read->rotten.size());
  }
  mend_next(read);
}

// One after the other; each answer is a later turn.
void Sums::mend_next(const ReadPtr& read) {
  if (read->rotten.empty() || !read->may_ask || !ask_ || read->tries > kTries) {
    facts_.lost += read->may_ask ? read->rotten.size() : 0;
    const loop::Done done = std::move(read->done);
    done(read->rotten.empty() ? 0 : EBADMSG);
    return;
  }
  ask_(read->rotten.back(),
       leash_.guard([this, read](std::span<const std::byte> bytes) { on_given(read, bytes); }));
}

void Sums::on_given(const ReadPtr& read, std::span<const std::byte> bytes) {
  const std::uint64_t block = read->rotten.back();
  const auto own = bytes_of(*read, block);
  if (bytes.size() == kBlock && sum_of(bytes) == table_[block]) {
    std::memcpy(own.data(), bytes.data(), kBlock);
    put_back(read, block);
    return;
  }
  if (bytes.size() == kBlock && std::memcmp(own.data(), bytes.data(), kBlock) == 0) {
    // Both nodes have the same: it is the sum that is not what was written.
    table_[block] = sum_of(bytes);
    ++facts_.mended;
    read->rotten.pop_back();
    mend_next(read);
    return;
  }
  // The other's image may be older or newer at this moment, and ours be written meanwhile.
  read->tries += bytes.empty() ? kTriesOfNobody : 1;
  loop_.after(bytes.empty() ? kTryAgain * 5 : kTryAgain,
              leash_.guard([this, read] { begin(read); }));
}

void Sums::put_back(const ReadPtr& read, std::uint64_t block) {
  // Somebody may be writing this block just now: then it is whole again by itself.
  if (any_has(writes_, block)) {
    ++read->tries;
    loop_.after(kTryAgain, leash_.guard([this, read] { begin(read); }));
    return;
  }
  const BufferPtr buffer = pool_.take(kBlock);
  std::memcpy(buffer->data(), bytes_of(*read, block).data(), kBlock);
  write(block * kBlock, {buffer, 0, kBlock}, leash_.guard([this, read, block](int error) {
    if (error == 0) {
      ++facts_.mended;
      log_notice("volume: block %llu of the home image was mended from the peer's",
                 static_cast<unsigned long long>(block));
      read->rotten.pop_back();
      mend_next(read);
      return;
    }
    const loop::Done done = std::move(read->done);
    done(error);
  }));
}

}  // namespace cb::replication
