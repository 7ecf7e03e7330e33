// SPDX-License-Identifier: Apache-2.0
//
// What the two volumes of a pair say to one another. Every message may be lost, doubled, late or
// out of order: each is an idempotent statement, and whoever waits for an answer says it again.
#pragma once

#include <optional>

#include "core/volume/bytes.h"
#include "core/volume/digest.h"
#include "core/volume/types.h"

namespace cb::core::volume {

enum class MessageKind : uint8_t {
  Hello = 1,   // how the sender stands; carries its epochs
  Follow = 2,  // send me the log from `position`; `number` counts these requests
  Batch = 3,   // carries a batch; `number` of the Follow that it answers
  Note = 4,    // the writer's committed position, and what a flush waits for
  Ack = 5,     // what the follower has in memory and on disk; `extent` 1: send again from there
  Join = 6,    // be in step in `epoch`, which begins at `position` with `digest`
  Joined = 7,  // ... recorded
  Copy = 8,    // the log no longer reaches back: a copy begins; carries the epochs
  Extent = 9,  // carries an extent's data
  ExtentDone = 10,
  CopyEnd = 11,  // all extents sent: the image is one again when the log reaches `position`
  // Not the core's: the owners mend their images with these (docs/volume.md, "Damage").
  AskBlock = 12,   // what does your image have at the block `extent`?
  GiveBlock = 13,  // carries it; or nothing: it has none now
  // The writer compares the images (docs/volume.md, "Are both copies the same?").
  AskSums = 14,   // what are the sums of the stretch `extent` of your image at exactly `position`?
  GiveSums = 15,  // carries them; or nothing: it cannot be read. `end` not `position`: not now
};

struct Message {
  MessageKind kind = MessageKind::Hello;
  uint64_t session = 0;     // the sender's, drawn at each start of its process
  uint64_t to_session = 0;  // the receiver's as far as known; only a Hello may say 0
  uint64_t number = 0;
  Position position = 0;
  Position end = 0;
  Position synced = 0;
  Position committed = 0;
  Position flush = 0;  // a flush waits for this position
  Digest digest;
  Epoch epoch;           // Join, Joined
  uint64_t copying = 0;  // session of a copy
  uint64_t extent = 0;
  // Hello
  Standing standing = Standing::Fresh;
  uint64_t granted = 0;  // record.epoch
  bool serving = false;
  Node node = 0;
  uint64_t instance_high = 0;
  uint64_t instance_low = 0;
  uint64_t volume_length = 0;
  bool operator==(const Message&) const = default;
};

inline constexpr std::size_t kMessageBytes = 256;
inline constexpr std::size_t kEpochWireBytes = 64;

// A message and, for Hello and Copy, the epochs behind it. Returns the bytes used; out must hold
// kMessageBytes + kEpochsMax * kEpochWireBytes. A batch's header and any payload follow as they
// are.
std::size_t encode(const Message& message, const Epochs& epochs, Bytes out);

struct Decoded {
  Message message;
  Epochs epochs;
  std::size_t used = 0;
};
// nullopt for anything that encode() would not have written.
std::optional<Decoded> decode_message(ConstBytes in);

}  // namespace cb::core::volume
