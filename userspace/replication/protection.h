// SPDX-License-Identifier: Apache-2.0
//
// Keeps the last good image while a copy from the peer overwrites it: a reflink of the whole image
// where the file system makes one, else what is overwritten, extent by extent, aside in a sparse
// file. Either stays until release(), also over restarts of the process.
//
//   home.clone   a reflink: the image as it was
//   home.kept    a sparse file as long as the image: extents that were overwritten since
//   superblock.kept  the superblock that belongs to it, or
//   superblock.discarded  one that belongs to it only nearly: the log held more
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/volume/types.h"
#include "loop/hands.h"
#include "replication/home.h"

namespace cb::replication {

class Protection {
 public:
  // folder: where these files go; image: the home image's path, a file or a block device.
  Protection(loop::Loop& loop, Pool& pool, loop::Hands& hands, std::string folder,
             std::string image, std::uint64_t length = 0);
  void set_length(std::uint64_t length) { length_ = length; }  // never while one is kept

  // resume: a copy into this node is under way since before the start of the process; else what is
  // left of an old protection goes.
  void open(bool resume, loop::Done done);
  // 0 when the image is kept, durably. anew: what was kept before goes; else nothing changes when
  // an image was kept already. whole: the superblock says exactly what the image holds.
  void protect(bool anew, bool whole, loop::Done done);
  void release(loop::Done done);
  // The image becomes what was kept, durably; that stays kept. Nobody may write to the image
  // meanwhile.
  void restore(loop::Done done);
  // What the image that is kept holds: everything before its checkpoint. Nothing: not known.
  const std::optional<core::volume::Record>& kept() const noexcept { return kept_; }
  // Before the extent is overwritten: answers when what it held is durable aside.
  void before_write(Home& home, std::uint64_t extent, loop::Done done);

  enum class How : std::uint8_t { None, Clone, Overlay };
  How how() const noexcept { return how_; }
  const char* name() const noexcept;  // for status: "none", "reflink", "overlay"

 private:
  struct Work;
  void use(const std::shared_ptr<Work>& work);

  loop::Loop& loop_;
  Pool& pool_;
  loop::Hands& hands_;
  std::string folder_;
  std::string image_;
  std::uint64_t length_;
  How how_ = How::None;
  std::unique_ptr<Disk> overlay_;
  std::unique_ptr<SharedSync> overlay_sync_;
  std::vector<bool> saved_;
  std::optional<core::volume::Record> kept_;
  loop::Leash leash_;
};

}  // namespace cb::replication
