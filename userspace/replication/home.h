// SPDX-License-Identifier: Apache-2.0
//
// The home image: the plain volume, which follows the log. Writes of single sectors are made whole
// blocks here, by reading the rest first.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "replication/log.h"
#include "replication/view.h"

namespace cb::replication {

class Home {
 public:
  // What was written, newest pieces only, for whoever keeps a View of what is not.
  using Applied = std::function<void(int error, core::volume::Position position,
                                     const core::volume::Digest& digest, const View& applied)>;
  using Read = std::function<void(int error, const Slice& bytes)>;

  Home(Disk& disk, Pool& pool, std::uint64_t length)
      : disk_(disk), pool_(pool), length_(length), sync_(disk) {}

  void set_length(std::uint64_t length) { length_ = length; }

  // The batches in [from, to) or the first of them, as many as go at once. One at a time.
  void apply(Log& log, core::volume::Position from, core::volume::Position to,
             const core::volume::Digest& before, Applied done);
  void sync(loop::Done done) { sync_.ask(std::move(done)); }

  // Any stretch, with the blocks at both ends whole: the slice begins at round_down(offset).
  void read(std::uint64_t offset, std::uint64_t length, Read done);
  // An extent of a copy, durably; an empty slice: zeros.
  void write_extent(std::uint64_t extent, const Slice& data, loop::Done done);
  std::uint64_t extent_length(std::uint64_t extent) const;
  std::uint64_t length() const noexcept { return length_; }

 private:
  struct Application;
  struct Run;
  void plan(const std::shared_ptr<Application>& work);
  void start_run(const std::shared_ptr<Application>& work, const std::shared_ptr<Run>& run);
  void write_run(const std::shared_ptr<Application>& work, const std::shared_ptr<Run>& run);
  void pump(const std::shared_ptr<Application>& work);

  Disk& disk_;
  Pool& pool_;
  std::uint64_t length_;
  SharedSync sync_;
  loop::Leash leash_;
};

}  // namespace cb::replication
