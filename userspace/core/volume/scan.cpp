// SPDX-License-Identifier: Apache-2.0
#include "core/volume/scan.h"

#include <algorithm>

#include "core/volume/history.h"

namespace cb::core::volume {

// No more than this can have been written without a sync in between: what is in flight at once.
constexpr uint64_t kLookOn = 32 * 1024 * 1024;

Scan::Scan(const Record& record)
    : record_(record),
      next_(record.checkpoint),
      end_(record.checkpoint),
      limit_(record.tail + record.ring_length),
      digest_(record.checkpoint_digest),
      committed_(record.committed),
      durable_(record.synced) {}

// A batch counts only in the epoch that the superblock gives for its place: what was cut off stays
// cut off, though its bytes are still there.
bool Scan::belongs(const BatchHeader& header) const {
  if (header.position != next_ || header.end() > limit_) {
    return false;
  }
  const Epoch* epoch = epoch_at(record_.epochs, header.position);
  return epoch != nullptr && epoch->generation == header.generation &&
         epoch->number == header.epoch;
}

void Scan::found(const BatchHeader* header, bool payload_fine) {
  const bool known = header != nullptr && belongs(*header);
  if (!looking_on_) {
    if (known && payload_fine && digest_after(digest_, *header) == header->digest) {
      digest_ = header->digest;
      committed_ = std::max(committed_, header->committed);
      end_ = next_ = header->end();
      finished_ = next_ + kBlock > limit_;
      return;
    }
    looking_on_ = true;
    limit_ = std::min(limit_, end_ + kLookOn);
    // The block itself may be a header whose payload is rotten.
  }
  if (known) {
    durable_ = std::max(durable_, header->synced);
  }
  next_ += kBlock;
  finished_ = next_ + kBlock > limit_;
}

}  // namespace cb::core::volume
