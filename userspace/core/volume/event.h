// SPDX-License-Identifier: Apache-2.0
//
// Everything from outside. Flat; the pointers are looked at during the step only.
#pragma once

#include "core/volume/batch.h"
#include "core/volume/message.h"
#include "core/volume/types.h"

namespace cb::core::volume {

enum class EventKind : uint8_t {
  Started,  // first event ever, once: `record`, and what the scan found
  Tick,     // next_deadline() has come
  // the front end; only while can_take() says so
  Write,  // `entry` (payload_offset is filled in here), `flushed`: its Flush comes at once
  Flush,  // `request`: grows with every flush, begins at 1
  // disks; each answers the action of the same name
  Appended,    // `slot`, `error`
  Synced,      // `position`, `error`: the log
  Recorded,    // `error`: the superblock, durably
  Applied,     // `position`, `digest` there, `error`: the home image, written
  HomeSynced,  // `position`, `error`
  Folded,      // `position`, `digest` there, `error`: the bits are set in the map, and the map's
               //   other copy on disk is durable
  // the register (witness, or the monitor in its place)
  RegisterRead,     // `error` 0: `seen`. Else it did not answer
  RegisterSwapped,  // `error` 0: `granted` says whether it took place. Else nobody knows: it is
                    // read again
  // the peer
  LinkUp,    // a way to the peer is there
  LinkDown,  // ... is not; what was sent before may still arrive
  Heard,     // `message`, and `epochs` or `batch` if it carries them; payload checked by the owner
  Sent,  // Send: its `number`; `position` is where the next batch begins. `error`: the log cannot
         // be read at `position`
  ExtentSent,      // SendExtent: `error`: the home image cannot be read
  ExtentWritten,   // WriteExtent: `number`, and the extent as `request`, durably; `error`
  ImageProtected,  // ProtectImage: `error`
  ImageRestored,   // RestoreImage: `record`, as it was when the image was kept; `error`
  FilesGrown,      // GrowFiles: `number`, `error`
  // the owner
  Resize,    // the volume gets `number` bytes on both nodes; answered by one ResizeDone
  Verify,    // compare the stretch `number` of both images; answered by one VerifyDone
  SumsRead,  // ReadSums: its `number`; `error`: the image cannot be read
  // the monitor's verbs
  Promote,  // become the writer, if the register allows. `accept_loss`: also with a copy that is
            // behind, or the image kept aside of a copy that was never finished; the register must
            // name this node
  Demote,   // `hand_over`: only once the peer holds everything; else at once
  GoAlone,  // the peer is gone as far as arbitration knows: ask for the right to be alone
  Discard,  // an operator gives this node's copy up, for a full copy of the peer's: the way out of
            // Split, Unrelated and a damage that nobody mends. The image is protected first
};

struct Event {
  EventKind kind = EventKind::Tick;
  int error = 0;
  int slot = 0;
  bool granted = false;
  bool hand_over = false;
  bool accept_loss = false;
  bool flushed = false;
  bool kept = false;  // Started: an image is kept aside, and its record with it
  Position damaged_until =
      0;  // Started: the log was durable up to here, and is shorter now; else 0
  uint64_t request = 0;
  uint64_t number = 0;
  uint64_t session = 0;    // Started: random, not 0
  Generation seed;         // Started: random; generations are drawn from it
  Position position = 0;   // Started: the end of the log
  Position committed = 0;  // Started: known from the log
  Digest digest;           // Started: at the end of the log
  Entry entry;
  Register seen;
  const Record* record = nullptr;
  const Message* message = nullptr;
  const Epochs* epochs = nullptr;
  const BatchHeader* batch = nullptr;
};

}  // namespace cb::core::volume
