// SPDX-License-Identifier: Apache-2.0
//
// Reads: what the log holds newer than the home image comes from the log, the rest from the image.
// What is newer is looked up when the read begins; writes that come later may or may not be seen,
// as on any disk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "replication/home.h"
#include "replication/log.h"
#include "replication/view.h"

namespace cb::replication {

class Reader {
 public:
  Reader(const View& view, Log& log, Home& home) : view_(view), log_(log), home_(home) {}

  // into: memory of the caller's until the answer.
  void read(std::uint64_t offset, std::span<std::byte> into, loop::Done done);

 private:
  struct Work;
  void begin(std::uint64_t offset, std::span<std::byte> into, int tries, loop::Done done);
  void finish(const std::shared_ptr<Work>& work, int error);

  const View& view_;
  Log& log_;
  Home& home_;
  loop::Leash leash_;
};

}  // namespace cb::replication
