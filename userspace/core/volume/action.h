// SPDX-License-Identifier: Apache-2.0
//
// Every wish of the volume's core. Those that answer are answered by exactly one event, also when
// they failed; each kind but Append and the extents' has at most one outstanding.
#pragma once

#include "core/volume/message.h"
#include "core/volume/types.h"

namespace cb::core::volume {

enum class ActionKind : uint8_t {
  None,
  // answers to the front end
  AnswerWrites,   // those of state.slots[slot]; `error`
  AnswerFlushes,  // all with request <= `number`; `error`
  // disks
  Append,  // state.slots[slot].header to the ring at its position. A follower's payload is that of
           // the batch of the event at hand. Answers when it is written, and where the slot says
           // `durably`, when that batch is durable
  Sync,    // the log, everything appended before now. Answers with `position`
  Record,  // state.recording, durably, over the older copy. Answers
  Apply,   // the batches in [from, position) to the home image, in order. Answers
  SyncHome,  // Answers with `position`
  Fold,      // set the bits of the batches in [from, position), write the map to `slot`, durably.
             // Answers
  // register
  ReadRegister,  // Answers
  SwapRegister,  // `expected` to `wanted`. Answers
  // peer
  Say,   // `message`; Hello and Copy with the epochs of state.record
  Send,  // the batches from `from` to `position`, or a part: at least one. Each as `message` with
         // its
         //   header, `message.position` its position. Answers
  SendExtent,    // `message` with the data of message.extent, read from the home image now. Answers
  WriteExtent,   // the data of the message at hand, at message.extent, durably. Answers
  ProtectImage,  // keep a copy of the home image (or of what is overwritten) until ReleaseImage.
                 // `number` 1: it is what state.record says, exactly; 0: only nearly. While a copy
                 // is under way the one that is kept stays. Answers
  ReleaseImage,  // the image is one again
  RestoreImage,  // make the home image what was kept, durably, once no extent is being written.
                 // Answers
  // the volume gets longer
  GrowFiles,      // so that the image has `number` bytes, all zero behind `from`; durably. Answers
  LengthChanged,  // state.record.volume_length is another one: the owner goes by it at once
  ResizeDone,     // `error`; `slot` 1: the peer's
  // a comparison of the images; the sums are those of the blocks as they are read now
  ReadSums,    // of the stretch message.extent of the own image. Answers with `number`
  SendSums,    // those read last, as the payload of `message`; none if they could not be read
  KeepSums,    // the payload of the message at hand: the peer's
  VerifyDone,  // `error` 0: the sums read last and those kept last are of one position. EAGAIN,
               // EBUSY, ETIMEDOUT, ECANCELED: later; ENOTCONN: no peer in step; else the own image
               // could not be read
  // the monitor
  PromoteDone,  // `error`: 0, or ESTALE (not eligible), EBUSY, EIO
  DiscardDone,  // `error`: 0, or EBUSY while it writes or is about to
  DemoteDone,   // `error`
  InStep,       // the peer may take over
  FellBehind,   // ... may not
  Deposed,      // somebody else was given the right: this node no longer writes
  Stalled,      // `stall`: None when it moves again
};

struct Action {
  ActionKind kind = ActionKind::None;
  int slot = 0;
  int error = 0;
  Stall stall = Stall::None;
  uint64_t number = 0;
  Position from = 0;
  Position position = 0;
  Register expected;
  Register wanted;
  Message message;
};

inline constexpr int kActionsMax = 48;
using Actions = FixedList<Action, kActionsMax>;

}  // namespace cb::core::volume
