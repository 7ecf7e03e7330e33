// SPDX-License-Identifier: Apache-2.0
//
// Asks the service network with ARP (RFC 826, RFC 5227): does our gateway answer, and does anybody
// answer for a virtual address? One packet socket on the service interface that hears incoming ARP
// only; everything it hears is hostile until parsed.
//
// The guard must let incoming ARP *from* other owners of a virtual address pass, or this edge is
// deaf for them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/net.h"
#include "base/result.h"
#include "core/types.h"
#include "loop/loop.h"

namespace cb::edge {

// "Is the peer dead, or are we cut off?" asked of the network.
struct ArpQuestion {
  std::vector<Ipv4> virtual_addresses;  // none: only the gateway is asked
  Ipv4 gateway;
  Duration defend_wait{};  // after the gateway's answer the addresses must stay undefended so long
  Instant deadline;
};

struct ArpAnswer {
  core::Verdict verdict = core::Verdict::Unavailable;  // Granted, Defended, Isolated, Unavailable
  Mac by;                                              // the defender, or the gateway
  Duration took{};                                     // from the question
  Duration gateway{};  // from the question to the gateway's answer; zero: none
  std::string text;    // for the log: "10.0.0.1 answered after 85 us, nobody defends 10.0.0.11"
};

struct ArpStats {
  std::uint64_t heard = 0;      // well-formed frames
  std::uint64_t malformed = 0;  // dropped by the length and form checks
  std::uint64_t send_failed = 0;
};

class ArpEdge {
 public:
  struct Options {
    std::string interface;
    Ipv4 self;  // our own address on it, the sender of requests to the gateway
  };
  // The interface need not exist yet: while it does not, questions are answered Isolated.
  static Result<std::unique_ptr<ArpEdge>> open(loop::Loop& loop, Options options);
  ~ArpEdge();
  ArpEdge(const ArpEdge&) = delete;
  ArpEdge& operator=(const ArpEdge&) = delete;

  using QuestionId = std::uint64_t;  // 0: none

  // Sends probes for the addresses and requests for the gateway right behind them, repeated. The
  // gateway answered and defend_wait passed in silence: Granted. Somebody else answers for, or
  // announces, one of the addresses: Defended, at once. No answer of the gateway by the deadline:
  // Isolated. Many questions may be open. Answered once, in a later turn, unless cancelled.
  QuestionId ask(ArpQuestion question, std::function<void(const ArpAnswer&)> done);
  void cancel(QuestionId id);

  // Who has these addresses? Probes for all of them several times and tells, after `span`, every
  // machine that answered or announced itself meanwhile. Nobody's tables are changed by it.
  // Answered once, in a later turn, unless cancelled.
  struct Seen {
    Ipv4 address;
    Mac by;
    bool operator==(const Seen&) const = default;
  };
  QuestionId look(std::vector<Ipv4> addresses, Duration span,
                  std::function<void(const std::vector<Seen>&)> done);

  // From now on, calls on_conflict whenever another machine answers for this address or announces
  // it, at most once in `quiet` (default 1 s) for each address.
  void watch_conflicts(Ipv4 address, std::function<void(Mac)> on_conflict);
  void unwatch_conflicts(Ipv4 address);

  // Asks the gateway every `interval`; calls on_change(true) after `rise` answered intervals in a
  // row, on_change(false) after `fall` unanswered ones. Before the first change its state is
  // unknown.
  void watch_gateway(Ipv4 gateway, Duration interval, int rise, int fall,
                     std::function<void(bool answers)> on_change);
  void unwatch_gateway();

  // The interface changed (other MAC, other index, came back): read it anew and bind again.
  void on_interface_changed();

  const ArpStats& stats() const noexcept;

 private:
  struct Parts;
  explicit ArpEdge(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cb::edge
