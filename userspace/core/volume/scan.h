// SPDX-License-Identifier: Apache-2.0
//
// What a log is worth after a restart, from the checkpoint on (before it the home image has
// everything). The owner reads the batch at next() and tells what it found, until finished(). The
// log ends at the first place where no batch continues the chain. Then the scan looks on a little:
// a later batch that was written after that place had been synced proves that the log did not end
// there but was damaged. A damaged log is never cut short in silence; the peer mends it.
#pragma once

#include "core/volume/batch.h"
#include "core/volume/types.h"

namespace cb::core::volume {

class Scan {
 public:
  explicit Scan(const Record& record);

  bool finished() const noexcept { return finished_; }
  Position next() const noexcept { return next_; }

  // header: what decode_batch() made of the block at next(), or nullptr; payload_fine: every
  // entry's CRC was right (need not be read while looking on()).
  void found(const BatchHeader* header, bool payload_fine);
  // Past the end: headers alone are of interest.
  bool looking_on() const noexcept { return looking_on_; }

  Position end() const noexcept { return end_; }
  const Digest& digest() const noexcept { return digest_; }
  Position committed() const noexcept { return committed_; }
  bool damaged() const noexcept { return durable_ > end_; }
  // It was durable at least up to here.
  Position durable() const noexcept { return durable_; }

 private:
  bool belongs(const BatchHeader& header) const;

  const Record& record_;
  Position next_ = 0;
  Position end_ = 0;
  Position limit_ = 0;
  Digest digest_;
  Position committed_ = 0;
  bool looking_on_ = false;
  Position durable_ = 0;
  bool finished_ = false;
};

}  // namespace cb::core::volume
