// SPDX-License-Identifier: Apache-2.0
//
// The links that there are, and what each must be told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "base/net.h"
#include "base/result.h"
#include "drivers/link/link.h"
#include "loop/loop.h"

namespace cb::link {

inline constexpr std::uint16_t kPort = 7389;

// Whether packets far larger than the MTU are handed to the kernel in one piece, which cuts them
// late or not at all (docs/replication-links.md).
enum class Superframes : std::uint8_t {
  Auto,   // once the peer says that they reach it
  Never,  // none are sent; those of the peer are taken all the same
};

struct PacketOptions {
  std::string interface;      // the cable
  std::uint16_t channel = 0;  // which of the links that share a cable; the same at both ends
  Mac peer;                   // zero: learned from the peer's frames
  Superframes superframes = Superframes::Auto;
  std::size_t send_bytes = 4u << 20;   // how much may wait in the kernel to be sent
  std::size_t ring_bytes = 12u << 20;  // of each of the two receive rings: more than a window
};

struct UdpOptions {
  std::string interface;  // whose MTU and carrier are followed
  Ipv4 self;              // need not be there yet
  Ipv4 peer;
  std::uint16_t port = kPort;  // at both ends
  bool segmentation = true;    // UDP_SEGMENT and UDP_GRO, where the kernel has them
  std::size_t send_bytes = 4u << 20;
  std::size_t receive_bytes = 8u << 20;
};

// On the cable the peer's address can become known later, and change.
class PacketLink : public Link {
 public:
  // From somebody who knows (an authenticated heartbeat). From then on frames of others are
  // foreign. Zero: learn it again.
  virtual void set_peer(const Mac& peer) = 0;
};

// The interface need not exist yet: the link works once it does. Errors: what the process may not
// do, or the kernel cannot.
Result<std::unique_ptr<PacketLink>> open_packet(loop::Loop& loop, PacketOptions options);
Result<std::unique_ptr<Link>> open_udp(loop::Loop& loop, UdpOptions options);

using Options = std::variant<PacketOptions, UdpOptions>;
Result<std::unique_ptr<Link>> open(loop::Loop& loop, const Options& options);

}  // namespace cb::link
