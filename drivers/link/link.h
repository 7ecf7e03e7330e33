// SPDX-License-Identifier: Apache-2.0
//
// One path to the peer for sealed packets: a raw socket on the cable (packet) or UDP on the service
// network (udp). A link carries whole packets or none, may lose, double and reorder them, and knows
// nothing of what is inside. It belongs to one thread, that of the loop it was opened with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace cb::link {

using Bytes = std::span<std::uint8_t>;
using ConstBytes = std::span<const std::uint8_t>;

// For status, doctor and benchmarks.
struct Facts {
  std::string name;      // "packet eth1", "udp 10.10.10.12"
  std::string how;       // "superframes, segmented by the card", "plain frames: ...", "UDP, ..."
  std::size_t mtu = 0;   // of the interface, as it is now
  bool carrier = false;  // the interface is up and has carrier
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t dropped_here = 0;  // by our own kernel, for want of room
  std::uint64_t refused = 0;       // sends that the kernel refused
  std::uint64_t foreign = 0;       // frames that were not for us, or malformed
  std::uint64_t incomplete = 0;    // packets that came in pieces, of which one never came
};

struct Events {
  // Packets that have arrived, valid during the call only.
  std::function<void(std::span<const ConstBytes>)> on_packets;
  // After send() took less than all: there is room again.
  std::function<void()> on_writable;
  // packet_max() or the carrier changed.
  std::function<void()> on_changed;
};

class Link {
 public:
  virtual ~Link() = default;
  virtual void listen(Events events) = 0;  // once, before anything is sent

  // The largest packet that may be sent now: what fits the local MTU, or several dozen kilobytes
  // where the link carries superframes. A packet that does not fill it is as welcome. Whether the
  // path carries as much is for the transport to find out.
  virtual std::size_t packet_max() const = 0;
  // What is sent at once pays best in packets of one size, this many together.
  virtual std::size_t batch_best() const = 0;

  // Hands packets to the kernel, in order. Returns how many were taken: fewer than given when there
  // is no room (on_writable follows). Packets that the kernel refuses for good are counted and
  // taken. Never blocks.
  virtual std::size_t send(std::span<const ConstBytes> packets) = 0;

  virtual Facts facts() const = 0;
};

}  // namespace cb::link
