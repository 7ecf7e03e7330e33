// SPDX-License-Identifier: Apache-2.0
//
// Sums: the home image with a checksum for each of its blocks, kept in a file beside it
// (docs/volume.md). What is read is checked; a block that is not what was written here is never
// given to anybody. The owner may know somebody who still has it.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "replication/disk.h"

namespace cb::replication {

struct SumsFacts {
  std::uint64_t rotten = 0;  // blocks found that were not what was written
  std::uint64_t mended = 0;
  std::uint64_t lost = 0;  // that nobody had: whoever read them was told an error
};

class Sums final : public Disk {
 public:
  // What somebody else has in the place of a block; empty: nobody has it now.
  using Given = std::function<void(std::span<const std::byte> bytes)>;
  using Ask = std::function<void(std::uint64_t block, Given done)>;

  // An invalid or too short file: nothing is checked. `file` has sum_bytes(length) bytes.
  Sums(loop::Loop& loop, Pool& pool, Disk& image, Fd file, std::uint64_t length);
  ~Sums() override;

  void read(std::uint64_t offset, const Slice& into, loop::Done done) override;
  using Disk::write;
  void write(std::uint64_t offset, const Slice& from, loop::Durable durable,
             loop::Done done) override;
  void zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) override;
  // Image and sums.
  void sync(loop::Done done) override;
  // Whatever is there.
  void read_raw(std::uint64_t offset, const Slice& into, loop::Done done);
  // A block with this sum: is it what was written there, as far as that is known?
  bool is_as_written(std::uint64_t block, std::uint32_t sum) const;
  static std::uint32_t sum_of(std::span<const std::byte> block);  // never 0
  // Checked, but nobody is asked: EBADMSG.
  void read_own(std::uint64_t offset, const Slice& into, loop::Done done);

  // The file has got longer before.
  void set_length(std::uint64_t length);

  void when_rotten(Ask ask) { ask_ = std::move(ask); }
  // After a crash image and sums may disagree where the log is written into the image anew. Of
  // these stretches (a bit for each 64 KiB), or of everything, nothing is checked until trust().
  void doubt(std::vector<std::uint64_t> extents) { doubted_ = std::move(extents); }
  void doubt_all() { doubt_all_ = true; }
  void trust();
  // Another image is put in the place of this one: nothing is known of it. Durably.
  void forget(loop::Done done);

  bool checks() const noexcept { return table_ != nullptr; }
  const SumsFacts& facts() const noexcept { return facts_; }

  static std::uint64_t sum_bytes(std::uint64_t image_bytes);

 private:
  struct Stretch {
    std::uint64_t first = 0, last = 0;  // blocks
    bool has(std::uint64_t block) const { return first <= block && block < last; }
    bool overlaps(const Stretch& other) const { return first < other.last && other.first < last; }
  };
  static Stretch stretch_of(std::uint64_t offset, std::uint64_t length);
  static bool any_has(const auto& stretches, std::uint64_t block);
  struct Read {
    Stretch at;
    std::vector<Stretch> written;  // meanwhile: may be old, new, or both
    Slice into;
    std::vector<std::uint64_t> rotten;
    bool may_ask = false;
    int tries = 0;
    loop::Done done;
  };
  using ReadPtr = std::shared_ptr<Read>;

  void map_table();
  void read_checked(std::uint64_t offset, const Slice& into, bool may_ask, loop::Done done);
  void begin(const ReadPtr& read);
  void check(const ReadPtr& read);
  void mend_next(const ReadPtr& read);
  void on_given(const ReadPtr& read, std::span<const std::byte> bytes);
  void put_back(const ReadPtr& read, std::uint64_t block);
  loop::Done begin_write(std::uint64_t offset, std::uint64_t length, loop::Done done);
  bool doubtful(std::uint64_t block) const;
  std::span<std::byte> bytes_of(const Read& read, std::uint64_t block) const;

  loop::Loop& loop_;
  Pool& pool_;
  Disk& image_;
  std::shared_ptr<Fd> file_;
  std::uint64_t blocks_;
  std::uint32_t* table_ = nullptr;  // the file, mapped
  Ask ask_;
  std::vector<std::uint64_t> doubted_;
  bool doubt_all_ = false;
  std::vector<ReadPtr> reads_;
  std::list<Stretch> writes_;
  SumsFacts facts_;
  loop::Leash leash_;
};

}  // namespace cb::replication
