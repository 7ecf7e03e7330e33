// SPDX-License-Identifier: Apache-2.0
//
// Tells each peer what happened here: its pairing's events and the node's own, soon after they
// happened, in batches over the authenticated call. Each node so has both nodes' events, and keeps
// what the other told it when the other is dead. How far a peer is is kept in the event log; a peer
// that does not answer is asked again, ever more rarely, and at once when its heartbeats are back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "config/ir.h"
#include "edge/events.h"
#include "loop/loop.h"
#include "pairing/caller.h"
#include "pairing/refusal.h"

namespace cb::agent {

class EventExchange {
 public:
  EventExchange(loop::Loop& loop, edge::EventLog& events,
                std::function<pairing::LocalIdentity()> identity);
  ~EventExchange();
  EventExchange(const EventExchange&) = delete;
  EventExchange& operator=(const EventExchange&) = delete;

  // The pairings that there are now.
  void set_pairs(const std::vector<config::Pair>& pairs);
  // The peer is there again.
  void peer_answers(std::uint64_t pairing_id);
  // The peer was reached and said that it has no such pairing: it is a new machine, or was unpaired
  // there. Nobody proved who said so: good for advice, for nothing else.
  bool is_unknown_there(std::uint64_t pairing_id) const;
  // What a peer tells us.
  void take(const config::Pair& pair, const std::string& told,
            std::function<void(pairing::Refusal)> answer);

 private:
  struct Peer;
  void on_event(const edge::EventEntry& entry);
  void call_in(Peer& peer, Duration span);
  void begin(std::uint64_t pairing_id);
  void send(Peer& peer, const std::string& batch, std::uint64_t last);

  loop::Loop& loop_;
  edge::EventLog& events_;
  std::function<pairing::LocalIdentity()> identity_;
  edge::EventLog::FollowerId follower_;
  std::map<std::uint64_t, std::unique_ptr<Peer>> peers_;  // by pairing id
  loop::Leash leash_;
};

}  // namespace cb::agent
