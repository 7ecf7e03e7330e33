// SPDX-License-Identifier: Apache-2.0
//
// Frames as the prober, the judge and the storm make and read them.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"

namespace cb::lab {

// The Internet checksum (RFC 1071) of these bytes, as it is stored in a header.
uint16_t internet_checksum(std::span<const uint8_t> bytes);

// "10.77.0.10" in network byte order; ends the program when it is none.
uint32_t ipv4(const std::string& text);

// A packet socket on an interface ("" : all) of the current namespace, with its classic BPF filter
// in place before the first frame can arrive. protocol in host byte order, ETH_P_ALL for
// everything.
Fd packet_socket(const std::string& interface, uint16_t protocol,
                 const std::vector<sock_filter>& filter = {});

// The interface shows us frames for others too, for as long as the socket lives.
void become_promiscuous(const Fd& socket, const std::string& interface);

void set_receive_buffer(const Fd& socket, int bytes);

// Kernel's stamp of arrival (SO_TIMESTAMPNS), moved from CLOCK_REALTIME to CLOCK_BOOTTIME. Reads
// both clocks once in a while, so a step of the wall clock disturbs a moment, not the whole run.
class StampClock {
 public:
  int64_t to_boottime(int64_t realtime_ns);

 private:
  int64_t offset_ns_ = 0;
  int64_t read_at_ns_ = 0;
};

// One frame from a socket that has SO_TIMESTAMPNS: its length (0: nothing there) and its realtime
// stamp.
void enable_stamps(const Fd& socket);
struct Received {
  size_t length = 0;
  int64_t realtime_ns = 0;
  bool outgoing = false;
};
Received receive(const Fd& socket, std::span<uint8_t> into);

// What the kernel has thrown away because we were too slow, since the last call.
uint64_t drops_of(const Fd& socket);

}  // namespace cb::lab
