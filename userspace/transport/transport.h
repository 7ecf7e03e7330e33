// SPDX-License-Identifier: Apache-2.0
//
// Sealed messages between the two nodes of a pairing, over whichever links there are. A message is
// delivered whole, once, and in order within its priority, as long as the session lasts; when the
// peer's process restarts there is a new session, and what was under way is gone (on_down, then
// on_up). Moving from one link to the other is no new session. Belongs to the loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"

namespace cb::transport {

using ConstBytes = std::span<const std::uint8_t>;

// Strict: what is of a higher class goes first, and bulk never holds up the rest.
enum class Priority : std::uint8_t {
  Control = 0,  // handshakes of the layer above, acknowledgements, what a flush waits for
  Log = 1,
  Resync = 2,
};
inline constexpr int kPriorities = 3;

inline constexpr std::size_t kMessageMax = 2 * 1024 * 1024;

struct Calls {
  std::function<void()> on_up;    // a session: messages flow
  std::function<void()> on_down;  // none any more; messages under way are lost
  // Valid during the call.
  std::function<void(Priority, ConstBytes message)> on_message;
  // After room() had said 0 for a class: there is some again.
  std::function<void(Priority)> on_room;
};

struct PathFacts {
  std::string link;  // as link::Facts::name
  bool answers = false;
  bool in_use = false;
  std::size_t packet_max = 0;  // as probed
  Duration round_trip{};
  std::uint64_t lost = 0;  // packets declared lost
};

struct Facts {
  bool up = false;
  std::string cipher;  // "AES-256-GCM", "ChaCha20-Poly1305"
  std::uint64_t session = 0;
  std::vector<PathFacts> paths;
  std::uint64_t bytes_sent = 0;  // of messages, each once
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent_again = 0;
  std::uint64_t refused = 0;  // packets that failed authentication
  std::uint64_t replayed = 0;
  std::uint64_t malformed = 0;
  std::uint64_t foreign = 0;  // packets of no session that we know
  std::uint64_t limited = 0;  // attempts to open a session that came too often
  std::uint64_t dropped = 0;  // messages given without a session, or beyond room()
  std::uint32_t phase = 0;    // how often the keys have changed in this session
};

// What carries messages. The transport is one; a test's pair of queues another.
class Carriage {
 public:
  virtual ~Carriage() = default;
  virtual void listen(Calls calls) = 0;  // once, before anything else
  // How many bytes of this class are taken now: none, or at least kMessageMax. 0: wait for on_room.
  virtual std::size_t room(Priority priority) const = 0;
  // The parts are one message of at most kMessageMax, copied before this returns. Never blocks.
  // Without a session, or beyond room(): dropped and counted, which the layer above must bear
  // anyhow.
  virtual void send(Priority priority, std::span<const ConstBytes> parts) = 0;
  // What was sent goes out now, and not together with whatever else this turn sends.
  virtual void hurry() {}
  virtual Facts facts() const = 0;
};

}  // namespace cb::transport
