// SPDX-License-Identifier: Apache-2.0
//
// Disk: a file or a block device, read and written past the page cache by the loop's ring. Nothing
// blocks; everything is answered once, in a later turn. Offsets and lengths are multiples of
// kBlock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "loop/loop.h"
#include "replication/buffer.h"

namespace cb::replication {

class Disk {
 public:
  virtual ~Disk() = default;
  // The slice's buffer is kept until the answer.
  virtual void read(std::uint64_t offset, const Slice& into, loop::Done done) = 0;
  // Durable: answered when these bytes are; what was written before them may not be.
  virtual void write(std::uint64_t offset, const Slice& from, loop::Durable durable,
                     loop::Done done) = 0;
  void write(std::uint64_t offset, const Slice& from, loop::Done done) {
    write(offset, from, loop::Durable::No, std::move(done));
  }
  // Reads as zeros afterwards; give_back: the space is returned where the file system can.
  virtual void zero(std::uint64_t offset, std::uint64_t length, bool give_back,
                    loop::Done done) = 0;
  // What was answered before is durable when this is answered.
  virtual void sync(loop::Done done) = 0;
};

class FileDisk final : public Disk {
 public:
  // Takes the descriptor over. The loop outlives the disk, and the disk its operations.
  FileDisk(loop::Loop& loop, Pool& pool, Fd fd);
  ~FileDisk() override;

  void read(std::uint64_t offset, const Slice& into, loop::Done done) override;
  using Disk::write;
  void write(std::uint64_t offset, const Slice& from, loop::Durable durable,
             loop::Done done) override;
  void zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) override;
  void sync(loop::Done done) override;

 private:
  void zero_by_writing(std::uint64_t offset, std::uint64_t length, loop::Done done);

  loop::Loop& loop_;
  Pool& pool_;
  std::shared_ptr<Fd> fd_;  // shared with what is under way
  BufferPtr zeros_;
  bool can_zero_ = true;
  bool can_give_back_ = true;
  loop::Leash leash_;
};

// Many who want a sync share one: whoever asks while one is under way gets the next.
class SharedSync {
 public:
  explicit SharedSync(Disk& disk) : disk_(disk) {}
  void ask(loop::Done done);

 private:
  void begin();

  Disk& disk_;
  std::vector<loop::Done> waiting_;
  bool under_way_ = false;
  loop::Leash leash_;
};

}  // namespace cb::replication
