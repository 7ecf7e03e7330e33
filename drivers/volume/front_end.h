// SPDX-License-Identifier: Apache-2.0
//
// How a volume becomes a block device of this machine. The front end hands requests to the engine
// and its answers back to the kernel; it knows nothing of logs and peers. Belongs to the thread of
// the loop that it was opened with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "loop/done.h"

namespace cb::volume {

inline constexpr std::uint32_t kRequestMax = 1024 * 1024;  // bytes of a Read or Write
inline constexpr std::uint32_t kRequestAlign = 4096;       // of offsets, lengths and `data`

struct Request {
  enum class Kind : std::uint8_t {
    Read,     // into `data`
    Write,    // `data`
    Zero,     // reads as zeros afterwards
    Discard,  // the same, and the space may be given back
    Flush,    // what was answered before is durable when this is answered
  } kind = Kind::Read;
  bool fua = false;  // but for Read: a flush of its own comes with it
  std::uint64_t id = 0;
  std::uint64_t offset = 0;  // bytes, a multiple of kRequestAlign, as is length
  std::uint64_t length = 0;  // within the device; at most kRequestMax for Read and Write
  // Valid and unchanged until the request is answered.
  std::span<std::byte> data;
};

struct FrontEndFacts {
  std::string kind;               // "fuse", "ublk"
  std::string device;             // "/dev/loop3"; empty while there is none
  bool survives_restart = false;  // a new process takes over with requests in flight
  std::uint64_t reads = 0, writes = 0, flushes = 0, discards = 0;
  bool lost = false;  // the kernel's side was ended by somebody else: every request fails there
  std::uint64_t resent = 0;  // requests that an earlier process left unanswered; fuse alone knows
  std::string note;          // why it is this front end and not another
};

class FrontEnd {
 public:
  virtual ~FrontEnd() = default;
  // Attaches a device of so many bytes and answers when it is there (facts().device), after a test
  // that a flush of the device reaches `take`. Requests may come before that. error: errno.
  virtual void attach(std::uint64_t bytes, std::function<void(const Request&)> take,
                      loop::Done done) = 0;
  // The loop's thread; every request is answered once. error: 0 or errno.
  virtual void answer(std::uint64_t id, int error) = 0;
  // Takes the device away: EBUSY while somebody has it open. `take` is served until the answer.
  virtual void detach(loop::Done done) = 0;
  // A device that is attached gets longer, while it is in use. EOPNOTSUPP: only the next attach
  // makes it so.
  virtual void resize(std::uint64_t /*bytes*/, loop::Done done) { done(EOPNOTSUPP); }
  // Whether the device's users flush what they want to be durable. Where they do not, or before
  // that is known, a write is answered when it is durable.
  virtual bool has_write_cache() const { return true; }
  virtual FrontEndFacts facts() const = 0;
};

}  // namespace cb::volume
