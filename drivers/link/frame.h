// SPDX-License-Identifier: Apache-2.0
//
// The frames of the packet link, written and read. Nothing here trusts a frame.
//
// A *plain* frame carries one packet, or a greeting, behind the header below. A *superframe*
// carries one packet of several dozen kilobytes and looks like a segment of a TCP connection, so
// that cards and kernels cut it into frames and merge these again: they know how to do that for TCP
// only. There is no connection. Its source port is the channel; the acknowledgement number is the
// packet's number, so that two packets are never merged; the sequence number is the packet's length
// times 65536 plus where in it the bytes belong, which is what cutting and merging keep right. The
// source is a group address, which nobody may send from, so the stack behind the rings drops it
// without an answer, whatever it would route.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/net.h"
#include "drivers/link/link.h"

namespace cb::link {

inline constexpr std::uint16_t kEtherType = 0x88B6;  // IEEE 802 local experimental 2
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kSuperPort = 7389;
inline constexpr Ipv4 kNowhere{{0, 88, 66, 1}};
inline constexpr Ipv4 kFromGroup{{239, 88, 66, 1}};  // a martian to every stack
inline constexpr Mac kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

inline constexpr std::size_t kEthernetBytes = 14;
inline constexpr std::size_t kPlainBytes = 8;  // behind the Ethernet header
inline constexpr std::size_t kTcpIpBytes = 40;
inline constexpr std::size_t kPlainHeader = kEthernetBytes + kPlainBytes;
inline constexpr std::size_t kSuperHeader = kEthernetBytes + kTcpIpBytes;
inline constexpr std::size_t kSuperMax = 64'240;   // 44 frames at MTU 1500; below every limit
inline constexpr std::size_t kSuperMtuMin = 1280;  // below it superframes are not worth it
inline constexpr std::size_t kPiecesMax = 64;      // ranges of one packet that wait for others

enum class FrameKind : std::uint8_t { Packet = 1, Greeting = 2, Probe = 3 };

// Length and channel are in every frame; padding behind is ignored.
void write_plain(std::span<std::uint8_t, kPlainHeader> to, const Mac& destination,
                 const Mac& source, FrameKind kind, std::uint16_t channel, std::size_t length);
// number: of the packet. kind: Packet or Probe. The checksum is left to the kernel.
void write_super(std::span<std::uint8_t, kSuperHeader> to, const Mac& destination,
                 const Mac& source, FrameKind kind, std::uint16_t channel, std::uint32_t number,
                 std::size_t length);
// The most that one superframe carries at this MTU: full frames only.
std::size_t super_max(std::size_t mtu) noexcept;

struct Frame {
  FrameKind kind = FrameKind::Packet;
  Mac source;
  ConstBytes bytes;
  // Of superframes only. total is 0 for plain frames.
  std::uint32_t number = 0;
  std::size_t total = 0;
  std::size_t at = 0;
  bool whole() const noexcept { return total == 0 || bytes.size() == total; }
};

// Nothing: malformed, or of another channel.
std::optional<Frame> read_frame(ConstBytes frame, std::uint16_t channel) noexcept;

// What two ends tell each other about the link itself.
struct Greeting {
  bool answer = false;             // the sender wants one back
  bool superframes_reach = false;  // yours reach me, and I take them
};
inline constexpr std::size_t kGreetingBytes = 8;
std::array<std::uint8_t, kGreetingBytes> write_greeting(const Greeting& greeting) noexcept;
std::optional<Greeting> read_greeting(ConstBytes bytes) noexcept;

}  // namespace cb::link
