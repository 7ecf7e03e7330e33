// SPDX-License-Identifier: Apache-2.0
//
// What the monitor knows of a volume (DESIGN.md section 7): a few verbs and a few events. Every
// verb begins something and answers once, in the loop's thread; none blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/instant.h"
#include "loop/done.h"

namespace cb::volume {

// The disk of this node's copy failed, or the copy cannot be opened; the status' text says why.
struct Failure {
  int error = 0;
  unsigned tries = 0;                   // how often another process was started since
  Instant again_at = Instant::never();  // when that is done next; never: not by itself, or just now
};

struct Status {
  bool present = false;  // there is a volume at all
  bool running = false;  // its process is there and has told how things stand
  bool serving = false;  // this node writes
  bool alone = false;    // ... and acknowledges by itself
  bool in_step = false;
  bool eligible = false;                // the copy as such could be promoted
  std::uint16_t progress_permille = 0;  // while synchronizing
  std::string standing;                 // "fresh", "together", "alone", "catching-up", "outdated"
  std::string sync = "none";            // "none", "log", "copy"
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_left = 0;
  std::uint64_t rate = 0;  // bytes a second
  std::optional<std::uint64_t> seconds_left;
  std::uint64_t position = 0;
  std::uint64_t committed = 0;
  std::uint64_t peer_synced = 0;
  std::uint64_t epoch = 0;
  std::uint64_t unsynced_bytes = 0;
  std::uint64_t bytes = 0;     // how long this copy is; 0: not known
  std::string stall = "none";  // why nothing moves
  std::string stall_text;
  // Whether its process got what keeps its writes from waiting for memory that waits for them.
  bool io_flusher = true;
  bool memory_locked = true;
  std::string device;  // "/dev/loop0"; empty while there is none
  bool mounted = false;
  std::optional<Failure> failure;
  std::string text;    // for people
  std::string detail;  // JSON as the volume's process gave it, or empty
};

struct Events {
  std::function<void()> in_step;
  std::function<void(unsigned permille)> progress;
  std::function<void()> fell_behind;
  std::function<void(int error)> disk_failed;
  // Worth an entry of the event log: a stall and its end, a copy that was deposed.
  std::function<void(const std::string& text)> report;
  // This copy is longer than it was configured.
  std::function<void(std::uint64_t bytes)> grown;
};

enum class Resync : std::uint8_t {
  Follow,  // the peer, from where this copy stands
  Anew,    // as if the way to the peer had gone and come back: what was agreed is agreed again
  Full,    // gives this node's copy up and takes all of the peer's
};

class Volume {
 public:
  virtual ~Volume() = default;
  // Before any verb; once.
  virtual void listen(Events events) = 0;

  // This node's copy becomes the one that is written. accept_loss: also one that is behind, as far
  // as it is an image at all; an operator said so.
  virtual void promote(bool accept_loss, loop::Done done) = 0;
  // hand_over: only once the peer holds everything. Otherwise at once, whatever still uses it.
  virtual void demote(bool hand_over, loop::Done done) = 0;
  // Begins; events tell the rest.
  virtual void resync(Resync how, loop::Done done) = 0;
  virtual void pause(bool on, loop::Done done) = 0;
  // Compares both images, at the one that is written, or ends that. EROFS: this one is not;
  // ENOTCONN: nobody follows. The status tells the rest.
  virtual void verify(bool on, loop::Done done) = 0;
  // Whether this node may acknowledge without its peer, as long as it is not told otherwise.
  // Makes both copies and the device longer, at the one that is written; begins, and the status
  // tells the rest. text: why not, for people.
  virtual void resize(std::uint64_t bytes, bool dry_run,
                      std::function<void(int error, const std::string& text)> done) = 0;
  virtual void allow_alone(bool allowed) = 0;
  // This monitor goes for good: a copy that is not written need not be kept running.
  virtual void end() = 0;
  virtual Status status() const = 0;
  // The epochs of both copies, as JSON; empty with an error.
  virtual void history(std::function<void(int error, const std::string& json)> done) = 0;

  // The file system on it.
  virtual void mount(loop::Done done) = 0;
  // detach: when something still uses it, it goes all the same.
  virtual void unmount(bool detach, loop::Done done) = 0;
};

}  // namespace cb::volume
