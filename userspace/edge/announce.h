// SPDX-License-Identifier: Apache-2.0
//
// Tells the network where a virtual address is: gratuitous ARP, as request and as reply, and
// unsolicited neighbour advertisements. Frames leave through the interface's queueing discipline on
// purpose: the guard must judge them, so a node whose guard is closed announces nothing.
//
// At once and again on a schedule, because single broadcasts get lost and switches learn late; then
// refreshed while the address is held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "config/ir.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::edge {

struct AnnounceOptions {
  std::string interface;
  std::vector<Duration> schedule;  // offsets from the first; see config::Node::announce_schedule
  Duration refresh{};              // zero: none
};

struct AnnounceStats {
  std::uint64_t sent = 0;     // frames
  std::uint64_t refused = 0;  // frames that the guard, or a full queue, did not let through
};

class AnnounceEdge {
 public:
  // The interface need not exist yet: what cannot be sent is refused with ENODEV.
  static Result<std::unique_ptr<AnnounceEdge>> open(loop::Loop& loop, AnnounceOptions options);
  ~AnnounceEdge();
  AnnounceEdge(const AnnounceEdge&) = delete;
  AnnounceEdge& operator=(const AnnounceEdge&) = delete;

  // Sends the first announcement of all of them now, answers before it returns (0, or the errno of
  // the first that could not be sent: ENOBUFS when the guard is closed), and starts schedule and
  // refresh, whatever the answer. For addresses that are announced already, begins again.
  void announce(const std::vector<config::Prefix>& addresses, loop::Done done);
  // The end of schedule and refresh for these.
  void stop(const std::vector<config::Prefix>& addresses);

  // Schedule and refresh begin again for all that are announced now: carrier came, a conflict
  // ended.
  void again();
  void again(const config::Prefix& address);

  // One announcement of one address, without a schedule. 0 or errno.
  int send_once(const config::Address& address);

  const AnnounceStats& stats() const noexcept { return stats_; }

 private:
  struct Held;
  AnnounceEdge(loop::Loop& loop, AnnounceOptions options);
  int read_interface();
  int begin(Held& held);
  void set_next(Held& held);
  int send_frame(std::span<const std::uint8_t> frame);

  loop::Loop& loop_;
  AnnounceOptions options_;
  Fd socket_;
  int index_ = 0;
  Mac mac_;
  std::map<std::string, std::unique_ptr<Held>> held_;  // by the address's text
  AnnounceStats stats_;
};

}  // namespace cb::edge
