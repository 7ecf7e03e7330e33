// SPDX-License-Identifier: Apache-2.0
#include "agent/event_exchange.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/log.h"

namespace cb::agent {
namespace {

constexpr Duration kSoon = Duration::from_ms(300);  // a move's events go together
constexpr Duration kFirstRetry = Duration::from_s(2);
constexpr Duration kLastRetry = Duration::from_s(30);

}  // namespace

struct EventExchange::Peer {
  config::Pair pair;
  std::optional<pairing::Call> call;
  loop::TimerId timer;
  bool asking = false;  // the log for a batch, or the peer
  bool more = false;    // something happened meanwhile
  bool unknown_there = false;
  Duration retry = kFirstRetry;
};

EventExchange::EventExchange(loop::Loop& loop, edge::EventLog& events,
                             std::function<pairing::LocalIdentity()> identity)
    : loop_(loop), events_(events), identity_(std::move(identity)) {
  follower_ = events_.follow([this](const edge::EventEntry& entry) { on_event(entry); });
}

EventExchange::~EventExchange() {
  events_.unfollow(follower_);
  for (const auto& [id, peer] : peers_) {
    loop_.cancel(peer->timer);
  }
}

void EventExchange::set_pairs(const std::vector<config::Pair>& pairs) {
  std::erase_if(peers_, [&](const auto& known) {
    const bool gone = std::none_of(pairs.begin(), pairs.end(),
                                   [&](const config::Pair& p) { return p.id == known.first; });
    if (gone) {
      loop_.cancel(known.second->timer);
    }
    return gone;
  });
  for (const config::Pair& pair : pairs) {
    std::unique_ptr<Peer>& peer = peers_[pair.id];
    if (peer == nullptr) {
      peer = std::make_unique<Peer>();
      peer->pair = pair;
      call_in(*peer, kSoon);  // what happened while the peer, or we, did not run
    }
    peer->pair = pair;
  }
}

void EventExchange::peer_answers(std::uint64_t pairing_id) {
  if (const auto found = peers_.find(pairing_id); found != peers_.end()) {
    found->second->retry = kFirstRetry;
    loop_.cancel(std::exchange(found->second->timer, {}));
    call_in(*found->second, kSoon);
  }
}

bool EventExchange::is_unknown_there(std::uint64_t pairing_id) const {
  const auto found = peers_.find(pairing_id);
  return found != peers_.end() && found->second->unknown_there;
}

void EventExchange::on_event(const edge::EventEntry& entry) {
  if (entry.origin != events_.origin()) {
    return;  // a peer told it
  }
  for (const auto& [id, peer] : peers_) {
    if (entry.pairing.empty() || entry.pairing == peer->pair.primary_hm.text()) {
      call_in(*peer, kSoon);
    }
  }
}

void EventExchange::call_in(Peer& peer, Duration span) {
  if (peer.asking) {
    peer.more = true;
    return;
  }
  if (!peer.timer) {
    peer.timer = loop_.after(span, [this, id = peer.pair.id] { begin(id); });
  }
}

void EventExchange::begin(std::uint64_t pairing_id) {
  Peer& peer = *peers_.at(pairing_id);
  peer.timer = {};
  peer.asking = true;
  peer.more = false;
  events_.batch_for(pairing_id, peer.pair.primary_hm.text(),
                    leash_.guard([this, pairing_id](const std::string& batch, std::uint64_t last) {
                      if (const auto found = peers_.find(pairing_id); found != peers_.end()) {
                        send(*found->second, batch, last);
                      }
                    }));
}

void EventExchange::send(Peer& peer, const std::string& batch, std::uint64_t last) {
  if (batch.empty()) {
    peer.asking = false;
    if (std::exchange(peer.more, false)) {
      call_in(peer, kSoon);
    } else if (events_.unwritten() > 0) {
      call_in(peer, kFirstRetry);  // what the disk has not taken is in no batch yet
    }
    return;
  }
  peer.call.emplace(pairing::Call::tell(
      loop_, identity_(), peer.pair, 0, batch,
      leash_.guard([this, id = peer.pair.id, last](const pairing::CallOutcome& outcome) {
        const auto found = peers_.find(id);
        if (found == peers_.end()) {
          return;
        }
        Peer& told = *found->second;
        told.asking = false;
        told.unknown_there = outcome.failure.refusal == pairing::Refusal::UnknownPairing;
        if (outcome.peer_done) {
          events_.set_told(id, last);
          told.retry = kFirstRetry;
          call_in(told, Duration{});  // until there is nothing left
        } else {
          log_debug("the peer was not told of events: %s", outcome.failure.what.c_str());
          call_in(told, told.retry);
          told.retry = std::min(told.retry * 2, kLastRetry);
        }
      })));
}

void EventExchange::take(const config::Pair& pair, const std::string& told,
                         std::function<void(pairing::Refusal)> answer) {
  const bool from_primary = pair.self_role == core::Role::Secondary;
  events_.take(told, pair.primary_hm.text(), from_primary ? "Primary" : "Secondary",
               [answer = std::move(answer)](int error) {
                 answer(error == 0         ? pairing::Refusal::None
                        : error == EBADMSG ? pairing::Refusal::Malformed
                                           : pairing::Refusal::NotNow);
               });
}

}  // namespace cb::agent
